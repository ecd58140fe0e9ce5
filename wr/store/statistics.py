"""A queue's figures: `statistics.lua`."""

from typing import Any

import msgspec

from wr.model.wait_estimate import Second
from wr.store.admit import read_seconds
from wr.store.key_names import KeyNames
from wr.store.script import load_script


class QueueStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """What a queue's store says of it; `today` is the UTC day of the store's clock."""

    now_ms: int
    waiting: int
    active: int
    enqueued_today: int
    admitted_today: int
    expired_today: int
    cancelled_today: int
    waited_ms_today: int
    peak_waiting_today: int
    seconds: list[Second]


class StatisticsScript:
    """Calls of `statistics.lua`."""

    script = load_script("statistics")

    def __init__(self, keys: KeyNames) -> None:
        self._keys = keys

    def call(self, queue_id: str, now_ms: int) -> tuple[list[str], list[Any]]:
        """Spell KEYS and ARGV for one queue."""
        return self._keys.queue(queue_id, "config", "waiting", "sessions", "counters", "ring"), [now_ms]

    def reply(self, raw: list[Any]) -> QueueStatistics | None:
        """Read the reply; None when there is no such queue."""
        exists, now_ms, waiting, active, today, seconds = raw
        if not exists:
            return None
        enqueued, admitted, expired, cancelled, waited_ms, peak = map(int, today)
        return QueueStatistics(
            now_ms=now_ms,
            waiting=waiting,
            active=active,
            enqueued_today=enqueued,
            admitted_today=admitted,
            expired_today=expired,
            cancelled_today=cancelled,
            waited_ms_today=waited_ms,
            peak_waiting_today=peak,
            seconds=read_seconds(seconds),
        )
