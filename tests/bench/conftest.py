"""Locust, where it is installed: always as a process of its own, for it patches its interpreter."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="session")
def locust() -> Sequence[str]:
    """The command that runs the locustfile. Without Locust: skips here and fails where CI is set."""
    if importlib.util.find_spec("locust") is None:
        why = "Locust is not installed: ./scripts/setup bench"
        if os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(why)
    return (sys.executable, "-m", "locust", "-f", "bench/locustfile.py")


def started(command: Sequence[str], **more: Any) -> "subprocess.Popen[str]":
    """Start a command in the folder of the project; its output is one text."""
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more
    )


@dataclass
class Played:
    """What came of one run of Locust."""

    code: int
    output: str
    rows: dict[str, dict[str, Any]]
    """What was asked, such as `POST /enqueue`, and the figures."""


def play_until(enough: Callable[[dict[str, dict[str, Any]]], bool], command: Sequence[str]) -> Played:
    """Run Locust until its figures are enough, then end it as if its time was up; a minute at the most."""
    reader, writer = os.pipe()
    try:
        environment = {**os.environ, "WR_BENCH_TELL": str(writer)}
        process = started(command, env=environment, pass_fds=(writer,))
    finally:
        os.close(writer)
    overdue = threading.Timer(60, process.kill)
    overdue.start()
    try:
        rows: dict[str, dict[str, Any]] = {}
        with os.fdopen(reader) as lines:
            for line in lines:
                rows = {f"{row['method']} {row['name']}": row for row in json.loads(line)["rows"]}
                if enough(rows):
                    process.send_signal(signal.SIGUSR1)
        return Played(process.wait(), process.stdout.read() if process.stdout else "", rows)
    finally:
        overdue.cancel()
        process.kill()
        process.communicate()
