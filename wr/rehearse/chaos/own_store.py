"""Runs the store of a rehearsal with faults, empties it, and sets it back to older snapshots."""

import shlex
import shutil
import socket
from pathlib import Path

from wr.rehearse.chaos.own_processes import OwnProcess, own_environment
from wr.store.engines import find_engine

_SNAPSHOTS_KEPT = 2
_LONGEST_SOCKET_PATH = 100


class BadCommand(Exception):
    """The operator's command for a store cannot be used. The message is the reason."""


class OwnStore:
    """A store with its own folder.

    By default it is the engine that `wr serve` embeds; Valkey then writes its append-only file. The operator
    may give a command that starts another store.
    """

    def __init__(self, folder: Path, command: str) -> None:
        """Prepare the store. `command` contains `{folder}`, and `{port}` or `{socket}`; empty for the
        default.

        Raises:
            BadCommand: the command cannot be used.
        """
        self._data = folder / "store"
        self._data.mkdir()
        self._snapshots = [folder / f"snapshot-{number}" for number in range(_SNAPSHOTS_KEPT)]
        self._taken_s: list[float] = []
        address = folder / "store.sock"
        self.url = f"unix://{address}"
        if command:
            port = _free_port()
            words = _filled(command, port, address, self._data)
            if "{port}" in command:
                self.url = f"redis://127.0.0.1:{port}"
            self.keeps_all = False
            self.name = Path(words[0]).name
        else:
            engine = find_engine()
            words = engine.command(self._data, address, "everysec")
            # DragonflyDB has no append-only file: a kill loses everything since its last snapshot.
            self.keeps_all = engine.name == "valkey"
            self.name = engine.name
        if len(str(address)) > _LONGEST_SOCKET_PATH and self.url.startswith("unix:"):
            raise BadCommand(f"the path {address} is too long for a socket; set TMPDIR to a shorter one")
        self.process = OwnProcess("the store", words, folder / "store.log", own_environment())

    def take_snapshot(self, now_s: float) -> None:
        """Copy the data on disk. Keeps the two newest copies; `rewind` uses the older one."""
        newest = self._snapshots[len(self._taken_s) % _SNAPSHOTS_KEPT]
        shutil.rmtree(newest, ignore_errors=True)
        # The store may be writing. It cuts off an incomplete last command of an append-only file when it
        # loads it. If a file was renamed meanwhile, the copy is useless, and the earlier one stays.
        try:
            shutil.copytree(self._data, newest)
        except (OSError, shutil.Error):
            shutil.rmtree(newest, ignore_errors=True)
            return
        self._taken_s.append(now_s)

    def forget(self) -> None:
        """Empty the folder. The store must not be running."""
        shutil.rmtree(self._data)
        self._data.mkdir()

    def rewind(self) -> float:
        """Restore the older snapshot. The store must not be running.

        Returns the time of the snapshot. Without one, empties the folder and returns -inf.
        """
        if not self._taken_s:
            self.forget()
            return float("-inf")
        at = max(0, len(self._taken_s) - _SNAPSHOTS_KEPT)
        snapshot = self._snapshots[at % _SNAPSHOTS_KEPT]
        shutil.rmtree(self._data)
        shutil.copytree(snapshot, self._data)
        return self._taken_s[at]


def _filled(command: str, port: int, address: Path, data: Path) -> list[str]:
    if "{folder}" not in command or ("{port}" not in command and "{socket}" not in command):
        raise BadCommand("the command for a store must contain {folder}, and {port} or {socket}")
    try:
        words = [
            word.replace("{port}", str(port)).replace("{socket}", str(address)).replace("{folder}", str(data))
            for word in shlex.split(command)
        ]
    except ValueError as error:
        raise BadCommand(f"the command for a store cannot be read: {error}") from error
    binary = shutil.which(words[0])
    if binary is None:
        raise BadCommand(f"there is no command '{words[0]}'")
    return [binary, *words[1:]]


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def free_ports(count: int) -> list[int]:
    """Find `count` free ports on loopback."""
    ports: set[int] = set()
    while len(ports) < count:
        ports.add(_free_port())
    return sorted(ports)
