"""Reading a queue's figures: `statistics.lua`."""

import msgspec

from wr.model.wait_estimate import Second
from wr.store.admit import read_seconds
from wr.store.key_names import KeyNames
from wr.store.script import Script, ScriptCall, load_script

_Reply = tuple[int, int, int, int, list[bytes], list[bytes]]


class QueueStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """A queue's figures. `today` is the UTC day of the store's clock."""

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

    script: Script[_Reply] = load_script("statistics")

    def __init__(self, keys: KeyNames) -> None:
        self._keys = keys

    def call(self, queue_id: str, now_ms: int) -> ScriptCall:
        """Spell KEYS and ARGV for one queue."""
        return self._keys.queue(queue_id, "config", "waiting", "sessions", "counters", "ring"), [now_ms]

    def reply(self, raw: _Reply) -> QueueStatistics | None:
        """Read the reply; None if there is no such queue."""
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
