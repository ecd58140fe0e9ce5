"""What the one-file `wr` runs: settles into being two processes with an unpacked folder, then is `wr`.

The outer process has unpacked everything into a folder of its own below the temporary folder, waits for this
one, hands signals on, and removes the folder at the end.
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
"""Far longer than it takes to unpack."""


def end_with_the_outer_process() -> None:
    """Have the system stop this process, in order, when the outer one is killed."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if not _has_outer_process():
        sys.exit("wr: killed while it started")


def _has_outer_process() -> bool:
    try:
        return Path(f"/proc/{os.getppid()}/exe").samefile("/proc/self/exe")
    except OSError:
        return False


def keep_the_folder(folder: Path) -> None:
    """Keep what is unpacked for as long as it is needed, and not longer.

    Whoever cleans up the temporary folder (systemd-tmpfiles does after ten days) leaves alone what is locked.
    When the outer process was killed, nobody but this one is left to remove it.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    atexit.register(lambda: _has_outer_process() or shutil.rmtree(folder, ignore_errors=True))


def clear_what_others_left(folder: Path, now_s: float) -> None:
    """Remove what earlier starts unpacked beside `folder` and nobody needs any more.

    Who is killed together with the outer process, or finds the disk full, leaves a folder behind. One that is
    needed is locked; one that is being unpacked just now is not yet, but is new.
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
    """Have a store that is installed on this machine find the libraries it was made for."""
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
