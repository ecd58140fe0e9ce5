"""How tests are divided among workers: what runs together, what begins first, what a quick run leaves out.

Tests on one engine share a server that takes a second to start, so they stay on one worker. Other tests are
divided by file.
"""

import pytest

from tests.support.engines import ENGINES, ONE_FOR_EACH_LANE

_FIRST = ("contract-", "browser-", "hostile-", "faults/", "gate/", "store-", "rehearse/", "container/")
"""Beginnings of groups' names, those that take longest first: whatever begins last is waited for alone."""
_NOT_QUICK_FOLDERS = {"bench", "browser", "container", "faults", "gate", "rehearse"}


def group_of(item: pytest.Item) -> str:
    """Name the group of tests that run on one worker, one after the other."""
    folder, _, file = item.nodeid.partition("::")[0].removeprefix("tests/").rpartition("/")
    engine = _engine_of(item)
    if engine is not None:
        return f"{folder}-{engine}"
    if folder == "browser":
        # Two browsers at once are as much as two cores bear.
        return "browser-console" if file.startswith("test_console") else "browser-pages"
    return f"{folder}/{file}"


def order_of(group: str) -> tuple[int, str]:
    """Return by what groups are sorted."""
    ranks = (rank for rank, beginning in enumerate(_FIRST) if group.startswith(beginning))
    return next(ranks, len(_FIRST)), group


def is_wanted(item: pytest.Item) -> bool:
    """Whether a test has anything to show on its engine: one marked `any_engine` runs once in each lane."""
    engine = _engine_of(item)
    return engine is None or engine in ONE_FOR_EACH_LANE or item.get_closest_marker("any_engine") is None


def is_in_quick_run(item: pytest.Item) -> bool:
    """Whether a test needs no browser, proxy or container, is not long, and is the first of its engine."""
    folder = item.nodeid.removeprefix("tests/").partition("/")[0]
    return (
        folder not in _NOT_QUICK_FOLDERS
        and item.get_closest_marker("alone") is None
        and _engine_of(item) in (None, ENGINES[0])
    )


def _engine_of(item: pytest.Item) -> str | None:
    callspec = getattr(item, "callspec", None)
    return None if callspec is None else callspec.params.get("engine")
