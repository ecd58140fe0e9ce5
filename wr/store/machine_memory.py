"""How much memory a process may use here: that of the machine, or the limit of its container."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def memory_bytes(root: Path = Path("/")) -> int:
    """Read how many bytes a process may use; 0 if that is not known. `root` is where /proc and /sys are."""
    found = [limit for limit in _limits(root) if limit > 0]
    with suppress(OSError, ValueError):
        found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return min(found, default=0)


def _limits(root: Path) -> Iterator[int]:
    """List the limits of the control groups of this process and of all groups around them; 0 for no limit.

    In a container its own group is at the root, whatever path it has outside.
    """
    for name, path in _groups(root):
        folder, limit = (
            ("sys/fs/cgroup", "memory.max") if not name else ("sys/fs/cgroup/memory", "memory.limit_in_bytes")
        )
        for each in (path, *path.parents):
            yield _number(root / folder / each.relative_to("/") / limit)


def _groups(root: Path) -> Iterator[tuple[str, Path]]:
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, names, path = line.split(":", 2)
        if not names or "memory" in names.split(","):
            yield names, Path(path)


def _number(file: Path) -> int:
    try:
        return int(file.read_text())
    except (OSError, ValueError):  # There is no such group, or its limit is `max`.
        return 0
