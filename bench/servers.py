"""Servers for benchmarks: real processes on loopback, with limits off and a store of their own."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from wr.store.embedded import find_engine

ADMIN_KEY = "bench-admin-key-of-no-value"
_NO_LIMITS = {f"WR_LIMIT_{scope}": "0" for scope in ("ENQUEUE", "STATUS", "HEARTBEAT", "ACTIVITY", "ADMIN")}


@dataclass(frozen=True)
class Server:
    """One running `wr serve`."""

    url: str
    pid: int

    def resident_bytes(self) -> int:
        """Memory of the process that is in RAM now, in bytes."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def cpu_s(self) -> float:
        """Processor time of the process so far, in seconds."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def running_servers(replicas: int, **settings: str) -> Iterator[list[Server]]:
    """Run `replicas` servers on one store until the block ends."""
    raise_file_limit()
    with TemporaryDirectory(prefix="wr-bench-") as folder, ExitStack() as stack:
        socket = Path(folder) / "store.sock"
        stack.enter_context(_running(find_engine().command(Path(folder), socket, "everysec"), Path(folder)))
        yield [
            stack.enter_context(_running_server(Path(folder) / f"server-{number}", socket, settings))
            for number in range(replicas)
        ]


@contextmanager
def _running_server(folder: Path, socket: Path, settings: dict[str, str]) -> Iterator[Server]:
    folder.mkdir()
    environment = {
        **os.environ,
        **_NO_LIMITS,
        "WR_STORE_URL": f"unix://{socket}",
        "WR_ADMIN_KEY": ADMIN_KEY,
        "WR_BIND": "127.0.0.1:0",
        "WR_DATA_DIR": str(folder),
        **{f"WR_{name.upper()}": value for name, value in settings.items()},
    }
    command = [sys.executable, "-m", "wr", "serve"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True)  # noqa: S603
    try:
        first_line = process.stdout.readline() if process.stdout else ""
        if "serves at " not in first_line:
            raise RuntimeError(f"the server did not start: {(folder / 'log').read_text()}")
        yield Server(first_line.rpartition("serves at ")[2].strip(), process.pid)
    finally:
        _end(process)


@contextmanager
def _running(command: list[str], folder: Path) -> Iterator[None]:
    with (folder / "store.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: S603 - built from known parts
    try:
        yield
    finally:
        _end(process)


def _end(process: "subprocess.Popen[str] | subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


def raise_file_limit() -> None:
    """Let this process, and those it starts, open as many files as the machine allows."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
