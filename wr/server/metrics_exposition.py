"""The metrics of the process as text: what is counted, and what is read from the parts at that moment."""

import platform
from importlib import import_module

import trio

from wr import __version__
from wr.live.registry import Registry
from wr.metrics.catalogue import Metric
from wr.metrics.process_metrics import ProcessMetrics, QueueReading, Readings, Samples, snapshot
from wr.recovery.recovery import Recovery
from wr.room.queue_cache import QueueCache
from wr.store.memory_usage import StoreMemory


class MetricsExposition:
    """Reads all metrics and spells them for Prometheus."""

    def __init__(
        self,
        metrics: ProcessMetrics,
        queue_cache: QueueCache,
        registry: Registry,
        recovery: Recovery,
        memory: StoreMemory,
    ) -> None:
        self._metrics = metrics
        self._queue_cache = queue_cache
        self._registry = registry
        self._recovery = recovery
        self._memory = memory

    async def exposition(self, accept: str) -> tuple[bytes, str]:
        """Spell all metrics for an `Accept` header; returns the text and its content type."""
        return await trio.to_thread.run_sync(_spell, snapshot(self._metrics, self._readings()), accept)

    def _readings(self) -> Readings:
        return Readings(
            version=__version__,
            python=platform.python_version(),
            queues=tuple(
                QueueReading(
                    view.config.id,
                    view.waiting,
                    view.active,
                    view.config.max_active_users,
                    view.config.admission_rate,
                    view.is_recovering,
                    view.forgotten.acknowledged if view.forgotten else 0,
                    view.forgotten.restored if view.forgotten else 0,
                )
                for view in self._queue_cache.views()
            ),
            times_forgotten=self._recovery.times,
            streams={str(kind): count for kind, count in self._registry.kinds.items()},
            memory_used=self._memory.used_bytes,
            memory_max=self._memory.max_bytes,
            is_full=self._memory.is_short,
        )


def _spell(taken: list[tuple[Metric, Samples]], accept: str) -> tuple[bytes, str]:
    # Loaded here, in the thread: it takes 30 ms, and many a server is never asked.
    text, content_type = import_module("wr.metrics.exposition").spell(taken, accept)
    return text, content_type
