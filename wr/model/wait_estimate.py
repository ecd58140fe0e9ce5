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
    """What the last minute showed."""

    admitted_per_s: float = 0.0
    ending_per_s: float = 0.0
    """How many of the sessions that are on end per second: 0.01 where one lasts 100 s on average."""


def observe(seconds: Iterable[Second], now_ms: int, since_ms: int, active: int = 0) -> Pace:
    """Average what happened over the last minute, or since `since_ms` (the queue's creation) if later.

    The second that is still running counts, both what happened in it and the part of it that is over. How
    long sessions last is measured by the time that people spent inside, so that it is known as soon as some
    have ended, and not diluted by the time when nobody was there: `active`, the sessions that are on now,
    followed backwards, is how many were inside in each second.
    """
    now_s = now_ms / 1000
    span_s = min(WINDOW_S, max(1.0, now_s - since_ms / 1000))
    newest = math.floor(now_s)
    recent = {second.second: second for second in seconds if newest - WINDOW_S < second.second <= newest}
    ended = sum(second.ended for second in recent.values())
    inside_s = 0.0
    at_end = active
    for number in range(newest, newest - WINDOW_S, -1):
        second = recent.get(number)
        at_start = at_end if second is None else max(0, at_end - second.admitted + second.ended)
        inside_s += (at_start + at_end) / 2 * min(1.0, now_s - number)
        at_end = at_start
    return Pace(
        admitted_per_s=sum(second.admitted for second in recent.values()) / span_s,
        ending_per_s=ended / inside_s if inside_s else 0.0,
    )


class Forecast(msgspec.Struct, frozen=True):
    """How people will get in from now on: what is the same for every position in line."""

    entry: float
    """People let in per second while the room has space."""
    turnover: float
    """Sessions that end per second in a full room."""
    fills_in_s: float
    """Seconds until the room is full; infinity if it never will be."""

    def wait_s(self, position: float) -> int:
        """Estimate the whole seconds until the admission at `position` (from 1) from now on; at least 1."""
        wait_s = position / self.entry
        if wait_s <= self.fills_in_s:
            return _whole(wait_s)
        return _whole(self.fills_in_s + (position - self.entry * self.fills_in_s) / self.turnover)


def forecast(config: QueueConfig, active: int, pace: Pace) -> Forecast:
    """Foresee how people get in.

    People get in at the admission rate while the room has space. Sessions end meanwhile, the more the fuller
    it is, each with the chance that the last minute showed, or that their time-out alone gives. Where a full
    room would free places more slowly than people get in, it fills up; from then on one gets in when one
    leaves. A pause is not foreseen: the estimate is what it would be if people were let in from now on.
    """
    entry = config.admission_rate
    ending = max(pace.ending_per_s, 1 / config.session_timeout_seconds)
    turnover = ending * config.max_active_users
    fills_in_s = math.inf
    if entry > turnover:
        space_left = (entry - ending * min(active, config.max_active_users)) / (entry - turnover)
        fills_in_s = math.log(space_left) / ending
    return Forecast(entry, turnover, fills_in_s)


def _whole(wait_s: float) -> int:
    return math.ceil(wait_s) if 1 < wait_s < LONGEST_WAIT_S else 1 if wait_s <= 1 else LONGEST_WAIT_S
