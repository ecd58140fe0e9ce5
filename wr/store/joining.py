"""Batches of joins: what to do if the store is short of memory, or keeps its counts on several shards."""

from collections.abc import Sequence

import redis

from wr.model.join_denials import Denial
from wr.model.refusals import OutOfMemory
from wr.store.enqueue import EnqueueScript, Join, Joined
from wr.store.memory_usage import StoreMemory
from wr.store.observer import StoreObserver
from wr.store.request_counts import RequestCounts
from wr.store.script_calls import ScriptCalls


class Joining:
    """Puts batches of visitors in line, and reports them to the observer."""

    def __init__(
        self,
        calls: ScriptCalls,
        enqueue: EnqueueScript,
        counts: RequestCounts,
        memory: StoreMemory,
        observer: StoreObserver | None,
    ) -> None:
        self._calls = calls
        self._enqueue = enqueue
        self._counts = counts
        self._memory = memory
        self._observer = observer
        self._is_sharded = False

    async def join(self, queue_id: str, joins: Sequence[Join]) -> Sequence[Joined]:
        """Put these visitors in line, and report them to the observer."""
        if self._observer is None or not self._observer.wanted:
            return await self.join_now(queue_id, joins)
        with self._observer.joining(queue_id) as note:
            replies = await self.join_now(queue_id, joins)
            note(joins, replies)
        return replies

    async def join_now(self, queue_id: str, joins: Sequence[Join]) -> Sequence[Joined]:
        """Put these visitors in line.

        One round trip. Two if the script cannot count the joins over all queues, because the store keeps that
        count on another shard than the queue.
        """
        self._calls.note_batch(self._enqueue.script.name, len(joins))
        if not (self._is_sharded or self._calls.connection.is_sharded):
            try:
                return await self._put_in_line(queue_id, joins, None)
            except redis.exceptions.ClusterCrossSlotError:
                # Nothing was done. A store of several slots says so at the first join, and at each one after.
                self._is_sharded = True
        used = await self._counts.count_joins([join.subject for join in joins])
        return await self._put_in_line(queue_id, joins, used)

    async def _put_in_line(
        self, queue_id: str, joins: Sequence[Join], used: Sequence[int] | None
    ) -> Sequence[Joined]:
        """Give these visitors places. Without memory for new ones, find those that they hold already."""
        is_short = self._memory.is_short
        try:
            replies = await self._call(queue_id, joins, used, is_short=is_short)
        except OutOfMemory:
            # No visitor got a place, and no join was counted: a script that counts goes on without memory.
            is_short = True
            self._memory.found_full()
            replies = await self._call(queue_id, joins, used, is_short=True)
        if not is_short and any(joined.place is Denial.NO_MEMORY for joined in replies):
            self._memory.found_full()
        return replies

    async def _call(
        self, queue_id: str, joins: Sequence[Join], used: Sequence[int] | None, *, is_short: bool
    ) -> Sequence[Joined]:
        call = self._enqueue.call(queue_id, self._calls.now_ms(), joins, used, is_short=is_short)
        return self._enqueue.replies(await self._calls.connection.call(self._enqueue.script, *call))
