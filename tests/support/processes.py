"""Runs the server as a separate process, as operators do; tests kill, freeze, stop and restart it."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tests.support.clock import HandClock
from tests.support.engines import Engine
from tests.support.site import Site

T = TypeVar("T")

ADMIN_KEY = "admin-key-of-the-tests"
START_S = 30.0
STOP_S = 30.0
"""Much longer than anything takes, because other tests may share the machine."""

_SERVES_AT = re.compile(r"serves at (http://\S+)")
_GENEROUS = {"limit_enqueue": "0", "limit_status": "0", "limit_heartbeat": "0", "limit_admin": "0"}


def eventually(condition: Callable[[], T | None], what: str, seconds: float = 20.0) -> T:
    """Repeat a question until its answer is true, and return it."""
    deadline = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not true after {seconds} s: {what}")
        time.sleep(0.005)


def runs(pid: int, argument: object) -> bool:
    """Whether the process with that id still runs, and its command contains `argument`."""
    try:
        return str(argument).encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False


def unread_by(client: socket.socket) -> int | None:
    """Number of bytes that the server has sent and this client has not read; None if the server is gone."""
    here, there = (f":{name[1]:04X}" for name in (client.getsockname(), client.getpeername()))
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, state, queues, *_ = line.split()
        if local.endswith(there) and remote.endswith(here) and state == "01":
            return int(queues.partition(":")[0], 16)
    return None


def serve_command(**settings: str) -> list[str]:
    """Return the command `wr serve` with these settings as options."""
    flags = [part for name, value in settings.items() for part in (f"--{name.replace('_', '-')}", value)]
    return [sys.executable, "-m", "wr", "serve", *flags]


@dataclass
class ServerProcess:
    """A process of `wr serve` and its output; `data_dir` contains its embedded store."""

    process: subprocess.Popen[bytes]
    data_dir: Path
    output: Path
    errors: Path

    @property
    def url(self) -> str:
        """Its URL, once it has printed it."""

        def said() -> str | None:
            found = _SERVES_AT.search(self.output.read_text())
            if found is None and self.process.poll() is not None:
                raise AssertionError(f"the server did not start: {self.log}")
            return found and found[1]

        return eventually(said, "the server serves", START_S)

    @property
    def address(self) -> tuple[str, int]:
        """Its host and port."""
        host, _, port = self.url.removeprefix("http://").partition(":")
        return host, int(port)

    def open_connections(self) -> int:
        """Number of its open connections, including those whose client is gone."""
        lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        of_port = {
            line[9] for line in lines if line[1].endswith(f":{self.address[1]:04X}") and line[3] != "0A"
        }
        held = 0
        for descriptor in Path(f"/proc/{self.process.pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                held += str(descriptor.readlink())[len("socket:[") : -1] in of_port
        return held

    @property
    def log(self) -> str:
        """Its standard error so far."""
        return self.errors.read_text()

    @property
    def store_pid(self) -> int:
        """The process id of its embedded store; 0 if none runs."""
        pid = int((self.data_dir / "store.lock").read_text() or 0)
        return pid if pid and runs(pid, self.data_dir) else 0

    def store_has_ended(self) -> bool:
        """Whether its embedded store has ended."""
        return not self.store_pid

    @property
    def store(self) -> Engine:
        """Its embedded store."""
        return Engine("embedded", f"unix://{self.data_dir / 'store.sock'}")

    @contextmanager
    def site(self) -> Iterator[Site]:
        """The server as a client sees it."""
        site = Site(self.url, ADMIN_KEY, HandClock(), self.store, "wr")
        with site.http:
            yield site

    def send(self, number: int) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def ended(self, seconds: float = STOP_S) -> int:
        """Wait until it has ended; returns its exit code."""
        return self.process.wait(seconds)

    def kill(self) -> None:
        """Kill it, as the kernel does when memory runs out."""
        self.process.kill()
        self.process.wait()

    def freeze_store(self) -> None:
        """Freeze its embedded store."""
        os.kill(self.store_pid, signal.SIGSTOP)

    def thaw_store(self) -> None:
        """Let its embedded store go on after `freeze_store`."""
        os.kill(self.store_pid, signal.SIGCONT)

    def kill_store(self) -> None:
        """Kill its embedded store with `kill -9`, if it runs."""
        pid = self.store_pid
        if pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@contextmanager
def starting_server(data_dir: Path, **settings: str) -> Iterator[ServerProcess]:
    """Start a server on a free port. The end of the block kills it and its store."""
    data_dir.mkdir(parents=True, exist_ok=True)
    number = sum(1 for _ in data_dir.glob("output-*"))
    output, errors = data_dir / f"output-{number}", data_dir / f"errors-{number}"
    command = serve_command(
        **{"bind": "127.0.0.1:0", "data_dir": str(data_dir), "admin_key": ADMIN_KEY, **_GENEROUS, **settings}
    )
    with output.open("wb") as stdout, errors.open("wb") as stderr:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr)
    server = ServerProcess(process, data_dir, output, errors)
    try:
        yield server
    finally:
        server.kill()
        if (data_dir / "store.lock").exists():
            server.kill_store()
            eventually(server.store_has_ended, "the store has ended")


@contextmanager
def running_server_process(data_dir: Path, **settings: str) -> Iterator[ServerProcess]:
    """Run a server, and wait until it has started."""
    with starting_server(data_dir, **settings) as server:
        assert server.url
        yield server
