"""A queue's history: what notes taken at the beginning of each step make of the time between them."""

from collections.abc import Iterable
from enum import StrEnum

import msgspec


class HistorySpan(StrEnum):
    """How far back a history goes, and in which steps."""

    QUARTER_HOUR = "15m"
    """90 steps of 10 seconds."""
    DAY = "24h"
    """288 steps of 5 minutes."""

    @property
    def step_s(self) -> int:
        """Seconds that one step lasts."""
        return 10 if self is HistorySpan.QUARTER_HOUR else 300

    @property
    def most_points(self) -> int:
        """Steps that the span has."""
        return 90 if self is HistorySpan.QUARTER_HOUR else 288


class HistoryNote(msgspec.Struct, frozen=True):
    """How a queue stood at one moment: `at_ms` since 1970, and counts since the queue was made."""

    at_ms: int
    waiting: int
    active: int
    joined: int
    admitted: int
    expired: int
    cancelled: int
    waited_ms: int
    """What all those admitted waited, together."""


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """One step: how it began, and what happened in it, per second."""

    at_ms: int
    """When the step begins; a multiple of its length."""
    waiting: int
    active: int
    joined_per_s: float
    admitted_per_s: float
    expired_per_s: float
    cancelled_per_s: float
    average_wait_s: float | None
    """Of those admitted in this step; None when nobody was."""


def points_of(notes: Iterable[HistoryNote], now_ms: int, span: HistorySpan) -> list[Point]:
    """Make the points of all steps that are over and within the span, oldest first.

    A step is left out when it has no note or the next has none (no server ran when they began), when less
    than half of it lies between the two (servers had just started, and a rate of so little means nothing), or
    when a count fell (the store was set back). A step that is told once is told the same ever after.
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
    # What passed between the notes, not the step's length: a pass comes a little after a step begins.
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
