"""Runs servers for benchmarks: real processes on loopback, without limits, with their own store."""

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import redis

from wr.store.engines import find_engine

ADMIN_KEY = "bench-admin-key-of-no-value"
_NO_LIMITS = {f"WR_LIMIT_{scope}": "0" for scope in ("ENQUEUE", "STATUS", "HEARTBEAT", "ACTIVITY", "ADMIN")}
_STORE_START_S = 20.0
_LAST_WORDS = 3_000


@dataclass(frozen=True)
class Measured:
    """A process that is measured from outside, through /proc."""

    url: str
    pid: int

    def resident_bytes(self) -> int:
        """Memory of the process that is in RAM now, in bytes."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def proportional_bytes(self) -> int | None:
        """The same, but a page that n processes share counts as its nth part; None if unreadable."""
        try:
            lines = Path(f"/proc/{self.pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            return None
        return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), None)

    def cpu_s(self) -> float:
        """Processor time of the process so far, in seconds, with a resolution of 0.01 s."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def delayed_s(self) -> float:
        """Time that its threads were ready to run and no processor was free, in seconds; 0 if unreadable."""
        delays = [0]
        for thread in Path(f"/proc/{self.pid}/task").iterdir():
            with suppress(OSError):  # A thread that has ended meanwhile.
                delays.append(int((thread / "schedstat").read_text().split()[1]))
        return sum(delays) / 1e9


@dataclass(frozen=True)
class Server(Measured):
    """One running `wr serve`."""


@dataclass(frozen=True)
class StoreServer(Measured):
    """One running store: the engine that `wr serve` would embed, with the same configuration."""

    engine: str


@contextmanager
def running_servers(replicas: int, **settings: str) -> Iterator[list[Server]]:
    """Run `replicas` servers on one store until the block ends."""
    with running_store() as store, ExitStack() as stack:
        yield [stack.enter_context(running_server(store, **settings)) for _ in range(replicas)]


@contextmanager
def running_store() -> Iterator[StoreServer]:
    """Run an empty store on a Unix socket until the block ends."""
    raise_file_limit()
    engine = find_engine()
    with TemporaryDirectory(prefix="wr-bench-") as folder:
        socket = Path(folder) / "store.sock"
        with _running(engine.command(Path(folder), socket, "everysec"), Path(folder)) as pid:
            _wait_until_it_answers(f"unix://{socket}")
            yield StoreServer(f"unix://{socket}", pid, engine.name)


@contextmanager
def running_server(store: StoreServer, **settings: str) -> Iterator[Server]:
    """Run `wr serve` on a store until the block ends; a setting `x` becomes its `WR_X`."""
    with TemporaryDirectory(prefix="wr-bench-server-") as folder:
        environment = {
            **os.environ,
            **_NO_LIMITS,
            "WR_STORE_URL": store.url,
            "WR_ADMIN_KEY": ADMIN_KEY,
            "WR_BIND": "127.0.0.1:0",
            "WR_DATA_DIR": folder,
            **{f"WR_{name.upper()}": value for name, value in settings.items()},
        }
        command = [sys.executable, "-m", "wr", "serve"]
        with running_program(command, Path(folder) / "log", environment) as (url, pid):
            yield Server(url, pid)


@contextmanager
def running_program(
    command: list[str], log_file: Path, environment: dict[str, str] | None = None
) -> Iterator[tuple[str, int]]:
    """Run a program that prints its URL in its first line, until the block ends; gives URL and process id.

    Raises:
        RuntimeError: it said something else, or ended by itself and the block failed.
    """
    with log_file.open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True)  # noqa: S603
    try:
        yield _served_at(process, log_file), process.pid
    except Exception as error:
        if process.poll() is not None:
            said = log_file.read_text()[-_LAST_WORDS:]
            raise RuntimeError(f"a server ended early with {process.returncode}: {said}") from error
        raise
    finally:
        _end(process)


def _served_at(process: "subprocess.Popen[str]", log_file: Path) -> str:
    first_line = process.stdout.readline() if process.stdout else ""
    if "serves at " not in first_line:
        raise RuntimeError(f"the server did not start: {log_file.read_text()}")
    return first_line.rpartition("serves at ")[2].strip()


@contextmanager
def _running(command: list[str], folder: Path) -> Iterator[int]:
    with (folder / "store.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: S603 - built from known parts
    try:
        yield process.pid
    finally:
        _end(process)


def _wait_until_it_answers(url: str) -> None:
    with redis.Redis.from_url(url) as client:
        deadline = time.monotonic() + _STORE_START_S
        while True:
            try:
                client.ping()
            except redis.RedisError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
            else:
                return


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
    """Raise the limit on open files of this process and those that it starts to the machine's maximum."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
