"""Sending visitors in line away: `flush.lua`."""

import msgspec

from wr.store.key_names import KeyNames
from wr.store.script import Script, ScriptCall, load_script

MOST_PER_CALL = 2_000
"""How many visitors one call sends away, so that other calls do not wait for long."""

_PARTS = ("config", "waiting", "seen", "extras", "people", "tombstones", "counters", "addresses")


class Flushed(msgspec.Struct, frozen=True):
    """What one call did."""

    sent_away: int
    waiting: int
    """How many visitors still wait."""
    at_ms: int
    position_ids: list[bytes]
    """The places that ended; empty unless the call asked for them."""


class FlushScript:
    """Calls of `flush.lua`."""

    script: Script[tuple[int, int, int, int, list[bytes]]] = load_script("flush")

    def __init__(self, keys: KeyNames) -> None:
        self._keys = keys

    def call(self, queue_id: str, now_ms: int, most: int, *, tells_ids: bool) -> ScriptCall:
        """Spell KEYS and ARGV for one queue; `most` visitors are sent away, those at the front first."""
        return self._keys.queue(queue_id, *_PARTS), [now_ms, most, int(tells_ids)]

    def reply(self, raw: tuple[int, int, int, int, list[bytes]]) -> Flushed | None:
        """Read the reply; None if there is no such queue."""
        exists, sent_away, waiting, at_ms, position_ids = raw
        return Flushed(sent_away, waiting, at_ms, position_ids) if exists else None
