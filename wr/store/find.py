"""Looking for one person on behalf of an operator: `find.lua`."""

from typing import Any

import msgspec

from wr.model import places
from wr.store.key_names import KeyNames
from wr.store.script import load_script

_PARTS = ("config", "waiting", "seen", "sessions", "records", "tombstones", "extras")


class FoundWaiting(msgspec.Struct, frozen=True):
    """Someone in line: `position` counts from 1, times are milliseconds since 1970."""

    position: int
    priority: int
    enqueued_ms: int
    last_seen_ms: int


class Found(msgspec.Struct, frozen=True):
    """One person, where a queue knows of them."""

    now_ms: int
    queue_length: int
    place: FoundWaiting | places.Visit | places.Gone
    metadata: bytes = b""
    """What the visitor brought with the join, as JSON; empty for nothing, or once it is over."""


class FindScript:
    """Calls of `find.lua`."""

    script = load_script("find")

    def __init__(self, keys: KeyNames) -> None:
        self._keys = keys

    def call(self, queue_id: str, now_ms: int, position_id: bytes) -> tuple[list[str], list[Any]]:
        """Spell KEYS and ARGV for one queue."""
        return self._keys.queue(queue_id, *_PARTS), [now_ms, position_id]

    def reply(self, raw: list[Any]) -> Found | None:
        """Read the reply; None when the queue knows nobody of that id, or is none."""
        outcome, now_ms, queue_length, *facts = raw
        if outcome == 1:
            *seen, metadata = facts
            return Found(now_ms, queue_length, FoundWaiting(*seen), metadata)
        if outcome == 2:
            *visit, metadata = facts
            return Found(now_ms, queue_length, places.Visit(*visit), metadata)
        if outcome == 3:
            ended_ms, reason = facts
            return Found(now_ms, queue_length, places.Gone(ended_ms, places.Reason(reason)))
        return None
