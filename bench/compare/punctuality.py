"""Whether live updates come when they are promised."""

from collections.abc import Sequence

INTERVAL_S = 2.0
TOLERANCE_S = 1.0
GROUPS = (("front", 100, 1), ("near", 1_000, 2), ("far", None, 5))
"""Name, last position (None: no last), and how many intervals apart updates are promised."""

Gap = tuple[int, float]
"""The position told by an update, and the seconds until the next one."""


def group_of(position: int) -> str:
    """Name the group that a position belongs to."""
    return next(name for name, last, _ in GROUPS if last is None or position <= last)


def promised_s(position: int) -> float:
    """Tell how long after this position was told the next update is promised, while the line moves."""
    return next(rounds * INTERVAL_S for _, last, rounds in GROUPS if last is None or position <= last)


def share_on_time(gaps: Sequence[Gap]) -> float:
    """Tell which share of updates came within the promised time and 1 s more; NaN when there were none."""
    if not gaps:
        return float("nan")
    return sum(gap <= promised_s(position) + TOLERANCE_S for position, gap in gaps) / len(gaps)


class Diary:
    """When one stream was told what, since watching began."""

    __slots__ = ("_position", "_told_at")

    def __init__(self) -> None:
        self._position = 0
        self._told_at: float | None = None

    def told(self, position: int, now: float, since: float | None) -> Gap | None:
        """Note an update; returns the gap it ends, if that began after `since` (None: nobody watches yet)."""
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
