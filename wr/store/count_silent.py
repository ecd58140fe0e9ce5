"""Counting visitors in line that have not been heard from for a time: `count_silent.lua`."""

import msgspec

from wr.store.key_names import KeyNames
from wr.store.script import Script, ScriptCall, load_script

_PARTS = ("config", "waiting", "seen")


class Silent(msgspec.Struct, frozen=True):
    """How many visitors wait, and how many of them have not been heard from for a time."""

    waiting: int
    silent: int


class CountSilentScript:
    """Calls of `count_silent.lua`."""

    script: Script[tuple[int, int, int]] = load_script("count_silent")

    def __init__(self, keys: KeyNames) -> None:
        self._keys = keys

    def call(self, queue_id: str, now_ms: int, timeout_s: int) -> ScriptCall:
        """Spell KEYS and ARGV for one queue."""
        return self._keys.queue(queue_id, *_PARTS), [now_ms, timeout_s * 1000]

    def reply(self, raw: tuple[int, int, int]) -> Silent | None:
        """Read the reply; None if there is no such queue."""
        exists, waiting, silent = raw
        return Silent(waiting, silent) if exists else None
