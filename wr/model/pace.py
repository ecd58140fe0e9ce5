"""How fast people really get in, and what that makes of a place in line."""

import math
from collections.abc import Iterable

import msgspec

from wr.model.queue import QueueConfig

WINDOW_S = 60
LONGEST_WAIT_S = 2**31 - 1
"""More than any estimate can mean; a rate of almost nothing would make it more than clients can read."""


class Second(msgspec.Struct, frozen=True):
    """What happened in one second: people let in, sessions ended."""

    second: int
    admitted: int
    ended: int


class Pace(msgspec.Struct, frozen=True):
    """What the last minute showed, per second."""

    admitted_per_s: float = 0.0
    ended_per_s: float = 0.0


def observe(seconds: Iterable[Second], now_ms: int, since_ms: int) -> Pace:
    """Average what happened over the last minute, or since `since_ms` (the queue's creation) if later.

    The second that is still running counts, both what happened in it and the part of it that is over.
    """
    now_s = now_ms / 1000
    span_s = min(WINDOW_S, max(1.0, now_s - since_ms / 1000))
    oldest = math.floor(now_s) - WINDOW_S
    recent = [second for second in seconds if oldest < second.second <= now_s]
    return Pace(
        admitted_per_s=sum(second.admitted for second in recent) / span_s,
        ended_per_s=sum(second.ended for second in recent) / span_s,
    )


def estimated_wait_s(position: int, config: QueueConfig, active: int, pace: Pace) -> int:
    """Estimate the whole seconds until the person at `position` (from 1) is let in; at least 1.

    While the room has space people get in at the admission rate, and the space shrinks by that rate less
    the sessions that end meanwhile. Once it is full, one gets in when one leaves: at the rate sessions were
    seen to end over the last minute, or, before any has, at the rate their time-out alone would free places.
    A pause is not foreseen: the estimate is what it would be if people were let in from now on.
    """
    entry = config.admission_rate
    free = max(0, config.max_active_users - active)
    fills_in_s = free / (entry - pace.ended_per_s) if entry > pace.ended_per_s else math.inf
    if position <= entry * fills_in_s:
        return _whole(position / entry)
    turnover = pace.ended_per_s or config.max_active_users / config.session_timeout_seconds
    return _whole(fills_in_s + (position - entry * fills_in_s) / min(entry, turnover))


def _whole(wait_s: float) -> int:
    return max(1, math.ceil(min(wait_s, LONGEST_WAIT_S)))
