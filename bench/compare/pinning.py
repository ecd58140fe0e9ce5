"""Pins processes to processors: the server gets one; load generator and store share the other."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import msgspec


class Pinning(msgspec.Struct, frozen=True):
    """The processors of this run; None if processes cannot be pinned."""

    server: int | None
    load: int | None
    note: str

    def load_prefix(self) -> list[str]:
        """Return the prefix that starts a command on the load's processor."""
        return [] if self.load is None else ["taskset", "-c", str(self.load)]

    def pin_server(self, pid: int) -> None:
        """Pin a process, with all present and future threads, to the server's processor."""
        _pin(pid, self.server)

    def pin_load(self, pid: int) -> None:
        """Pin a process, with all present and future threads, to the load's processor."""
        _pin(pid, self.load)

    @contextmanager
    def here_as_server(self) -> Iterator[None]:
        """Run this process on the server's processor until the block ends."""
        self.pin_server(os.getpid())
        try:
            yield
        finally:
            self.pin_load(os.getpid())


def choose_pinning(is_wanted: bool = True) -> Pinning:
    """Choose the first two processors that this process may use."""
    if not is_wanted:
        return Pinning(None, None, "not pinned: every process runs where the system puts it")
    if not hasattr(os, "sched_setaffinity") or shutil.which("taskset") is None:
        return Pinning(None, None, "not pinned: this system has no taskset")
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        return Pinning(None, None, "not pinned: there is one processor only")
    return Pinning(
        usable[0], usable[1], f"server on processor {usable[0]}; load generator and store on {usable[1]}"
    )


def _pin(pid: int, processor: int | None) -> None:
    if processor is None:
        return
    # A new thread inherits the setting from the thread that starts it; existing threads must be set.
    with suppress(FileNotFoundError):
        for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - names, not paths
            with suppress(ProcessLookupError):
                os.sched_setaffinity(int(thread), {processor})
