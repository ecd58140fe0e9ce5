"""Asking where a visitor stands, and keeping its place by a heartbeat: `poll.lua`."""

from collections.abc import Sequence
from enum import Enum

import msgspec

from wr.model.limits import Limit
from wr.model.places import UNKNOWN, Admitted, Gone, Place, Reason, Unserved, Waiting
from wr.store.key_names import KeyNames
from wr.store.script import Argument, Script, ScriptCall, load_script

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
_OTHER: dict[int, Place | Unserved] = {4: UNKNOWN, 6: Unserved.LIMITED, 0: Unserved.NO_QUEUE}


class PollKind(Enum):
    """Whether a poll keeps the place, and which limit counts it."""

    STATUS = b"s"
    """Asks. Counted as a status call."""
    KEEPING_STATUS = b"t"
    """Asks and keeps the place. Counted as a status call."""
    HEARTBEAT = b"h"
    """Keeps the place. Counted as a heartbeat."""
    LOOK = b"l"
    """Asks for an open stream. Not counted."""
    KEEP = b"k"
    """Keeps the place of a visitor whose stream is alive. Not counted."""


class Poll(msgspec.Struct, frozen=True):
    """One question about one visitor."""

    position_id: bytes
    kind: PollKind
    subject: bytes
    """What the limit counts by; ignored by the kinds that are not counted."""


class Polled(msgspec.Struct, frozen=True):
    """The answer to one poll."""

    now_ms: int
    queue_length: int
    used: int
    """Requests of this subject in this window, this one included; 0 where there is no limit."""
    place: Place | Unserved


class PollScript:
    """Calls of `poll.lua` for two limits."""

    script: Script[list[int]] = load_script("poll")

    def __init__(self, keys: KeyNames, status: Limit, heartbeat: Limit) -> None:
        self._keys = keys
        self._limits = (status.count, status.window_s * 1000, heartbeat.count, heartbeat.window_s * 1000)

    def call(self, queue_id: str, now_ms: int, polls: Sequence[Poll]) -> ScriptCall:
        """Spell KEYS and ARGV for these polls of one queue."""
        arguments: list[Argument] = [now_ms, *self._limits]
        for poll in polls:
            arguments += (poll.position_id, poll.kind.value, poll.subject)
        return self._keys.queue(queue_id, *_PARTS), arguments

    def replies(self, raw: list[int]) -> list[Polled]:
        """Read the reply: one answer per poll, in order."""
        now_ms, length = raw[0], raw[1]
        return [
            Polled(now_ms, length, raw[at + 3], _place(raw[at], raw[at + 1], raw[at + 2]))
            for at in range(2, len(raw), 4)
        ]


def _place(outcome: int, first: int, second: int) -> Place | Unserved:
    if outcome == 1:
        return Waiting(first)
    if outcome == 2:
        return Admitted(first, second)
    if outcome == 3:
        return Gone(first, Reason(second))
    return _OTHER[outcome]
