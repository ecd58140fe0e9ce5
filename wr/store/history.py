"""Reading a queue's history: `history.lua`. `admit.lua` writes it.

Both rings take 41 kB of the store for each queue on Valkey, and 52 kB on Redis, once they are full.
"""

import msgspec

from wr.model.history import HistoryNote, HistorySpan
from wr.store.key_names import KeyNames
from wr.store.script import Script, ScriptCall, load_script

_RINGS = {HistorySpan.QUARTER_HOUR: "history_fine", HistorySpan.DAY: "history_coarse"}


class Notes(msgspec.Struct, frozen=True):
    """The notes of one ring, in no order, and the store's time in milliseconds since 1970."""

    now_ms: int
    notes: list[HistoryNote]


class HistoryScript:
    """Calls of `history.lua`."""

    script: Script[tuple[int, int, list[bytes]]] = load_script("history")

    def __init__(self, keys: KeyNames) -> None:
        self._keys = keys

    def call(self, queue_id: str, span: HistorySpan, now_ms: int) -> ScriptCall:
        """Spell KEYS and ARGV for the ring of one span."""
        return self._keys.queue(queue_id, "config", _RINGS[span]), [now_ms]

    def reply(self, raw: tuple[int, int, list[bytes]]) -> Notes | None:
        """Read the reply; None if there is no such queue."""
        exists, now_ms, values = raw
        if not exists:
            return None
        return Notes(now_ms, [HistoryNote(*map(int, value.split(b":"))) for value in values])
