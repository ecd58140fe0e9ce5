"""Ending a place or a session before its time: `leave.lua`."""

from collections.abc import Sequence

import msgspec

from wr.model.limits import Limit
from wr.model.places import UNKNOWN, Gone, Reason, Unknown, Unserved
from wr.store.key_names import KeyNames
from wr.store.script import Argument, Script, ScriptCall, load_script

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
_OTHER: dict[int, Unknown | Unserved] = {4: UNKNOWN, 6: Unserved.LIMITED, 0: Unserved.NO_QUEUE}


class Departure(msgspec.Struct, frozen=True):
    """One place or session to end."""

    position_id: bytes
    reason: Reason
    session_only: bool
    """Whether a visitor that still waits is left alone."""
    subject: bytes
    """What the limit counts by; empty if the departure is not counted."""


class Departed(msgspec.Struct, frozen=True):
    """The answer to one departure."""

    now_ms: int
    used: int
    """Requests of this subject in this window, this one included; 0 where there is no limit."""
    ended_now: bool
    """Whether this call ended the place or the session."""
    took_session: bool
    """Whether this call took a session out, even one whose time was over: no pass will report it."""
    place: Gone | Unknown | Unserved


class LeaveScript:
    """Calls of `leave.lua` for one limit."""

    script: Script[list[int]] = load_script("leave")

    def __init__(self, keys: KeyNames, status: Limit) -> None:
        self._keys = keys
        self._limit = status

    def call(self, queue_id: str, now_ms: int, departures: Sequence[Departure]) -> ScriptCall:
        """Spell KEYS and ARGV for these departures from one queue."""
        arguments: list[Argument] = [now_ms, self._limit.count, self._limit.window_s * 1000]
        for departure in departures:
            arguments += (
                departure.position_id,
                b"s" if departure.session_only else b"p",
                int(departure.reason),
                departure.subject,
            )
        return self._keys.queue(queue_id, *_PARTS), arguments

    def replies(self, raw: list[int]) -> list[Departed]:
        """Read the reply: one answer per departure, in order."""
        now_ms = raw[0]
        return [_departed(now_ms, *raw[at : at + 4]) for at in range(2, len(raw), 4)]


def _departed(now_ms: int, outcome: int, ended_ms: int, reason: int, used: int) -> Departed:
    place = Gone(ended_ms, Reason(reason)) if outcome in (1, 2, 3, 5) else _OTHER[outcome]
    return Departed(now_ms, used, outcome in (1, 2), outcome in (2, 5), place)
