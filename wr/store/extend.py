"""Extends one session: `extend.lua`."""

from typing import Any

from wr.store.key_names import KeyNames
from wr.store.script import load_script


class ExtendScript:
    """Calls of `extend.lua`."""

    script = load_script("extend")

    def __init__(self, keys: KeyNames) -> None:
        self._keys = keys

    def call(
        self, queue_id: str, now_ms: int, position_id: bytes, seconds: int
    ) -> tuple[list[str], list[Any]]:
        """Spell KEYS and ARGV for one session, which ends that many seconds from now."""
        return self._keys.queue(queue_id, "config", "sessions"), [now_ms, position_id, seconds]

    def reply(self, raw: list[Any]) -> int | None:
        """Read the reply: when the session ends, in milliseconds since 1970; None when there is none."""
        outcome, ends_ms = raw
        return ends_ms if outcome == 1 else None
