"""Routes about the service itself: health, verification keys, descriptions and metrics."""

from wr.api.http_messages import PLAIN_TEXT
from wr.api.request_context import Page
from wr.api.route import BASE, Auth, Route
from wr.api.service import messages, operations

_HEALTH = (
    (200, "Service is healthy", messages.HealthResponse),
    (503, "Service is unhealthy", messages.HealthResponse),
)

SERVICE_ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path=f"{BASE}/health",
        operation=operations.health,
        tag="Service",
        answers=_HEALTH,
        title="Health check",
    ),
    Route(
        method="GET",
        path="/health",
        operation=operations.health,
        tag="Service",
        answers=_HEALTH,
        title="Health check",
    ),
    Route(
        method="GET",
        path="/.well-known/jwks.json",
        operation=operations.jwks,
        tag="Service",
        answers=((200, "Keys that verify session tokens", messages.JwksResponse),),
    ),
    Route(
        method="GET",
        path=f"{BASE}/openapi.json",
        operation=operations.openapi,
        tag="Service",
        answers=((200, "This document", Page),),
    ),
    Route(
        method="GET",
        path=f"{BASE}/events.schema.json",
        operation=operations.event_schema,
        tag="Service",
        answers=((200, "JSON Schema of events", Page),),
    ),
    Route(
        method="GET",
        path="/metrics",
        operation=operations.metrics,
        tag="Service",
        auth=Auth.METRICS,
        media_type=PLAIN_TEXT,
        answers=((200, "All metrics, as Prometheus or OpenMetrics text", Page),),
    ),
)
