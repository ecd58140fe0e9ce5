"""Admission passes over queues, and what is counted and reported of each."""

from collections.abc import Sequence

import structlog
import trio

from wr.metrics.queue_metrics import QueueMetrics
from wr.store.acknowledged import Acknowledging
from wr.store.admit import LEAST_GAP_MS, AdmissionPass, AdmitScript
from wr.store.key_names import KeyNames
from wr.store.memory_usage import StoreMemory
from wr.store.observer import StoreObserver
from wr.store.script import ScriptCall
from wr.store.script_calls import QUEUES_PER_ROUND_TRIP, ScriptCalls

log = structlog.get_logger("wr.store")


class AdmissionPasses:
    """Runs `admit.lua` over queues."""

    def __init__(
        self,
        calls: ScriptCalls,
        keys: KeyNames,
        acknowledged: Acknowledging,
        memory: StoreMemory,
        metrics: QueueMetrics,
        observer: StoreObserver | None,
        *,
        least_gap_ms: int = LEAST_GAP_MS,
    ) -> None:
        self._calls = calls
        self._keys = keys
        self._acknowledged = acknowledged
        self._memory = memory
        self._metrics = metrics
        self._observer = observer
        self._least_gap_ms = least_gap_ms
        self._admit = AdmitScript(keys, gap_ms=least_gap_ms)

    def remember_with(self, acknowledged: Acknowledging, longest_hold_s: float) -> None:
        """Report passes to `acknowledged`, and compare the store with it.

        If the store has forgotten, no visitor is let in for `longest_hold_s` seconds at most.
        """
        self._acknowledged = acknowledged
        self._admit = AdmitScript(self._keys, gap_ms=self._least_gap_ms, longest_hold_s=longest_hold_s)

    async def admit(self, queue_ids: Sequence[str]) -> dict[str, AdmissionPass | None]:
        """Run a pass over each queue. A queue that does not exist has None; one that failed is left out.

        One round trip, so that either all is known of what was done, or nothing was done.

        Raises:
            ValueError: more than 64 queues, which would be several round trips; nothing was done.
        """
        if len(queue_ids) > QUEUES_PER_ROUND_TRIP:
            raise ValueError(f"{QUEUES_PER_ROUND_TRIP} queues at most in one pass, not {len(queue_ids)}")
        # The store carries out a pass once it is sent, and only its caller learns which visitors got in. So
        # the reply is waited for even if the caller is cancelled. The connection's timeout bounds that.
        with trio.CancelScope(shield=True):
            replies = await self._calls.of_each(self._admit.script, queue_ids, self._call)
        passes = {queue_id: self._admit.reply(reply) for queue_id, reply in replies.items()}
        for queue_id, done in passes.items():
            if done is None:
                self._acknowledged.not_found(queue_id)
            else:
                self._acknowledged.learn(queue_id, done)
                self._count(queue_id, done)
                if self._observer is not None and self._observer.wanted:
                    self._observer.passed(queue_id, done)
        return passes

    def _call(self, queue_id: str) -> ScriptCall:
        known, is_short = self._acknowledged.known(queue_id), self._memory.is_short
        return self._admit.call(queue_id, self._calls.now_ms(), known, is_short=is_short)

    def _count(self, queue_id: str, done: AdmissionPass) -> None:
        """Count what a pass did. 0.2 µs for each visitor let in."""
        tally = self._metrics.of(queue_id)
        tally.admissions += len(done.admitted)
        tally.expiries += len(done.dropped)
        tally.sessions_ended += len(done.ended)
        if done.heard_ms != tally.heard_ms:
            # The pass of another server may have noticed the gap, or a pass whose reply was lost. Gaps from
            # before this process started are not counted.
            if tally.heard_ms >= 0 or done.heard_ms == done.now_ms:
                tally.gaps += 1
                log.warning(
                    "visitors could not be heard: their places are kept, their sessions last longer",
                    queue_id=queue_id,
                    gap_s=done.gap_ms / 1000,
                )
            tally.heard_ms = done.heard_ms
        for waited_ms in done.waits_ms:
            tally.waits.observe(waited_ms / 1000)
