"""A queue's history: `history.lua`; the notes themselves are taken by `admit.lua`.

Both rings full take 41 kB of the store for each queue on Valkey and 52 kB on Redis, however long it lives.
"""

from typing import Any

import msgspec

from wr.model.history import HistoryNote, HistorySpan
from wr.store.key_names import KeyNames
from wr.store.script import load_script

_RINGS = {HistorySpan.QUARTER_HOUR: "history_fine", HistorySpan.DAY: "history_coarse"}


class Notes(msgspec.Struct, frozen=True):
    """What one ring holds, in no order, and the store's time: milliseconds since 1970."""

    now_ms: int
    notes: list[HistoryNote]


class HistoryScript:
    """Calls of `history.lua`."""

    script = load_script("history")

    def __init__(self, keys: KeyNames) -> None:
        self._keys = keys

    def call(self, queue_id: str, span: HistorySpan, now_ms: int) -> tuple[list[str], list[Any]]:
        """Spell KEYS and ARGV for the ring of one span."""
        return self._keys.queue(queue_id, "config", _RINGS[span]), [now_ms]

    def reply(self, raw: list[Any]) -> Notes | None:
        """Read the reply; None when there is no such queue."""
        exists, now_ms, values = raw
        if not exists:
            return None
        return Notes(now_ms, [HistoryNote(*map(int, value.split(b":"))) for value in values])
