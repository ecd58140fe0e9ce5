"""Checks whether live updates arrive within the promised time."""

from collections.abc import Sequence

INTERVAL_S = 2.0
TOLERANCE_S = 1.0
GROUPS = (("front", 100, 1), ("near", 1_000, 2), ("far", None, 5))
"""Name, last position (None means no last one), and promised number of intervals between updates."""

Gap = tuple[int, float]
"""The position in an update, and the seconds until the next update."""


def group_of(position: int) -> str:
    """Return the name of a position's group."""
    return next(name for name, last, _ in GROUPS if last is None or position <= last)


def promised_s(position: int) -> float:
    """Return the promised seconds until the next update after this position, while the queue moves."""
    return next(rounds * INTERVAL_S for _, last, rounds in GROUPS if last is None or position <= last)


def share_on_time(gaps: Sequence[Gap]) -> float:
    """Return the share of updates within the promised time plus 1 s; NaN if there were none."""
    if not gaps:
        return float("nan")
    return sum(gap <= promised_s(position) + TOLERANCE_S for position, gap in gaps) / len(gaps)


class Diary:
    """The updates of one stream since watching began."""

    __slots__ = ("_position", "_told_at")

    def __init__(self) -> None:
        self._position = 0
        self._told_at: float | None = None

    def told(self, position: int, now: float, since: float | None) -> Gap | None:
        """Record an update; returns the gap that it ends, if that began after `since` (None means not
        watching)."""
        gap = None
        if since is not None and self._told_at is not None and self._told_at >= since:
            gap = (self._position, now - self._told_at)
        self._position, self._told_at = position, now
        return gap

    def unfinished(self, now: float, since: float) -> Gap | None:
        """Return the gap that is open at the end of watching if an update is overdue, else None."""
        if self._told_at is None:
            return None
        gap = (self._position, now - max(self._told_at, since))
        return gap if gap[1] > promised_s(self._position) + TOLERANCE_S else None
