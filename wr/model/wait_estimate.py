"""Estimates waiting times from a queue's settings and from the admissions and session ends of the last
minute."""

import math
from collections.abc import Iterable

import msgspec

from wr.model.queue_settings import QueueConfig

WINDOW_S = 60
LONGEST_WAIT_S = 2**31 - 1
"""Upper bound of estimates: with a rate near 0, an estimate would be larger than clients can read."""


class Second(msgspec.Struct, frozen=True):
    """Admissions and session ends in one second."""

    second: int
    admitted: int
    ended: int


class Pace(msgspec.Struct, frozen=True):
    """The rates of the last minute."""

    admitted_per_s: float = 0.0
    ending_per_s: float = 0.0
    """Part of the active sessions that end per second: 0.01 if a session lasts 100 s on average."""


def observe(seconds: Iterable[Second], now_ms: int, since_ms: int, active: int = 0) -> Pace:
    """Compute the rates of the last minute, or since `since_ms` (the queue's creation) if that is later.

    The current second counts too, with the part of it that has passed. The length of sessions is measured by
    the time that visitors spent in them. So it is known as soon as some sessions have ended, and times
    without sessions do not distort it. The number of sessions in each second is computed backwards from
    `active`, the number of active sessions now.
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
    """The expected admissions from now on, as far as they are the same for every position."""

    entry: float
    """Admissions per second while sessions are free."""
    turnover: float
    """Session ends per second when all sessions are taken."""
    fills_in_s: float
    """Seconds until all sessions are taken; infinity if that never happens."""

    def wait_s(self, position: float) -> int:
        """Estimate the whole seconds until `position` (from 1) is admitted; at least 1."""
        wait_s = position / self.entry
        if wait_s <= self.fills_in_s:
            return _whole(wait_s)
        return _whole(self.fills_in_s + (position - self.entry * self.fills_in_s) / self.turnover)


def forecast(config: QueueConfig, active: int, pace: Pace) -> Forecast:
    """Compute the expected admissions.

    While sessions are free, visitors are admitted at the admission rate. Meanwhile sessions end, each with
    the probability that the last minute showed, or with that of the session timeout. If fewer sessions end
    than visitors are admitted, all sessions are taken at some time; from then on, one visitor is admitted
    when one session ends. A paused queue is treated as if its admission went on now.
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
