"""Extending one session: `extend.lua`."""

from wr.store.key_names import KeyNames
from wr.store.script import Script, ScriptCall, load_script


class ExtendScript:
    """Calls of `extend.lua`."""

    script: Script[tuple[int, int]] = load_script("extend")

    def __init__(self, keys: KeyNames) -> None:
        self._keys = keys

    def call(self, queue_id: str, now_ms: int, position_id: bytes, seconds: int) -> ScriptCall:
        """Spell KEYS and ARGV for one session, which is to end that many seconds from now."""
        return self._keys.queue(queue_id, "config", "sessions"), [now_ms, position_id, seconds]

    def reply(self, raw: tuple[int, int]) -> int | None:
        """Read the reply: when the session ends, in milliseconds since 1970; None if there is none."""
        outcome, ends_ms = raw
        return ends_ms if outcome == 1 else None
