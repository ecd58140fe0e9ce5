"""Routes for visitors: places, sessions and live streams (contract: Enqueue to WebSocket API)."""

from wr.api.http_messages import WEBSOCKET
from wr.api.message_readers import NOTHING, Body
from wr.api.route import BASE, Auth, Empty, Route
from wr.api.visitors import live_messages, messages, operations, session_operations
from wr.api.visitors.live_feed import queue_feed
from wr.api.visitors.queue_facts import queue_facts
from wr.model import refusals

LIVE_EVENTS = (
    *(live_messages.PositionUpdateEvent, live_messages.TokenEvent),
    *(live_messages.AdmittedEvent, live_messages.ExpiredEvent),
)
_STATUS = (messages.WaitingStatus, messages.AdmittedStatus)
_HEARTBEAT = (messages.WaitingHeartbeat, messages.AdmittedHeartbeat)

VISITOR_ROUTES = (
    Route(
        method="POST",
        path=f"{BASE}/queues/{{queue_id}}/enqueue",
        operation=operations.enqueue,
        counts_itself=True,
        tag="Visitors",
        auth=Auth.MAY_HAVE_POSITION,
        scope="enqueue",
        title="Join queue",
        reads=Body(messages.EnqueueRequest),
        answers=(
            (200, "Existing position returned", messages.EnqueueResponse),
            (201, "New position created", messages.EnqueueResponse),
        ),
        refusals=(
            *(refusals.NotFound, refusals.QueueFull, refusals.StoreFull, refusals.Maintenance),
            *(refusals.Forbidden, refusals.IdentityTaken, refusals.TooManyPlaces, refusals.Blocked),
            *(refusals.PassRequired, refusals.PassInvalid, refusals.KeyReused),
        ),
    ),
    Route(
        method="GET",
        path=f"{BASE}/queues/{{queue_id}}",
        reads=NOTHING,
        operation=queue_facts,
        tag="Visitors",
        answers=(
            (200, "Queue found", messages.PublicQueueResponse),
            (304, "Nothing has changed since the answer with the `ETag` in `If-None-Match`", Empty),
        ),
        refusals=(refusals.NotFound, refusals.Unavailable),
    ),
    Route(
        method="GET",
        path=f"{BASE}/queues/{{queue_id}}/status",
        reads=NOTHING,
        operation=operations.status,
        counts_itself=True,
        tag="Visitors",
        auth=Auth.POSITION,
        scope="status",
        answers=((200, "Position found", _STATUS),),
        refusals=(refusals.NotFound, refusals.PositionExpired),
    ),
    Route(
        method="POST",
        path=f"{BASE}/queues/{{queue_id}}/heartbeat",
        operation=operations.heartbeat,
        counts_itself=True,
        tag="Visitors",
        auth=Auth.POSITION,
        scope="heartbeat",
        reads=Body(messages.HeartbeatRequest),
        answers=((200, "Heartbeat recorded", _HEARTBEAT),),
        refusals=(refusals.NotFound, refusals.PositionExpired),
    ),
    Route(
        method="DELETE",
        path=f"{BASE}/queues/{{queue_id}}/position",
        reads=NOTHING,
        operation=operations.cancel,
        counts_itself=True,
        tag="Visitors",
        auth=Auth.POSITION,
        scope="status",
        answers=((200, "Position cancelled", messages.CancelResponse),),
        refusals=(refusals.NotFound, refusals.PositionExpired),
    ),
    Route(
        method="GET",
        path=f"{BASE}/sessions/{{session_id}}",
        reads=NOTHING,
        operation=session_operations.session_status,
        counts_itself=True,
        tag="Sessions",
        auth=Auth.SESSION,
        scope="status",
        answers=((200, "Session found", messages.SessionResponse),),
        refusals=(refusals.NotFound, refusals.SessionExpired),
    ),
    Route(
        method="DELETE",
        path=f"{BASE}/sessions/{{session_id}}",
        reads=NOTHING,
        operation=session_operations.end_session,
        counts_itself=True,
        tag="Sessions",
        auth=Auth.SESSION,
        scope="status",
        answers=((200, "Session ended", messages.EndSessionResponse),),
        refusals=(refusals.NotFound, refusals.SessionExpired),
    ),
    Route(
        method="POST",
        path=f"{BASE}/sessions/{{session_id}}/activity",
        operation=session_operations.session_activity,
        counts_itself=True,
        tag="Sessions",
        auth=Auth.SESSION,
        scope="activity",
        reads=Body(messages.ActivityRequest),
        answers=((200, "Activity recorded", messages.ActivityResponse),),
        refusals=(refusals.NotFound, refusals.SessionExpired),
    ),
    Route(
        method=WEBSOCKET,
        path="/ws/queues/{queue_id}",
        reads=NOTHING,
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
        reads=NOTHING,
        feed=queue_feed,
        tag="Live",
        auth=Auth.POSITION,
        scope="status",
        counts_itself=True,
        answers=((200, "Server-sent events follow", LIVE_EVENTS),),
        refusals=(refusals.NotFound, refusals.PositionExpired, refusals.TooManyStreams),
    ),
)
