"""The route table: every path, once, with its limit, authentication, messages and operation."""

from collections.abc import Awaitable, Callable

from wr.api import admin_operations, concert_operations, messages, public_operations, visitor_operations
from wr.api.calls import Answer, Call, Page, Services
from wr.api.entry_routes import entry_routes
from wr.api.feeds import concert_feed, queue_feed
from wr.api.gate_routes import GATE_ROUTES
from wr.api.http import PLAIN_TEXT
from wr.api.office_routes import office_routes
from wr.api.page_routes import PAGE_ROUTES
from wr.api.route import BASE, WEBSOCKET, Auth, Route
from wr.api.webhook_routes import webhook_routes
from wr.model import refusals


def _visitor(
    method: str, path: str, operation: Callable[[Services, Call], Awaitable[Answer]], **rest: object
) -> Route:
    return Route(method=method, path=BASE + path, operation=operation, counts_itself=True, **rest)  # type: ignore[arg-type]


def _admin(
    method: str, path: str, operation: Callable[[Services, Call], Awaitable[Answer]], **rest: object
) -> Route:
    return Route(
        method=method,
        path=f"{BASE}/admin{path}",
        operation=operation,
        auth=Auth.ADMIN,
        scope="admin",
        tag="Admin",
        **rest,  # type: ignore[arg-type]
    )


