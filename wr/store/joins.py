"""Joining the line: `enqueue.lua`."""

from collections.abc import Sequence
from typing import Any

import msgspec

from wr.model import places
from wr.model.limits import Limit
from wr.store.keys import Keys
from wr.store.script import load_script

_PARTS = (
    "config",
    "waiting",
    "seen",
    "sessions",
    "records",
    "extras",
    "people",
    "counters",
    "enqueue_even",
    "enqueue_odd",
)
_ARRIVAL_SPAN = 2**48
_ARRIVAL_EPOCH_MS = 1_704_067_200_000
_ARRIVALS_PER_MS = 256


class Join(msgspec.Struct, frozen=True):
    """One person who wants into line."""

    new_id: bytes
    """16 bytes that name the place if it is a new one."""
    known_id: bytes
    """The place that a token proves, or empty."""
    priority: int
    subject: bytes
    """Whom the limit counts."""
    person: bytes
    """16 bytes that recognise the person, or empty."""
    metadata: bytes
    """JSON kept beside the place, or empty."""


class InLine(msgspec.Struct, frozen=True):
    """A place in line, with what its token must say."""

    is_new: bool
    position: int
    priority: int
    enqueued_ms: int


JoinPlace = InLine | places.Admitted | places.Full | places.Closed | places.Limited | places.NoQueue
_OTHER: dict[int, JoinPlace] = {4: places.FULL, 5: places.CLOSED, 6: places.LIMITED, 0: places.NO_QUEUE}


class Joined(msgspec.Struct, frozen=True):
    """The answer to one join."""

    now_ms: int
    queue_length: int
    position_id: bytes
    used: int
    """Requests of this subject in this window, this one included; 0 where there is no limit."""
    place: JoinPlace


class JoinScript:
    """Calls of `enqueue.lua` for one limit."""

    script = load_script("enqueue")

    def __init__(self, keys: Keys, limit: Limit) -> None:
        self._keys = keys
        self._limit = limit

    def call(self, queue_id: str, now_ms: int, joins: Sequence[Join]) -> tuple[list[str], list[Any]]:
        """Spell KEYS and ARGV for these joins of one queue."""
        arguments: list[Any] = [now_ms, self._limit.count, self._limit.window_s * 1000]
        for join in joins:
            arguments += (
                join.new_id,
                join.known_id,
                join.priority,
                join.subject,
                join.person,
                join.metadata,
            )
        return self._keys.queue(queue_id, *_PARTS), arguments

    def replies(self, raw: list[Any]) -> list[Joined]:
        """Read the reply: one answer per join, in order."""
        now_ms, length = raw[0], raw[1]
        return [
            Joined(now_ms, length, raw[at + 1], raw[at + 4], _place(raw[at], raw[at + 2], raw[at + 3]))
            for at in range(2, len(raw), 5)
        ]


def _place(outcome: int, first: Any, second: Any) -> JoinPlace:
    if outcome in (1, 2):
        score = int(second)
        return InLine(
            is_new=outcome == 1,
            position=first,
            priority=3 - score // _ARRIVAL_SPAN,
            enqueued_ms=score % _ARRIVAL_SPAN // _ARRIVALS_PER_MS + _ARRIVAL_EPOCH_MS,
        )
    if outcome == 3:
        return places.Admitted(int(first), int(second))
    return _OTHER[outcome]
