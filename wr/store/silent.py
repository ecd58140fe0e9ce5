"""Counting those who wait and are silent: `silent.lua`."""

from typing import Any

import msgspec

from wr.store.key_names import KeyNames
from wr.store.script import load_script

_PARTS = ("config", "waiting", "seen")


class Silent(msgspec.Struct, frozen=True):
    """How many wait, and how many of them have not been heard for a time."""

    waiting: int
    silent: int


class SilentScript:
    """Calls of `silent.lua`."""

    script = load_script("silent")

    def __init__(self, keys: KeyNames) -> None:
        self._keys = keys

    def call(self, queue_id: str, now_ms: int, timeout_s: int) -> tuple[list[str], list[Any]]:
        """Spell KEYS and ARGV for one queue."""
        return self._keys.queue(queue_id, *_PARTS), [now_ms, timeout_s * 1000]

    def reply(self, raw: list[int]) -> Silent | None:
        """Read the reply; None when there is no such queue."""
        exists, waiting, silent = raw
        return Silent(waiting, silent) if exists else None
