"""Looking for one visitor on behalf of an operator: `find.lua`."""

import msgspec

from wr.model.places import Admitted, Gone, Reason, Waiting
from wr.store.key_names import KeyNames
from wr.store.script import MixedReply, Script, ScriptCall, load_script

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

    script: Script[MixedReply] = load_script("find")

    def __init__(self, keys: KeyNames) -> None:
        self._keys = keys

    def call(self, queue_id: str, now_ms: int, position_id: bytes) -> ScriptCall:
        """Spell KEYS and ARGV for one queue."""
        return self._keys.queue(queue_id, *_PARTS), [now_ms, position_id]

    def reply(self, raw: MixedReply) -> Found | None:
        """Read the reply; None if the queue has no such visitor, or does not exist."""
        outcome, now_ms, length, *facts = raw
        if outcome == 1:
            return _waiting(now_ms, length, *facts)
        if outcome == 2:
            return _admitted(now_ms, length, *facts)
        if outcome == 3:
            ended_ms, reason = facts
            return Found(now_ms=now_ms, queue_length=length, place=Gone(ended_ms, Reason(reason)))
        return None


def _waiting(
    now_ms: int,
    length: int,
    position: int,
    priority: int,
    enqueued_ms: int,
    last_seen_ms: int,
    metadata: bytes,
) -> Found:
    return Found(
        now_ms=now_ms,
        queue_length=length,
        place=Waiting(position),
        priority=priority,
        enqueued_ms=enqueued_ms,
        last_seen_ms=last_seen_ms,
        metadata=metadata,
    )


def _admitted(
    now_ms: int,
    length: int,
    started_ms: int,
    expires_ms: int,
    last_activity_ms: int,
    page_views: int,
    addresses: int,
    metadata: bytes,
) -> Found:
    place = Admitted(started_ms, expires_ms, last_activity_ms, page_views, addresses)
    return Found(now_ms=now_ms, queue_length=length, place=place, metadata=metadata)
