"""Ending a place or a session before its time: `leave.lua`."""

from collections.abc import Sequence
from typing import Any

import msgspec

from wr.model import places
from wr.model.limits import Limit
from wr.store.key_names import KeyNames
from wr.store.script import load_script

_PARTS = (
    "config",
    "waiting",
    "seen",
    "sessions",
    "records",
    "extras",
    "people",
    "tombstones",
    "counters",
    "ring",
    "addresses",
    "limit_status",
)

State = places.Gone | places.Unknown | places.Limited | places.NoQueue
_OTHER: dict[int, State] = {4: places.UNKNOWN, 6: places.LIMITED, 0: places.NO_QUEUE}


class Departure(msgspec.Struct, frozen=True):
    """One place or session to end."""

    position_id: bytes
    reason: places.Reason
    session_only: bool
    """Whether someone who still waits is left alone."""
    subject: bytes
    """Whom the limit counts; empty when it is not counted."""


class Departed(msgspec.Struct, frozen=True):
    """The answer to one departure: `ended_now` tells whether this call ended it."""

    now_ms: int
    used: int
    ended_now: bool
    took_session: bool
    """Whether this call took a session out, be it one whose time was over: no pass will report it."""
    state: State


class LeaveScript:
    """Calls of `leave.lua` for one limit."""

    script = load_script("leave")

    def __init__(self, keys: KeyNames, status: Limit) -> None:
        self._keys = keys
        self._limit = status

    def call(
        self, queue_id: str, now_ms: int, departures: Sequence[Departure]
    ) -> tuple[list[str], list[Any]]:
        """Spell KEYS and ARGV for these departures from one queue."""
        arguments: list[Any] = [now_ms, self._limit.count, self._limit.window_s * 1000]
        for departure in departures:
            arguments += (
                departure.position_id,
                b"s" if departure.session_only else b"p",
                int(departure.reason),
                departure.subject,
            )
        return self._keys.queue(queue_id, *_PARTS), arguments

    def replies(self, raw: list[Any]) -> list[Departed]:
        """Read the reply: one answer per departure, in order."""
        return [
            Departed(
                raw[0],
                raw[at + 3],
                raw[at] in (1, 2),
                raw[at] in (2, 5),
                _state(raw[at], raw[at + 1], raw[at + 2]),
            )
            for at in range(2, len(raw), 4)
        ]


def _state(outcome: int, ended_ms: int, reason: int) -> State:
    if outcome in (1, 2, 3, 5):
        return places.Gone(ended_ms, places.Reason(reason))
    return _OTHER[outcome]
