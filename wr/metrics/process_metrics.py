"""All metrics of one process, and a snapshot of them that any thread may read."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from wr.metrics import catalogue
from wr.metrics.catalogue import Metric
from wr.metrics.event_metrics import EventMetrics
from wr.metrics.instruments import Histogram, Level, Spread
from wr.metrics.queue_metrics import NO_QUEUE, TURNED_AWAY, QueueMetrics
from wr.metrics.server_metrics import (
    DELAY_BOUNDS_S,
    AdmissionMetrics,
    Clock,
    HttpMetrics,
    StoreMetrics,
)

Value = float | Spread
Samples = list[tuple[tuple[str, ...], Value]]
"""Values, each with the values of its labels, in the order of the metric's labels."""


class ProcessMetrics:
    """All counts of one process. `now_s` is the clock for durations."""

    def __init__(self, now_s: Clock) -> None:
        self.queues = QueueMetrics()
        self.http = HttpMetrics(now_s)
        self.store = StoreMetrics(now_s)
        self.admission = AdmissionMetrics()
        self.events = EventMetrics()
        self.event_loop = Histogram(DELAY_BOUNDS_S)
        """Delays with which a sleeping task woke up, in seconds."""
        self.connections = Level()
        """Number of open connections."""


@dataclass(frozen=True)
class QueueReading:
    """Values of one queue that are read at each scrape and not counted."""

    queue_id: str
    waiting: int
    active: int
    max_active: int
    rate: float
    """Visitors a second."""
    is_recovering: bool = False
    acknowledged: int = 0
    restored: int = 0


@dataclass(frozen=True)
class Readings:
    """Values that are read at each scrape and not counted."""

    version: str
    python: str
    queues: tuple[QueueReading, ...] = ()
    streams: dict[str, int] = field(default_factory=dict)
    """Open live streams by kind."""
    memory_used: int | None = None
    """Bytes that the store uses. None if it does not report them."""
    memory_max: int | None = None
    is_full: bool = False
    """Whether visitors get no new places because the store is short of memory."""
    times_forgotten: int = 0
    """How often this process noticed that the store had lost data."""


def snapshot(metrics: ProcessMetrics, readings: Readings) -> list[tuple[Metric, Samples]]:
    """Copy every metric, in the order of the catalogue. Takes a millisecond for each hundred queues."""
    found: dict[str, Samples] = {
        **_queues(metrics.queues, readings.queues),
        **_store(metrics.store),
        **_memory(readings),
        **_server(metrics, readings),
    }
    return [(metric, found[metric.name]) for metric in catalogue.METRICS]


def _queues(counted: QueueMetrics, read: Iterable[QueueReading]) -> dict[str, Samples]:
    readings = tuple(read)
    samples: dict[str, Samples] = {
        catalogue.QUEUE_WAITING.name: [((queue.queue_id,), queue.waiting) for queue in readings],
        catalogue.QUEUE_ACTIVE.name: [((queue.queue_id,), queue.active) for queue in readings],
        catalogue.QUEUE_MAX_ACTIVE.name: [((queue.queue_id,), queue.max_active) for queue in readings],
        catalogue.QUEUE_RATE.name: [((queue.queue_id,), queue.rate) for queue in readings],
        catalogue.QUEUE_RECOVERING.name: [((queue.queue_id,), queue.is_recovering) for queue in readings],
        catalogue.QUEUE_ACKNOWLEDGED.name: [((queue.queue_id,), queue.acknowledged) for queue in readings],
        catalogue.QUEUE_RESTORED.name: [((queue.queue_id,), queue.restored) for queue in readings],
    }
    # A queue without any activity reports 0, so that Prometheus sees the first join as a change.
    names = sorted(counted.names().union(queue.queue_id for queue in readings))
    tallies = [((name,), counted.of(name)) for name in names]
    samples |= {
        catalogue.QUEUE_JOINS.name: [(labels, tally.joins) for labels, tally in tallies],
        catalogue.QUEUE_ADMISSIONS.name: [(labels, tally.admissions) for labels, tally in tallies],
        catalogue.QUEUE_GAPS.name: [(labels, tally.gaps) for labels, tally in tallies],
        catalogue.QUEUE_EXPIRIES.name: [(labels, tally.expiries) for labels, tally in tallies],
        catalogue.QUEUE_SESSIONS_ENDED.name: [(labels, tally.sessions_ended) for labels, tally in tallies],
        catalogue.QUEUE_SESSIONS_SHARED.name: [(labels, tally.sessions_shared) for labels, tally in tallies],
        catalogue.QUEUE_CALLERS_REFUSED.name: [(labels, tally.callers_refused) for labels, tally in tallies],
        catalogue.QUEUE_CANCELLATIONS.name: [(labels, tally.cancellations) for labels, tally in tallies],
        catalogue.QUEUE_TERMINATIONS.name: [(labels, tally.terminations) for labels, tally in tallies],
        catalogue.QUEUE_FLUSHED.name: [(labels, tally.flushed) for labels, tally in tallies],
        catalogue.QUEUE_WAIT.name: [(labels, tally.waits.spread()) for labels, tally in tallies],
        catalogue.QUEUE_TURNED_AWAY.name: [
            ((name, reason), count)
            for (name,), tally in tallies
            for reason, count in {**dict.fromkeys(TURNED_AWAY, 0), **tally.turned_away}.items()
        ],
        catalogue.RATE_LIMITED.name: [
            ((scope, name), count)
            for (name,), tally in [*tallies, ((NO_QUEUE,), counted.of(NO_QUEUE))]
            for scope, count in tally.rate_limited.items()
        ],
    }
    return samples


