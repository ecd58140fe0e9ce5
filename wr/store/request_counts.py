"""Counting requests against limits that no other script counts."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from wr.metrics.queue_metrics import NO_QUEUE, QueueMetrics
from wr.model.limits import Limit, Usage
from wr.model.refusals import Unavailable
from wr.store.key_names import GLOBAL_TAG, KeyNames
from wr.store.limit import Counted, LimitScript, lane_of
from wr.store.local_limits import LocalLimits
from wr.store.script_calls import ScriptCalls
from wr.store.store_call import Answer, StoreCall, settled

T = TypeVar("T")


class RequestCounts:
    """Counts requests in the store, so that all servers together keep each limit."""

    def __init__(
        self, calls: ScriptCalls, keys: KeyNames, limits: Mapping[str, Limit], metrics: QueueMetrics
    ) -> None:
        self._calls = calls
        self._limit = LimitScript(keys, dict(limits))
        self._metrics = metrics
        self._local = LocalLimits()
        self._batcher = calls.batcher(self._limit.script.name, self._count)

    async def count(self, counted: Counted) -> Usage | None:
        """Count one request, together with others; None if its scope has no limit."""
        call = self.call(counted, _same)
        if call is None:
            return None
        usage: Usage = await settled(call)
        return usage

    def call(self, counted: Counted, then: Callable[[Usage], Answer[T]]) -> StoreCall[bytes, Usage, T] | None:
        """Return the call that counts one request and then makes an answer; None if there is no limit."""
        if self._limit.limit_of(counted.scope).count == 0:
            return None
        return StoreCall(self._batcher, lane_of(counted), counted.subject, then)

    async def count_joins(self, subjects: Sequence[bytes]) -> list[int]:
        """Count a join of each address over all queues; 0 for empty subjects, and if there is no limit."""
        used = [0] * len(subjects)
        counted = [index for index, subject in enumerate(subjects) if subject]
        if counted and self._limit.limit_of("enqueue").count:
            lane = lane_of(Counted(GLOBAL_TAG, "enqueue", b""))
            usages = await self._count_in_store(lane, [subjects[index] for index in counted])
            for index, usage in zip(counted, usages, strict=True):
                used[index] = usage.used
        return used

    async def _count(self, counter: str, subjects: Sequence[bytes]) -> Sequence[Usage]:
        usages = await self._count_in_store(counter, subjects)
        for usage in usages:
            if usage.used > usage.limit.count:
                scope, _, tag = counter.partition("@")
                self._metrics.of(NO_QUEUE if tag == GLOBAL_TAG else tag).limit(scope)
        return usages

    async def _count_in_store(self, counter: str, subjects: Sequence[bytes]) -> Sequence[Usage]:
        self._calls.note_batch(self._limit.script.name, len(subjects))
        now_ms = self._calls.now_ms()
        try:
            raw = await self._calls.connection.call(
                self._limit.script, *self._limit.call(counter, now_ms, subjects)
            )
        except Unavailable:
            scope, _, tag = counter.partition("@")
            if tag != GLOBAL_TAG or not self._calls.connection.is_sharded:
                raise
            # Queues on other machines are served. If all machines were away, the call that is counted here
            # would fail by itself.
            now_ms = now_ms or time.time_ns() // 1_000_000
            return self._local.count(counter, self._limit.limit_of(scope), subjects, now_ms)
        return self._limit.replies(counter, raw)


def _same(usage: Usage) -> Answer[Usage]:
    return usage
