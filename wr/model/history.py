"""A queue's history for charts: computes rates from counts that were noted at the start of each time step."""

from collections.abc import Iterable
from enum import StrEnum

import msgspec


class HistorySpan(StrEnum):
    """The length of a history and of its steps."""

    QUARTER_HOUR = "15m"
    """90 steps of 10 seconds."""
    DAY = "24h"
    """288 steps of 5 minutes."""

    @property
    def step_s(self) -> int:
        """Length of a step in seconds."""
        return 10 if self is HistorySpan.QUARTER_HOUR else 300

    @property
    def most_points(self) -> int:
        """Number of steps in the span."""
        return 90 if self is HistorySpan.QUARTER_HOUR else 288


class HistoryNote(msgspec.Struct, frozen=True):
    """The state of a queue at one time (`at_ms` since 1970), and its counts since it was created."""

    at_ms: int
    waiting: int
    active: int
    joined: int
    admitted: int
    expired: int
    cancelled: int
    waited_ms: int
    """Total waiting time of all admitted visitors."""


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """One step: the state at its start, and its rates per second."""

    at_ms: int
    """Start of the step, a multiple of its length."""
    waiting: int
    active: int
    joined_per_s: float
    admitted_per_s: float
    expired_per_s: float
    cancelled_per_s: float
    average_wait_s: float | None
    """Average wait of the visitors admitted in this step; None if there were none."""


def points_of(notes: Iterable[HistoryNote], now_ms: int, span: HistorySpan) -> list[Point]:
    """Compute the points of all finished steps within the span, oldest first.

    A step is left out in three cases: it or the next step has no note (no server ran then); less than half of
    the step lies between the two notes (a server had just started, so rates would mean little); or a count
    fell (the store was set back). Once a step is returned, it never changes.
    """
    step_ms = span.step_s * 1000
    by_step = {note.at_ms // step_ms: note for note in notes}
    present = now_ms // step_ms
    found = []
    for number in range(present - span.most_points, present):
        begin, end = by_step.get(number), by_step.get(number + 1)
        if begin is not None and end is not None:
            point = _between(number * step_ms, begin, end)
            if (end.at_ms - begin.at_ms) * 2 >= step_ms and point is not None:
                found.append(point)
    return found


def _between(at_ms: int, begin: HistoryNote, end: HistoryNote) -> Point | None:
    joined = end.joined - begin.joined
    admitted = end.admitted - begin.admitted
    expired = end.expired - begin.expired
    cancelled = end.cancelled - begin.cancelled
    if min(joined, admitted, expired, cancelled) < 0:
        return None
    # The time between the notes, not the length of the step: notes are taken shortly after a step starts.
    lasted_s = (end.at_ms - begin.at_ms) / 1000
    return Point(
        at_ms=at_ms,
        waiting=begin.waiting,
        active=begin.active,
        joined_per_s=joined / lasted_s,
        admitted_per_s=admitted / lasted_s,
        expired_per_s=expired / lasted_s,
        cancelled_per_s=cancelled / lasted_s,
        average_wait_s=(end.waited_ms - begin.waited_ms) / admitted / 1000 if admitted else None,
    )
