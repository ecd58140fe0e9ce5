"""The catalogue of all metrics: name, kind, labels and meaning, for the exposition and the README."""

from dataclasses import dataclass
from enum import StrEnum


class MetricKind(StrEnum):
    """The type of a metric in Prometheus."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True)
class Metric:
    """One metric. Times are in seconds. A metric whose name ends in `_total` only grows."""

    name: str
    kind: MetricKind
    help: str
    labels: tuple[str, ...] = ()


_QUEUE = ("queue",)
_SCRIPT = ("script",)
_RECEIVER = ("receiver",)

QUEUE_WAITING = Metric(
    "wr_queue_waiting", MetricKind.GAUGE, "Visitors in line at the last admission pass", _QUEUE
)
QUEUE_ACTIVE = Metric(
    "wr_queue_active", MetricKind.GAUGE, "Active sessions at the last admission pass", _QUEUE
)
QUEUE_MAX_ACTIVE = Metric(
    "wr_queue_max_active_users", MetricKind.GAUGE, "Setting `max_active_users` of the queue", _QUEUE
)
QUEUE_RATE = Metric(
    "wr_queue_admission_rate",
    MetricKind.GAUGE,
    "Setting `admission_rate` of the queue, in visitors a second",
    _QUEUE,
)
QUEUE_RECOVERING = Metric(
    "wr_queue_recovering",
    MetricKind.GAUGE,
    "1 while no visitor is admitted because the store lost places and they are restored from tokens, else 0",
    _QUEUE,
)
QUEUE_ACKNOWLEDGED = Metric(
    "wr_queue_acknowledged",
    MetricKind.GAUGE,
    "Visitors who waited at the last admission pass before the store lost places; 0 if it has lost none",
    _QUEUE,
)
QUEUE_RESTORED = Metric(
    "wr_queue_restored",
    MetricKind.GAUGE,
    "Places and sessions restored from tokens since the store last lost places",
    _QUEUE,
)
STORE_FORGOT = Metric(
    "wr_store_forgot_total",
    MetricKind.COUNTER,
    "Times that this process noticed that the store had lost acknowledged data",
)
QUEUE_JOINS = Metric(
    "wr_queue_joins_total", MetricKind.COUNTER, "Visitors who joined the line through this process", _QUEUE
)
QUEUE_ADMISSIONS = Metric(
    "wr_queue_admissions_total",
    MetricKind.COUNTER,
    "Visitors admitted by admission passes of this process",
    _QUEUE,
)
QUEUE_EXPIRIES = Metric(
    "wr_queue_expiries_total",
    MetricKind.COUNTER,
    "Places that admission passes of this process ended because no heartbeat came",
    _QUEUE,
)
QUEUE_SESSIONS_ENDED = Metric(
    "wr_queue_sessions_ended_total",
    MetricKind.COUNTER,
    "Sessions that admission passes of this process ended because their time was over",
    _QUEUE,
)
QUEUE_SESSIONS_SHARED = Metric(
    "wr_queue_sessions_shared_total",
    MetricKind.COUNTER,
    "Sessions that the gate of this process saw from a sixth address (IPv4 address or IPv6 /64)",
    _QUEUE,
)
QUEUE_CALLERS_REFUSED = Metric(
    "wr_queue_session_callers_refused_total",
    MetricKind.COUNTER,
    "Times that the gate refused a session to a network or browser that `session_binding` does not allow; "
    "each counts at most once a second",
    _QUEUE,
)
QUEUE_GAPS = Metric(
    "wr_queue_gaps_total",
    MetricKind.COUNTER,
    "Times in which no heartbeat could arrive, because of an outage or a jump of the clock, as this process "
    "noticed them",
    _QUEUE,
)
QUEUE_CANCELLATIONS = Metric(
    "wr_queue_cancellations_total",
    MetricKind.COUNTER,
    "Visitors who left the line or their session through this process",
    _QUEUE,
)
QUEUE_TERMINATIONS = Metric(
    "wr_queue_terminations_total",
    MetricKind.COUNTER,
    "Sessions that operators terminated through this process",
    _QUEUE,
)
QUEUE_FLUSHED = Metric(
    "wr_queue_flushed_total",
    MetricKind.COUNTER,
    "Visitors whom operators flushed from the line through this process",
    _QUEUE,
)
QUEUE_TURNED_AWAY = Metric(
    "wr_queue_turned_away_total",
    MetricKind.COUNTER,
    "Joins that this process refused: the line was `full` or in `maintenance`, the `address` held too many "
    "places, the `identity` already held a place, the visitor was `blocked`, the `pass` was missing or not "
    "valid, the store had no `memory` left",
    ("queue", "reason"),
)
QUEUE_WAIT = Metric(
    "wr_queue_wait_seconds",
    MetricKind.HISTOGRAM,
    "Seconds from join to admission, of visitors admitted by passes of this process",
    _QUEUE,
)
RATE_LIMITED = Metric(
    "wr_rate_limited_total",
    MetricKind.COUNTER,
    "Requests refused by a rate limit; `queue` is empty if the limit belongs to no queue",
    ("scope", "queue"),
)
ADMISSION_LAG = Metric(
    "wr_admission_lag_seconds", MetricKind.HISTOGRAM, "Delay with which rounds of admission passes began"
)
ADMISSION_ROUND = Metric(
    "wr_admission_round_seconds", MetricKind.HISTOGRAM, "Duration of rounds of passes over all queues"
)
ADMISSION_FAILURES = Metric(
    "wr_admission_failures_total",
    MetricKind.COUNTER,
    "Rounds of admission passes that failed and admitted no visitor",
)
STORE_ROUND_TRIPS = Metric(
    "wr_store_round_trips_total",
    MetricKind.COUNTER,
    "Calls of the store by script, including failed ones; `command` counts all calls without a script",
    _SCRIPT,
)
STORE_ERRORS = Metric(
    "wr_store_errors_total",
    MetricKind.COUNTER,
    "Calls that failed because the store was unreachable or refused them",
    _SCRIPT,
)
STORE_LATENCY = Metric(
    "wr_store_round_trip_seconds",
    MetricKind.HISTOGRAM,
    "Duration of calls of the store, including the wait for a free connection",
    _SCRIPT,
)
STORE_BATCH = Metric(
    "wr_store_batch_items", MetricKind.HISTOGRAM, "Requests or visitors in one call of a script", _SCRIPT
)
STORE_MEMORY_USED = Metric(
    "wr_store_memory_used_bytes",
    MetricKind.GAUGE,
    "Memory that the store uses, as it last reported; of several nodes the fullest",
)
STORE_MEMORY_MAX = Metric(
    "wr_store_memory_max_bytes",
    MetricKind.GAUGE,
    "Memory that the store may use (`maxmemory`); 0 if it has no limit",
)
STORE_IS_FULL = Metric(
    "wr_store_is_full",
    MetricKind.GAUGE,
    "1 while visitors get no new places because the store is short of memory, else 0",
)
HTTP_REQUESTS = Metric(
    "wr_http_requests_total",
    MetricKind.COUNTER,
    "Answered requests by path of the route table; `none` if no route matched",
    ("route", "method", "status"),
)
HTTP_LATENCY = Metric(
    "wr_http_request_seconds",
    MetricKind.HISTOGRAM,
    "Time from the complete request to its response, or to the start of a live stream",
    ("route", "method"),
)
HTTP_IN_TASKS = Metric(
    "wr_http_requests_in_tasks_total",
    MetricKind.COUNTER,
    "Requests that needed a task of their own, which costs more: refused ones, and all of the general lane",
    ("route", "method"),
)
HTTP_CONNECTIONS = Metric("wr_http_connections", MetricKind.GAUGE, "Open connections")
LIVE_STREAMS = Metric(
    "wr_live_streams", MetricKind.GAUGE, "Open live streams: `websocket` or `events`", ("kind",)
)
EVENT_LOOP_DELAY = Metric(
    "wr_event_loop_delay_seconds",
    MetricKind.HISTOGRAM,
    "Delay with which a sleeping task woke up, measured four times a second",
)
EVENTS_NOTED = Metric(
    "wr_events_noted_total", MetricKind.COUNTER, "Events created for `nats` or `webhooks`", _RECEIVER
)
EVENTS_DELIVERED = Metric(
    "wr_events_delivered_total", MetricKind.COUNTER, "Events that the receiver acknowledged", _RECEIVER
)
EVENTS_DROPPED = Metric(
    "wr_events_dropped_total",
    MetricKind.COUNTER,
    "Events that were lost: the buffer or the list of dead letters was full, or the server stopped",
    _RECEIVER,
)
EVENT_FAILURES = Metric(
    "wr_event_failures_total",
    MetricKind.COUNTER,
    "Failed connections to NATS or deliveries to webhooks",
    _RECEIVER,
)
EVENTS_WAITING = Metric(
    "wr_events_waiting", MetricKind.GAUGE, "Events that are not acknowledged or given up yet", _RECEIVER
)
BUILD = Metric("wr_build_info", MetricKind.GAUGE, "1; the labels name the versions", ("version", "python"))

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
    HTTP_IN_TASKS,
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
"""All metrics, in the order of the exposition."""
