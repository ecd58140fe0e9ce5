"""Looking for one visitor on behalf of an operator: `find.lua`."""

import msgspec

from wr.model.places import Admitted, Gone, Reason, Waiting
from wr.store.key_names import KeyNames
from wr.store.script import Script, ScriptCall, load_script

_PARTS = ("config", "waiting", "seen", "sessions", "records", "tombstones", "extras")


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """One visitor of a queue. Times are milliseconds since 1970."""

    now_ms: int
    queue_length: int
    place: Waiting | Admitted | Gone
    priority: int = 0
    """Of a visitor in line, as the next two."""
    enqueued_ms: int = 0
    last_seen_ms: int = 0
    metadata: bytes = b""
    """What the visitor brought with the join, as JSON; empty if that was nothing, or if the place is over."""


class FindScript:
    """Calls of `find.lua`."""

    script: Script[list[int | bytes]] = load_script("find")

    def __init__(self, keys: KeyNames) -> None:
        self._keys = keys

    def call(self, queue_id: str, now_ms: int, position_id: bytes) -> ScriptCall:
        """Spell KEYS and ARGV for one queue."""
        return self._keys.queue(queue_id, *_PARTS), [now_ms, position_id]

    def reply(self, raw: list[int | bytes]) -> Found | None:
        """Read the reply; None if the queue has no such visitor, or does not exist."""
        outcome, now_ms, length, *facts = raw
        numbers = [int(fact) for fact in facts if not isinstance(fact, bytes)]
        metadata = facts[-1] if facts and isinstance(facts[-1], bytes) else b""
        place: Waiting | Admitted | Gone
        priority = enqueued_ms = last_seen_ms = 0
        if outcome == 1:
            position, priority, enqueued_ms, last_seen_ms = numbers
            place = Waiting(position)
        elif outcome == 2:
            place = Admitted(*numbers)
        elif outcome == 3:
            ended_ms, reason = numbers
            place = Gone(ended_ms, Reason(reason))
        else:
            return None
        return Found(
            now_ms=int(now_ms),
            queue_length=int(length),
            place=place,
            priority=priority,
            enqueued_ms=enqueued_ms,
            last_seen_ms=last_seen_ms,
            metadata=metadata,
        )
