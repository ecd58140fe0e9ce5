"""Asking where one stands, and keeping one's place by a heartbeat: `poll.lua`."""

from collections.abc import Sequence
from enum import Enum
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
    "tombstones",
    "limit_status",
    "limit_heartbeat",
)

Place = places.Waiting | places.Admitted | places.Gone | places.Unknown | places.Limited | places.NoQueue
_OTHER: dict[int, Place] = {4: places.UNKNOWN, 6: places.LIMITED, 0: places.NO_QUEUE}


class PollKind(Enum):
    """Whether a poll only asks or keeps the place too, and which limit counts it."""

    STATUS = b"s"
    """Asks; counted as a status call."""
    KEEPING_STATUS = b"t"
    """Asks and keeps the place; counted as a status call."""
    HEARTBEAT = b"h"
    """Keeps the place; counted as a heartbeat."""
    LOOK = b"l"
    """Asks on behalf of an open stream; not counted."""
    KEEP = b"k"
    """Keeps the place of somebody whose stream is alive; not counted."""


class Poll(msgspec.Struct, frozen=True):
    """One person who asks."""

    position_id: bytes
    kind: PollKind
    subject: bytes


class Polled(msgspec.Struct, frozen=True):
    """The answer to one poll."""

    now_ms: int
    queue_length: int
    used: int
    place: Place


class PollScript:
    """Calls of `poll.lua` for two limits."""

    script = load_script("poll")

    def __init__(self, keys: KeyNames, status: Limit, heartbeat: Limit) -> None:
        self._keys = keys
        self._limits = [status.count, status.window_s * 1000, heartbeat.count, heartbeat.window_s * 1000]

    def call(self, queue_id: str, now_ms: int, polls: Sequence[Poll]) -> tuple[list[str], list[Any]]:
        """Spell KEYS and ARGV for these polls of one queue."""
        arguments: list[Any] = [now_ms, *self._limits]
        for poll in polls:
            arguments += (poll.position_id, poll.kind.value, poll.subject)
        return self._keys.queue(queue_id, *_PARTS), arguments

    def replies(self, raw: list[Any]) -> list[Polled]:
        """Read the reply: one answer per poll, in order."""
        now_ms, length = raw[0], raw[1]
        return [
            Polled(now_ms, length, raw[at + 3], _place(raw[at], raw[at + 1], raw[at + 2]))
            for at in range(2, len(raw), 4)
        ]


def _place(outcome: int, first: int, second: int) -> Place:
    if outcome == 1:
        return places.Waiting(first)
    if outcome == 2:
        return places.Admitted(first, second)
    if outcome == 3:
        return places.Gone(first, places.Reason(second))
    return _OTHER[outcome]
