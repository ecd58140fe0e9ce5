"""Files of the data folder: keys and the store's files, which only their owner may read."""

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import IO

import structlog

log = structlog.get_logger("wr.store")

PRIVATE_UMASK = 0o077
_OTHERS = 0o077
_KEPT = (
    *("lock", "store.lock", "store.log", "store.sock", "admin-key", "recovery.json"),
    *("appendonlydir", "wr.rdb", "temp-*.rdb", "temp-rewriteaof-*.aof", "wr*.dfs"),
)
"""The files of a server and its store in a data folder. The folder may also have files of others."""


def open_private(path: Path, flags: int) -> IO[str]:
    """Open a file to write (`O_WRONLY`) or to read and write. A new file is for its owner only.

    A file that was there before is closed to other users, if possible.
    """
    descriptor = os.open(path, flags | os.O_CREAT | os.O_CLOEXEC, 0o600)
    if not _is_private(descriptor):
        with suppress(OSError):
            os.fchmod(descriptor, 0o600)
    return os.fdopen(descriptor, "w" if flags & os.O_WRONLY else "r+")


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read.

    Raises:
        OSError: it cannot be written, or other users could read it. Then nothing was written.
    """
    with open_private(path, os.O_WRONLY) as file:
        if not _is_private(file.fileno()):
            raise PermissionError(errno.EPERM, "other users could read it", str(path))
        file.truncate()
        file.write(text)


def _is_private(descriptor: int) -> bool:
    return not stat.S_IMODE(os.fstat(descriptor).st_mode) & _OTHERS


def close_to_others(folder: Path) -> None:
    """Remove all rights of other users on the files of a data folder.

    If that fails for a file, an error is logged that says what to do. The server starts all the same, because
    some file systems that containers mount have no owners.
    """
    open_still = []
    for path in (path for pattern in _KEPT for path in sorted(folder.glob(pattern))):
        with suppress(FileNotFoundError):
            mode = stat.S_IMODE(path.stat().st_mode)
            if not mode & _OTHERS:
                continue
            with suppress(OSError):
                path.chmod(mode & ~_OTHERS)
            if stat.S_IMODE(path.stat().st_mode) & _OTHERS:
                open_still.append(path.name)
    if open_still:
        log.error(
            "other users can read keys in the data folder, and this user cannot change that",
            folder=str(folder),
            files=open_still,
            mend=f"chmod -R go= {folder}, as their owner, or give a --data-dir on another file system",
        )
