"""Calling scripts over one connection: once, in batches of many callers, or for many queues at once."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Protocol, TypeVar

import structlog
import trio

from wr.metrics.server_metrics import StoreMetrics
from wr.model.refusals import Unavailable
from wr.store.batcher import Batcher
from wr.store.connection import Connection
from wr.store.script import Raw, Script, ScriptCall
from wr.tracing.tracer import Tracer

Item = TypeVar("Item")
Reply = TypeVar("Reply")
ItemT = TypeVar("ItemT", contravariant=True)
ReplyT = TypeVar("ReplyT", covariant=True)

log = structlog.get_logger("wr.store")

QUEUES_PER_ROUND_TRIP = 64

Execute = Callable[[str, Sequence[Item]], Awaitable[Sequence[Reply]]]
"""Carries out a batch of items of one queue; returns one reply per item, in order."""


class BatchedScript(Protocol[ItemT, Raw, ReplyT]):
    """A script that does many items of one queue in one call."""

    @property
    def script(self) -> Script[Raw]:
        """The script itself."""
        ...

    def call(self, queue_id: str, now_ms: int, items: Sequence[ItemT], /) -> ScriptCall:
        """Spell KEYS and ARGV for these items."""
        ...

    def replies(self, raw: Raw, /) -> Sequence[ReplyT]:
        """Read the reply: one answer per item, in order."""
        ...


class ScriptCalls:
    """Calls scripts, each at the time that `now_ms` gives. All methods raise `Unavailable` if the store is
    away."""

    def __init__(
        self,
        connection: Connection,
        nursery: trio.Nursery,
        now_ms: Callable[[], int],
        metrics: StoreMetrics,
        tracer: Tracer | None = None,
    ) -> None:
        self.connection = connection
        self.now_ms = now_ms
        """The time that scripts are given; 0 is the clock of the store."""
        self._nursery = nursery
        self._metrics = metrics
        self._tracer = tracer

    def executor(self, batched: BatchedScript[Item, Raw, Reply]) -> Execute[Item, Reply]:
        """Return a function that carries out one batch of a script. One round trip a batch."""
        script = batched.script
        observe = self._metrics.of(script.name).items.observe

        async def execute(queue_id: str, items: Sequence[Item]) -> Sequence[Reply]:
            observe(len(items))
            keys, arguments = batched.call(queue_id, self.now_ms(), items)
            return batched.replies(await self.connection.call(script, keys, arguments))

        return execute

    def batcher(self, script_name: str, execute: Execute[Item, Reply]) -> Batcher[Item, Reply]:
        """Return a batcher that carries out its batches with `execute`, each in a span if traced."""
        around = None if self._tracer is None else partial(self._tracer.batch, script_name)
        return Batcher(self._nursery, execute, around=around)

    def note_batch(self, script_name: str, size: int) -> None:
        """Count the items of a batch."""
        self._metrics.of(script_name).items.observe(size)

    async def of_each(
        self, script: Script[Raw], queue_ids: Sequence[str], call: Callable[[str], ScriptCall]
    ) -> dict[str, Raw]:
        """Call a script for each queue, 64 queues in one round trip; the replies of the calls that succeeded.

        A call that failed is left out. If all of one round trip failed, the first failure is raised.
        """
        replied: dict[str, Raw] = {}
        for start in range(0, len(queue_ids), QUEUES_PER_ROUND_TRIP):
            chunk = queue_ids[start : start + QUEUES_PER_ROUND_TRIP]
            replies = await self.connection.call_each(script, [call(queue_id) for queue_id in chunk])
            for queue_id, reply in zip(chunk, replies, strict=True):
                if isinstance(reply, Unavailable):
                    # The machine of this queue is away, which the connection has logged. The other machines
                    # have answered.
                    continue
                if isinstance(reply, Exception):
                    # The trouble of one queue must not hold up the others.
                    log.error(
                        "a queue's script failed", script=script.name, queue_id=queue_id, error=str(reply)
                    )
                    continue
                replied[queue_id] = reply
        return replied
