"""The store of a rehearsal with faults: started, killed, emptied, and set back to an older snapshot."""

import shlex
import shutil
import socket
from pathlib import Path

from wr.rehearse.chaos.own_processes import OwnProcess, own_environment
from wr.store.engines import find_engine

_SNAPSHOTS_KEPT = 2
_LONGEST_SOCKET_PATH = 100


class BadCommand(Exception):
    """The operator's command for a store cannot be used; the message says why."""


class OwnStore:
    """A store in a folder of its own.

    By default it is the engine that `wr serve` embeds, with its append-only file if it is Valkey. With a
    command of the operator's it is that.
    """

    def __init__(self, folder: Path, command: str) -> None:
        """Lay it out; `command` starts a store, with `{port}` or `{socket}` and `{folder}` in it.

        Raises:
            BadCommand: it cannot be used.
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
            # DragonflyDB has no append-only file: a kill costs what came since its last snapshot.
            self.keeps_all = engine.name == "valkey"
            self.name = engine.name
        if len(str(address)) > _LONGEST_SOCKET_PATH and self.url.startswith("unix:"):
            raise BadCommand(f"the path {address} is too long for a socket; set TMPDIR to a shorter one")
        self.process = OwnProcess("the store", words, folder / "store.log", own_environment())

    def take_snapshot(self, now_s: float) -> None:
        """Keep a copy of what is on disk, and of the two newest the older for `rewind`."""
        newest = self._snapshots[len(self._taken_s) % _SNAPSHOTS_KEPT]
        shutil.rmtree(newest, ignore_errors=True)
        # The store may be writing: of an append-only file it cuts off a last command that is not whole. A
        # file that was renamed meanwhile makes the copy useless, and the one before stays.
        try:
            shutil.copytree(self._data, newest)
        except (OSError, shutil.Error):
            shutil.rmtree(newest, ignore_errors=True)
            return
        self._taken_s.append(now_s)

    def forget(self) -> None:
        """Empty the folder of a store that was killed."""
        shutil.rmtree(self._data)
        self._data.mkdir()

    def rewind(self) -> float:
        """Put the older snapshot back under a store that was killed; returns its time, -inf for none."""
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
        raise BadCommand("the command for a store must have {folder} in it, and {port} or {socket}")
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
    """Find so many ports of loopback that nothing listens on."""
    ports: set[int] = set()
    while len(ports) < count:
        ports.add(_free_port())
    return sorted(ports)
