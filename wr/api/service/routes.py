"""Routes about the service itself: health, verification keys, descriptions and metrics."""

from wr.api.http_messages import PLAIN_TEXT
from wr.api.message_readers import NOTHING
from wr.api.route import BASE, Auth, RawBody, Route
from wr.api.service import messages, operations

_HEALTH = (
    (200, "Service is healthy", messages.HealthResponse),
    (503, "Service is unhealthy", messages.HealthResponse),
)

SERVICE_ROUTES = (
    Route(
        method="GET",
        path=f"{BASE}/health",
        reads=NOTHING,
        operation=operations.health,
        tag="Service",
        answers=_HEALTH,
        title="Health check",
    ),
    Route(
        method="GET",
        path="/health",
        reads=NOTHING,
        operation=operations.health,
        tag="Service",
        answers=_HEALTH,
        title="Health check",
    ),
    Route(
        method="GET",
        path="/.well-known/jwks.json",
        reads=NOTHING,
        operation=operations.jwks,
        tag="Service",
        answers=((200, "Keys that verify session tokens", messages.JwksResponse),),
    ),
    Route(
        method="GET",
        path=f"{BASE}/openapi.json",
        reads=NOTHING,
        operation=operations.openapi,
        tag="Service",
        answers=((200, "This document", RawBody),),
    ),
    Route(
        method="GET",
        path=f"{BASE}/events.schema.json",
        reads=NOTHING,
        operation=operations.event_schema,
        tag="Service",
        answers=((200, "JSON Schema of events", RawBody),),
    ),
    Route(
        method="GET",
        path="/metrics",
        reads=NOTHING,
        operation=operations.metrics,
        tag="Service",
        auth=Auth.METRICS,
        media_type=PLAIN_TEXT,
        answers=((200, "Every metric, as Prometheus or OpenMetrics text", RawBody),),
    ),
)
