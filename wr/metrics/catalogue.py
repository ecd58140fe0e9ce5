"""Every metric, once: name, kind, labels, and what it means."""

from dataclasses import dataclass
from enum import StrEnum


class MetricKind(StrEnum):
    """What a metric is to Prometheus."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True)
class Metric:
    """One metric as operators know it; times are in seconds, whatever ends in `_total` only grows."""

    name: str
    kind: MetricKind
    help: str
    labels: tuple[str, ...] = ()


_QUEUE = ("queue",)
_SCRIPT = ("script",)
_RECEIVER = ("receiver",)

QUEUE_WAITING = Metric(
    "wr_queue_waiting", MetricKind.GAUGE, "People in line, as of the last admission pass", _QUEUE
)
QUEUE_ACTIVE = Metric("wr_queue_active", MetricKind.GAUGE, "Sessions, as of the last admission pass", _QUEUE)
QUEUE_MAX_ACTIVE = Metric(
    "wr_queue_max_active_users", MetricKind.GAUGE, "Sessions that the queue's settings allow at once", _QUEUE
)
QUEUE_RATE = Metric(
    "wr_queue_admission_rate", MetricKind.GAUGE, "People a second that the queue's settings let in", _QUEUE
)
QUEUE_RECOVERING = Metric(
    "wr_queue_recovering",
    MetricKind.GAUGE,
    "1 while no visitor is let in because the store has lost places, which come back from visitors' tokens",
    _QUEUE,
)
QUEUE_ACKNOWLEDGED = Metric(
    "wr_queue_acknowledged",
    MetricKind.GAUGE,
    "People that waited at the last pass before the store lost places; 0 where it has lost none",
    _QUEUE,
)
QUEUE_RESTORED = Metric(
    "wr_queue_restored",
    MetricKind.GAUGE,
    "Places and sessions that have come back from tokens since the store last lost some",
    _QUEUE,
)
STORE_FORGOT = Metric(
    "wr_store_forgot_total",
    MetricKind.COUNTER,
    "Times that this process noticed a store that came back without what it had acknowledged",
)
QUEUE_JOINS = Metric("wr_queue_joins_total", MetricKind.COUNTER, "People this process put in line", _QUEUE)
QUEUE_ADMISSIONS = Metric(
    "wr_queue_admissions_total", MetricKind.COUNTER, "People that passes of this process let in", _QUEUE
)
QUEUE_EXPIRIES = Metric(
    "wr_queue_expiries_total",
    MetricKind.COUNTER,
    "Places that passes of this process dropped for silence",
    _QUEUE,
)
QUEUE_SESSIONS_ENDED = Metric(
    "wr_queue_sessions_ended_total",
    MetricKind.COUNTER,
    "Sessions that passes of this process ended because their time was over",
    _QUEUE,
)
QUEUE_SESSIONS_SHARED = Metric(
    "wr_queue_sessions_shared_total",
    MetricKind.COUNTER,
    "Sessions that the gate first saw from a sixth address (IPv4 address or IPv6 /64) through this process",
    _QUEUE,
)
QUEUE_CALLERS_REFUSED = Metric(
    "wr_queue_session_callers_refused_total",
    MetricKind.COUNTER,
    "Times that the gate refused a session to a network or browser beyond its `session_binding`; each counts "
    "once a second at most",
    _QUEUE,
)
QUEUE_GAPS = Metric(
    "wr_queue_gaps_total",
    MetricKind.COUNTER,
    "Outages and leaps of the clock in which no visitor could be heard, as this process saw them",
    _QUEUE,
)
QUEUE_CANCELLATIONS = Metric(
    "wr_queue_cancellations_total",
    MetricKind.COUNTER,
    "People who told this process that they leave, the line or their session",
    _QUEUE,
)
QUEUE_TERMINATIONS = Metric(
    "wr_queue_terminations_total",
    MetricKind.COUNTER,
    "Sessions that operators ended through this process",
    _QUEUE,
)
QUEUE_FLUSHED = Metric(
    "wr_queue_flushed_total",
    MetricKind.COUNTER,
    "People whom operators sent away through this process",
    _QUEUE,
)
QUEUE_TURNED_AWAY = Metric(
    "wr_queue_turned_away_total",
    MetricKind.COUNTER,
    "Joins that this process refused: the line was `full` or in `maintenance`, the `address` held too many "
    "places, the `identity` held one already, the visitor was `blocked`, the `pass` was missing or gave "
    "none, the store had no `memory`",
    ("queue", "reason"),
)
QUEUE_WAIT = Metric(
    "wr_queue_wait_seconds",
    MetricKind.HISTOGRAM,
    "From the join to the admission, of each person that passes of this process let in",
    _QUEUE,
)
RATE_LIMITED = Metric(
    "wr_rate_limited_total",
    MetricKind.COUNTER,
    "Requests beyond a limit; `queue` is empty where a limit is no queue's",
    ("scope", "queue"),
)
ADMISSION_LAG = Metric(
    "wr_admission_lag_seconds", MetricKind.HISTOGRAM, "How late a round of admission passes began"
)
ADMISSION_ROUND = Metric(
    "wr_admission_round_seconds", MetricKind.HISTOGRAM, "How long a round of passes over all queues took"
)
ADMISSION_FAILURES = Metric(
    "wr_admission_failures_total", MetricKind.COUNTER, "Rounds of admission passes that failed: nobody got in"
)
STORE_ROUND_TRIPS = Metric(
    "wr_store_round_trips_total",
    MetricKind.COUNTER,
    "Calls of the store by script, failed ones among them; `command` is whatever is no script",
    _SCRIPT,
)
STORE_ERRORS = Metric(
    "wr_store_errors_total", MetricKind.COUNTER, "Calls of the store that failed: away, or refused", _SCRIPT
)
STORE_LATENCY = Metric(
    "wr_store_round_trip_seconds",
    MetricKind.HISTOGRAM,
    "How long a call of the store took, with the wait for a free connection",
    _SCRIPT,
)
STORE_BATCH = Metric(
    "wr_store_batch_items", MetricKind.HISTOGRAM, "People or requests that one call of a script did", _SCRIPT
)
STORE_MEMORY_USED = Metric(
    "wr_store_memory_used_bytes",
    MetricKind.GAUGE,
    "Memory that the store uses, as it last told; of several nodes the fullest",
)
STORE_MEMORY_MAX = Metric(
    "wr_store_memory_max_bytes",
    MetricKind.GAUGE,
    "Memory that the store may use (`maxmemory`); 0 where it has no limit",
)
STORE_IS_FULL = Metric(
    "wr_store_is_full",
    MetricKind.GAUGE,
    "1 while nobody gets a new place because the store's memory is short, else 0",
)
HTTP_REQUESTS = Metric(
    "wr_http_requests_total",
    MetricKind.COUNTER,
    "Answered requests by the path of the route table; `none` where no route was found",
    ("route", "method", "status"),
)
HTTP_LATENCY = Metric(
    "wr_http_request_seconds",
    MetricKind.HISTOGRAM,
    "From a whole request to its answer, or until a live stream opened",
    ("route", "method"),
)
HTTP_CONNECTIONS = Metric("wr_http_connections", MetricKind.GAUGE, "Connections that are open")
LIVE_STREAMS = Metric(
    "wr_live_streams", MetricKind.GAUGE, "Live streams that are open: `websocket` or `events`", ("kind",)
)
EVENT_LOOP_DELAY = Metric(
    "wr_event_loop_delay_seconds",
    MetricKind.HISTOGRAM,
    "How much later than asked a task woke up, four times a second",
)
EVENTS_NOTED = Metric(
    "wr_events_noted_total", MetricKind.COUNTER, "Events to be told: `nats` or `webhooks`", _RECEIVER
)
EVENTS_DELIVERED = Metric(
    "wr_events_delivered_total", MetricKind.COUNTER, "Events that were acknowledged", _RECEIVER
)
EVENTS_DROPPED = Metric(
    "wr_events_dropped_total",
    MetricKind.COUNTER,
    "Events given up untold: the buffer or the list of dead letters was full, or the server stopped",
    _RECEIVER,
)
EVENT_FAILURES = Metric(
    "wr_event_failures_total",
    MetricKind.COUNTER,
    "Failed connections to NATS or deliveries to webhooks",
    _RECEIVER,
)
EVENTS_WAITING = Metric(
    "wr_events_waiting", MetricKind.GAUGE, "Events neither acknowledged nor given up yet", _RECEIVER
)
BUILD = Metric("wr_build_info", MetricKind.GAUGE, "1; says which version runs", ("version", "python"))

METRICS: tuple[Metric, ...] = (
    QUEUE_WAITING,
    QUEUE_ACTIVE,
    QUEUE_MAX_ACTIVE,
    QUEUE_RATE,
    QUEUE_RECOVERING,
    QUEUE_ACKNOWLEDGED,
    QUEUE_RESTORED,
    STORE_FORGOT,
    QUEUE_JOINS,
    QUEUE_ADMISSIONS,
    QUEUE_EXPIRIES,
    QUEUE_GAPS,
    QUEUE_SESSIONS_ENDED,
    QUEUE_SESSIONS_SHARED,
    QUEUE_CALLERS_REFUSED,
    QUEUE_CANCELLATIONS,
    QUEUE_TERMINATIONS,
    QUEUE_FLUSHED,
    QUEUE_TURNED_AWAY,
    QUEUE_WAIT,
    RATE_LIMITED,
    ADMISSION_LAG,
    ADMISSION_ROUND,
    ADMISSION_FAILURES,
    STORE_ROUND_TRIPS,
    STORE_ERRORS,
    STORE_LATENCY,
    STORE_BATCH,
    STORE_MEMORY_USED,
    STORE_MEMORY_MAX,
    STORE_IS_FULL,
    HTTP_REQUESTS,
    HTTP_LATENCY,
    HTTP_CONNECTIONS,
    LIVE_STREAMS,
    EVENT_LOOP_DELAY,
    EVENTS_NOTED,
    EVENTS_DELIVERED,
    EVENTS_DROPPED,
    EVENT_FAILURES,
    EVENTS_WAITING,
    BUILD,
)
"""All of them, in the order in which they are shown."""
