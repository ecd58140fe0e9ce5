"""How tests are divided among workers: what runs together, what begins first, what a quick run leaves out.

Tests on one engine share a server that takes a second to start, and those in a browser share the browser, so
they stay together in few large groups. Other tests are divided by file.
"""

from zlib import crc32

import pytest

from tests.support.engines import ENGINES, ONE_FOR_EACH_LANE

_SHARES = {"browser": 4, "contract": 2}
"""Into how many groups (for each engine, where there are engines) a folder is divided that takes long."""
_FIRST = ("hostile", "faults", "gate", "store", "rehearse", "container", "events")
"""Folders that begin after those, in this order: what takes long must not begin last."""
_NOT_QUICK_FOLDERS = {"bench", "browser", "container", "faults", "gate", "rehearse"}


def group_of(item: pytest.Item) -> str:
    """Name the group of tests that run on one worker, one after the other: the folder, and its part."""
    folder, _, file = item.nodeid.partition("::")[0].removeprefix("tests/").rpartition("/")
    engine = _engine_of(item)
    if folder not in _SHARES and engine is None:
        return f"{folder}:{file}"
    share = crc32(file.encode()) % _SHARES.get(folder, 1)
    return f"{folder}:{share}" if engine is None else f"{folder}:{share}-{engine}"


def order_of(group: str) -> tuple[int, str, str]:
    """Return by what groups are sorted.

    Groups of the first folders take turns, so that not all workers run a browser at the same time.
    """
    folder, _, part = group.partition(":")
    if folder in _SHARES:
        return 0, part, folder
    return (1 + _FIRST.index(folder) if folder in _FIRST else 1 + len(_FIRST)), folder, part


def is_wanted(item: pytest.Item) -> bool:
    """Whether a test has anything to show on its engine: one marked `any_engine` runs once in each lane."""
    engine = _engine_of(item)
    return engine is None or engine in ONE_FOR_EACH_LANE or item.get_closest_marker("any_engine") is None


def is_in_quick_run(item: pytest.Item) -> bool:
    """Whether a test is short, on the first engine if on any, and needs no browser, proxy or container."""
    folder = item.nodeid.removeprefix("tests/").partition("/")[0]
    return (
        folder not in _NOT_QUICK_FOLDERS
        and item.get_closest_marker("alone") is None
        and _engine_of(item) in (None, ENGINES[0])
    )


def _engine_of(item: pytest.Item) -> str | None:
    callspec = getattr(item, "callspec", None)
    return None if callspec is None else callspec.params.get("engine")