_HEALTH = (
    (200, "Service is healthy", messages.HealthResponse),
    (503, "Service is unhealthy", messages.HealthResponse),
)
LIVE_EVENTS = (messages.PositionUpdateEvent, messages.AdmittedEvent, messages.ExpiredEvent)
_STATUS = (messages.WaitingStatus, messages.AdmittedStatus)
_HEARTBEAT = (messages.WaitingHeartbeat, messages.AdmittedHeartbeat)

ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path=f"{BASE}/health",
        operation=public_operations.health,
        tag="Service",
        answers=_HEALTH,
        title="Health check",
    ),
    Route(
        method="GET",
        path="/health",
        operation=public_operations.health,
        tag="Service",
        answers=_HEALTH,
        title="Health check",
    ),
    Route(
        method="GET",
        path="/.well-known/jwks.json",
        operation=public_operations.jwks,
        tag="Service",
        answers=((200, "Keys that verify session tokens", messages.JwksResponse),),
    ),
    Route(
        method="GET",
        path=f"{BASE}/openapi.json",
        operation=public_operations.openapi,
        tag="Service",
        answers=((200, "This document", Page),),
    ),
    Route(
        method="GET",
        path=f"{BASE}/events.schema.json",
        operation=public_operations.event_schema,
        tag="Service",
        answers=((200, "JSON Schema of events", Page),),
    ),
    Route(
        method="GET",
        path="/metrics",
        operation=public_operations.metrics,
        tag="Service",
        auth=Auth.METRICS,
        media_type=PLAIN_TEXT,
        answers=((200, "Every metric, as Prometheus or OpenMetrics text", Page),),
    ),
    _visitor(
        "POST",
        "/queues/{queue_id}/enqueue",
        visitor_operations.enqueue,
        tag="Visitors",
        auth=Auth.MAY_HAVE_POSITION,
        scope="enqueue",
        title="Join queue",
        body=messages.EnqueueRequest,
        answers=(
            (200, "Existing position returned", messages.EnqueueResponse),
            (201, "New position created", messages.EnqueueResponse),
        ),
        refusals=(
            *(refusals.NotFound, refusals.QueueFull, refusals.StoreFull, refusals.Maintenance),
            *(refusals.Forbidden, refusals.IdentityTaken, refusals.TooManyPlaces, refusals.Blocked),
            *(refusals.PassRequired, refusals.PassInvalid),
        ),
    ),
    Route(
        method="GET",
        path=f"{BASE}/queues/{{queue_id}}",
        operation=visitor_operations.queue_facts,
        tag="Visitors",
        answers=((200, "Queue found", messages.PublicQueueResponse),),
        refusals=(refusals.NotFound, refusals.Unavailable),
    ),
    _visitor(
        "GET",
        "/queues/{queue_id}/status",
        visitor_operations.status,
        tag="Visitors",
        auth=Auth.POSITION,
        scope="status",
        answers=((200, "Position found", _STATUS),),
        refusals=(refusals.NotFound, refusals.PositionExpired),
    ),
    _visitor(
        "POST",
        "/queues/{queue_id}/heartbeat",
        visitor_operations.heartbeat,
        tag="Visitors",
        auth=Auth.POSITION,
        scope="heartbeat",
        body=messages.HeartbeatRequest,
        answers=((200, "Heartbeat recorded", _HEARTBEAT),),
        refusals=(refusals.NotFound, refusals.PositionExpired),
    ),
    _visitor(
        "DELETE",
        "/queues/{queue_id}/position",
        visitor_operations.cancel,
        tag="Visitors",
        auth=Auth.POSITION,
        scope="status",
        answers=((200, "Position cancelled", messages.CancelResponse),),
        refusals=(refusals.NotFound, refusals.PositionExpired),
    ),
    _visitor(
        "GET",
        "/sessions/{session_id}",
        visitor_operations.session_status,
        tag="Sessions",
        auth=Auth.SESSION,
        scope="status",
        answers=((200, "Session found", messages.SessionResponse),),
        refusals=(refusals.NotFound, refusals.SessionExpired),
    ),
    _visitor(
        "DELETE",
        "/sessions/{session_id}",
        visitor_operations.end_session,
        tag="Sessions",
        auth=Auth.SESSION,
        scope="status",
        answers=((200, "Session ended", messages.EndSessionResponse),),
        refusals=(refusals.NotFound, refusals.SessionExpired),
    ),
    _visitor(
        "POST",
        "/sessions/{session_id}/activity",
        visitor_operations.session_activity,
        tag="Sessions",
        auth=Auth.SESSION,
        scope="activity",
        body=messages.ActivityRequest,
        answers=((200, "Activity recorded", messages.ActivityResponse),),
        refusals=(refusals.NotFound, refusals.SessionExpired),
    ),
    Route(
        method=WEBSOCKET,
        path="/ws/queues/{queue_id}",
        feed=queue_feed,
        tag="Live",
        auth=Auth.POSITION,
        scope="status",
        counts_itself=True,
        answers=((101, "Messages follow", LIVE_EVENTS),),
        refusals=(refusals.NotFound, refusals.PositionExpired, refusals.TooManyStreams),
    ),
    Route(
        method="GET",
        path=f"{BASE}/queues/{{queue_id}}/events",
        feed=queue_feed,
        tag="Live",
        auth=Auth.POSITION,
        scope="status",
        counts_itself=True,
        answers=((200, "Server-sent events follow", LIVE_EVENTS),),
        refusals=(refusals.NotFound, refusals.PositionExpired, refusals.TooManyStreams),
    ),
    _visitor(
        "POST",
        "/waiting-queue/join",
        concert_operations.join_concert,
        tag="Concerts",
        auth=Auth.USER,
        scope="enqueue",
        body=messages.ConcertUser,
        answers=((200, "In line, inside, or rejected because the line is full", messages.JoinResponse),),
        refusals=(
            *(refusals.NotFound, refusals.StoreFull, refusals.Maintenance, refusals.Forbidden),
            *(refusals.TooManyPlaces, refusals.Blocked, refusals.PassRequired),
        ),
    ),
    _visitor(
        "GET",
        "/waiting-queue/status",
        concert_operations.concert_status,
        tag="Concerts",
        auth=Auth.USER,
        scope="status",
        query=messages.ConcertUser,
        answers=((200, "Where the user stands", messages.RankResponse),),
        refusals=(refusals.NotFound, refusals.Forbidden),
    ),
    Route(
        method="GET",
        path=f"{BASE}/waiting-queue/subscribe",
        feed=concert_feed,
        tag="Concerts",
        auth=Auth.USER,
        scope="status",
        counts_itself=True,
        query=messages.ConcertUser,
        answers=((200, "Server-sent events follow", messages.ConcertEvent),),
        refusals=(refusals.NotFound, refusals.Forbidden, refusals.TooManyStreams),
    ),
    _admin(
        "POST",
        "/queues",
        admin_operations.create_queue,
        body=messages.CreateQueueRequest,
        answers=((201, "Queue created", messages.QueueResponse),),
        refusals=(refusals.Conflict,),
    ),
    _admin(
        "GET",
        "/queues",
        admin_operations.list_queues,
        answers=((200, "Every queue", messages.QueueListResponse),),
    ),
    _admin(
        "GET",
        "/queues/{queue_id}",
        admin_operations.get_queue,
        answers=((200, "Queue found", messages.QueueResponse),),
        refusals=(refusals.NotFound,),
    ),
    _admin(
        "PATCH",
        "/queues/{queue_id}",
        admin_operations.update_queue,
        body=messages.UpdateQueueRequest,
        answers=((200, "Queue updated", messages.QueueResponse),),
        refusals=(refusals.NotFound, refusals.Conflict),
    ),
    _admin(
        "DELETE",
        "/queues/{queue_id}",
        admin_operations.delete_queue,
        answers=((200, "Queue deleted", messages.DeleteQueueResponse),),
        refusals=(refusals.NotFound,),
    ),
    _admin(
        "GET",
        "/queues/{queue_id}/stats",
        admin_operations.queue_stats,
        answers=((200, "Figures of the queue", messages.StatsResponse),),
        refusals=(refusals.NotFound,),
    ),
    _admin(
        "POST",
        "/queues/{queue_id}/flush",
        admin_operations.flush_queue,
        answers=((200, "Line emptied", messages.FlushResponse),),
        refusals=(refusals.NotFound,),
    ),
    _admin(
        "DELETE",
        "/sessions/{session_id}",
        admin_operations.terminate_session,
        body=messages.TerminateRequest,
        answers=((200, "Session terminated", messages.TerminateResponse),),
        refusals=(refusals.NotFound, refusals.SessionExpired),
    ),
    _admin(
        "GET",
        "/keys",
        admin_operations.list_keys,
        answers=((200, "Signing keys", messages.KeyListResponse),),
    ),
    _admin(
        "POST",
        "/keys/rotate",
        admin_operations.rotate_keys,
        answers=((201, "New signing keys", messages.KeyListResponse),),
    ),
    *office_routes(_admin),
    *entry_routes(_admin),
    *webhook_routes(_admin),
    *GATE_ROUTES,
    *PAGE_ROUTES,
)