def _store(counted: StoreMetrics) -> dict[str, Samples]:
    tallies = counted.all()
    return {
        catalogue.STORE_ROUND_TRIPS.name: [(labels, tally.round_trips) for labels, tally in tallies],
        catalogue.STORE_ERRORS.name: [(labels, tally.errors) for labels, tally in tallies],
        catalogue.STORE_LATENCY.name: [(labels, tally.seconds.spread()) for labels, tally in tallies],
        catalogue.STORE_BATCH.name: [
            (labels, tally.items.spread()) for labels, tally in tallies if any(tally.items.spread().counts)
        ],
    }


def _memory(read: Readings) -> dict[str, Samples]:
    return {
        catalogue.STORE_MEMORY_USED.name: [] if read.memory_used is None else [((), read.memory_used)],
        catalogue.STORE_MEMORY_MAX.name: [] if read.memory_max is None else [((), read.memory_max)],
        catalogue.STORE_IS_FULL.name: [((), int(read.is_full))],
    }


def _server(metrics: ProcessMetrics, readings: Readings) -> dict[str, Samples]:
    return {
        catalogue.ADMISSION_LAG.name: [((), metrics.admission.lag.spread())],
        catalogue.ADMISSION_ROUND.name: [((), metrics.admission.round.spread())],
        catalogue.ADMISSION_FAILURES.name: [((), metrics.admission.failures)],
        catalogue.HTTP_REQUESTS.name: [(labels, count) for labels, count in metrics.http.counts()],
        catalogue.HTTP_IN_TASKS.name: [(labels, count) for labels, count in metrics.http.in_tasks()],
        catalogue.HTTP_LATENCY.name: [(labels, spread) for labels, spread in metrics.http.seconds()],
        catalogue.HTTP_CONNECTIONS.name: [((), metrics.connections.value)],
        catalogue.LIVE_STREAMS.name: [((kind,), count) for kind, count in readings.streams.items()],
        catalogue.EVENT_LOOP_DELAY.name: [((), metrics.event_loop.spread())],
        **_events(metrics.events),
        catalogue.STORE_FORGOT.name: [((), readings.times_forgotten)],
        catalogue.BUILD.name: [((readings.version, readings.python), 1)],
    }


def _events(counted: EventMetrics) -> dict[str, Samples]:
    tallies = counted.all()
    return {
        catalogue.EVENTS_NOTED.name: [(labels, tally.noted) for labels, tally in tallies],
        catalogue.EVENTS_DELIVERED.name: [(labels, tally.delivered) for labels, tally in tallies],
        catalogue.EVENTS_DROPPED.name: [(labels, tally.dropped) for labels, tally in tallies],
        catalogue.EVENT_FAILURES.name: [(labels, tally.failures) for labels, tally in tallies],
        catalogue.EVENTS_WAITING.name: [(labels, tally.waiting) for labels, tally in tallies],
    }
