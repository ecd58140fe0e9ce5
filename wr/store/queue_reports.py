"""What operators read of queues: figures, history, silent visitors, and one visitor that they look for."""

from collections.abc import Sequence

from wr.model.history import HistorySpan
from wr.store.count_silent import CountSilentScript, Silent
from wr.store.find import FindScript, Found
from wr.store.history import HistoryScript, Notes
from wr.store.key_names import KeyNames
from wr.store.script_calls import ScriptCalls
from wr.store.statistics import QueueStatistics, StatisticsScript


class QueueReports:
    """Reads what the store knows of queues. Changes and counts nothing."""

    def __init__(self, calls: ScriptCalls, keys: KeyNames) -> None:
        self._calls = calls
        self._statistics = StatisticsScript(keys)
        self._history = HistoryScript(keys)
        self._silent = CountSilentScript(keys)
        self._find = FindScript(keys)

    async def figures(self, queue_id: str) -> QueueStatistics | None:
        """Read a queue's figures; None if there is no such queue."""
        call = self._statistics.call(queue_id, self._calls.now_ms())
        return self._statistics.reply(await self._calls.connection.call(self._statistics.script, *call))

    async def figures_of(self, queue_ids: Sequence[str]) -> dict[str, QueueStatistics | None]:
        """Read the figures of these queues. No queue: None; a call that failed is left out.

        One round trip for each 64 queues.
        """
        replies = await self._calls.of_each(
            self._statistics.script,
            queue_ids,
            lambda queue_id: self._statistics.call(queue_id, self._calls.now_ms()),
        )
        return {queue_id: self._statistics.reply(reply) for queue_id, reply in replies.items()}

    async def silent(self, queue_id: str, timeout_s: int) -> Silent | None:
        """Count visitors in line, and those not heard from for that long; None if there is no such queue."""
        call = self._silent.call(queue_id, self._calls.now_ms(), timeout_s)
        return self._silent.reply(await self._calls.connection.call(self._silent.script, *call))

    async def history(self, queue_id: str, span: HistorySpan) -> Notes | None:
        """Read the notes of a queue's history; None if there is no such queue."""
        call = self._history.call(queue_id, span, self._calls.now_ms())
        return self._history.reply(await self._calls.connection.call(self._history.script, *call))

    async def find(self, queue_ids: Sequence[str], position_id: bytes) -> tuple[str, Found] | None:
        """Look for a visitor in these queues: the queue, and what it knows; None if no queue has it.

        One round trip for each 64 queues.
        """
        replies = await self._calls.of_each(
            self._find.script,
            queue_ids,
            lambda queue_id: self._find.call(queue_id, self._calls.now_ms(), position_id),
        )
        for queue_id, reply in replies.items():
            found = self._find.reply(reply)
            if found is not None:
                return queue_id, found
        return None
