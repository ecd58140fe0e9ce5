"""Entry point of the one-file `wr`: prepares the unpacked folder and signals, then runs `wr`.

The one-file binary runs as two processes. The outer one has unpacked everything into a folder below the
temporary folder, waits for this one, forwards signals, and removes the folder at the end.
"""

import atexit
import contextlib
import ctypes
import fcntl
import os
import shutil
import signal
import sys
import time
from pathlib import Path

from wr.__main__ import main

_PR_SET_PDEATHSIG = 1
LEFT_BEHIND_S = 600.0
"""Seconds after which an unlocked folder counts as left behind; unpacking takes much less."""


def end_with_the_outer_process() -> None:
    """Make the kernel send SIGTERM to this process when the outer one is killed."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if not _has_outer_process():
        sys.exit("wr: killed while it started")


def _has_outer_process() -> bool:
    try:
        return Path(f"/proc/{os.getppid()}/exe").samefile("/proc/self/exe")
    except OSError:
        return False


def keep_the_folder(folder: Path) -> None:
    """Lock the unpacked folder while this process needs it, and remove it afterwards.

    Programs that clean up temporary folders (systemd-tmpfiles after ten days) leave locked folders alone.
    If the outer process was killed, this process must remove the folder.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    atexit.register(lambda: _has_outer_process() or shutil.rmtree(folder, ignore_errors=True))


def clear_what_others_left(folder: Path, now_s: float) -> None:
    """Remove folders that earlier starts unpacked next to `folder` and no process needs any more.

    A process that is killed together with the outer one, or finds the disk full, leaves a folder behind. A
    folder in use is locked; one that is just being unpacked is not locked yet, but new.
    """
    for other in folder.parent.glob("_MEI*"):
        with contextlib.suppress(OSError):
            facts = other.lstat()
            is_ours = facts.st_uid == os.geteuid() and (other / "wr").is_dir()
            if other == folder or not is_ours or now_s - facts.st_mtime < LEFT_BEHIND_S:
                continue
            descriptor = os.open(other, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(other, ignore_errors=True)
            finally:
                os.close(descriptor)


def give_children_their_own_libraries() -> None:
    """Restore LD_LIBRARY_PATH, so that a store installed on this machine finds its own libraries."""
    before = os.environ.pop("LD_LIBRARY_PATH_ORIG", None)
    os.environ.pop("LD_LIBRARY_PATH", None)
    if before is not None:
        os.environ["LD_LIBRARY_PATH"] = before


if __name__ == "__main__":
    end_with_the_outer_process()
    unpacked = Path(sys._MEIPASS)  # type: ignore[attr-defined]  # set by PyInstaller
    keep_the_folder(unpacked)
    clear_what_others_left(unpacked, time.time())
    give_children_their_own_libraries()
    main()
