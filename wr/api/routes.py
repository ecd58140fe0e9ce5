"""The route table: every path, once, with its limit, authentication, messages and operation."""

import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from enum import Enum

import msgspec

from wr.api import admin_operations, concert_operations, messages, public_operations, visitor_operations
from wr.api.calls import Answer, Call, Services
from wr.api.feeds import Feed, concert_feed, queue_feed
from wr.api.office_routes import office_routes
from wr.model import refusals
from wr.model.refusals import Refusal
from wr.model.remembered import Remembered

BASE = "/api/v1"
WEBSOCKET = "WEBSOCKET"
"""What a request to upgrade to a WebSocket counts as, where others have their method."""


class Auth(Enum):
    """Who may call a route."""

    NOBODY = "nobody"
    """No token is asked for."""
    MAY_HAVE_POSITION = "may have position"
    """A valid position token is taken as proof of a place; anything else is overlooked."""
    POSITION = "position"
    """A position token of the queue in the path."""
    SESSION = "session"
    """The session token of the session in the path."""
    ADMIN = "admin"
    """The admin key."""
    USER = "user"
    """A token of the site's own user, where the server is told to ask for one."""


@dataclass(frozen=True, kw_only=True)
class Route:
    """One method of one path."""

    method: str
    path: str
    """An HTTP method, or `WEBSOCKET` for a request to upgrade."""
    operation: Callable[[Services, Call], Awaitable[Answer]] | None = None
    """What answers a call; None for a live stream."""
    feed: Callable[[Services, Call], Awaitable[Feed]] | None = None
    """What a live stream carries; None for a call."""
    tag: str
    auth: Auth = Auth.NOBODY
    scope: str | None = None
    """Which limit counts its calls; None: none does."""
    counts_itself: bool = False
    """Whether the operation's own script counts the call, in the same round trip."""
    query: type[msgspec.Struct] | None = None
    body: type[msgspec.Struct] | None = None
    answers: tuple[tuple[int, str, type[msgspec.Struct] | tuple[type[msgspec.Struct], ...]], ...]
    """Status, what it means, and the message or messages it brings."""
    refusals: tuple[type[Refusal], ...] = ()
    """The refusals of its own, beside those that its limit, authentication and body bring."""
    title: str = ""
    """What the contract's OpenAPI block calls it, if it is in there."""

    @property
    def name(self) -> str:
        """The operation's name, or the feed's."""
        return (self.operation or self.feed).__name__  # type: ignore[union-attr]

    @property
    def description(self) -> str:
        """The first line of the docstring of the operation or the feed."""
        return ((self.operation or self.feed).__doc__ or "").partition("\n")[0]

    @property
    def summary(self) -> str:
        """The contract's words for it, or its description."""
        return self.title or self.description

    def all_refusals(self) -> Iterator[type[Refusal]]:
        """List every refusal the route can answer with."""
        if self.query is not None:
            yield refusals.InvalidRequest
        if self.body is not None:
            yield from (refusals.InvalidRequest, refusals.TooLarge)
        if self.auth in (Auth.POSITION, Auth.SESSION, Auth.USER):
            yield refusals.Unauthorized
        if self.auth is Auth.ADMIN:
            # The second: a header that names the operator in a way that cannot be written down.
            yield from (refusals.Forbidden, refusals.InvalidRequest)
        if self.scope is not None:
            yield refusals.RateLimited
        if self.method == WEBSOCKET:
            yield refusals.UpgradeRequired
        yield from self.refusals
        if self.auth is not Auth.NOBODY:
            yield refusals.Unavailable


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
        answers=((200, "This document", public_operations.Document),),
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
        refusals=(refusals.NotFound, refusals.QueueFull, refusals.Maintenance),
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
        refusals=(refusals.NotFound, refusals.PositionExpired),
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
        refusals=(refusals.NotFound, refusals.PositionExpired),
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
        refusals=(refusals.NotFound, refusals.Maintenance),
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
        refusals=(refusals.NotFound,),
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
        refusals=(refusals.NotFound,),
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
)

_MOST_REMEMBERED = 1024
"""Paths whose route is remembered: those of a few hundred queues."""
_PARAMETER = re.compile(r"\{(\w+)\}")


class Router:
    """Finds the route of a request by the shape of its path."""

    def __init__(self, routes: tuple[Route, ...] = ROUTES) -> None:
        self._found: Remembered[tuple[str, str], tuple[Route, dict[str, str]]] = Remembered(_MOST_REMEMBERED)
        self._exact: dict[str, dict[str, Route]] = {}
        self._patterns: list[tuple[re.Pattern[str], dict[str, Route]]] = []
        patterns: dict[str, dict[str, Route]] = {}
        for route in routes:
            table = patterns if "{" in route.path else self._exact
            table.setdefault(route.path, {})[route.method] = route
        for path, methods in patterns.items():
            shape = "".join(
                f"(?P<{part}>[^/]+)" if index % 2 else re.escape(part)
                for index, part in enumerate(_PARAMETER.split(path))
            )
            self._patterns.append((re.compile(shape), methods))

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        """Find the route and its path parameters; HEAD is served by GET, and an upgrade that none offers
        is overlooked.

        Raises:
            NotFound: no route has that path.
            MethodNotAllowed: the path has routes, but none of that method.
            UpgradeRequired: the path is there for WebSockets only.
        """
        found = self._found.get((method, path))
        if found is None:
            found = self._look_up(method, path)
            self._found.put((method, path), found)
        return found

    def _look_up(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        methods = self._exact.get(path)
        parameters: dict[str, str] = {}
        if methods is None:
            for pattern, candidates in self._patterns:
                match = pattern.fullmatch(path)
                if match is not None:
                    methods, parameters = candidates, match.groupdict()
                    break
        if methods is None:
            raise refusals.NotFound("There is nothing at this path")
        route = methods.get("GET" if method == "HEAD" else method)
        if route is None and method == WEBSOCKET:
            route = _answered(methods.get("GET"))
        if route is None:
            if list(methods) == [WEBSOCKET]:
                raise refusals.UpgradeRequired("This path speaks WebSocket only")
            allowed = (*methods, *(("HEAD",) if _answered(methods.get("GET")) else ()))
            raise refusals.MethodNotAllowed("This path has no such method", tuple(sorted(allowed)))
        return route, parameters

    def has_feed(self, method: str, path: str) -> bool:
        """Whether that is a live stream rather than a call."""
        try:
            return self.find(method, path)[0].feed is not None and method != "HEAD"
        except Refusal:
            return False


def _answered(route: Route | None) -> Route | None:
    """The route, unless it is a stream."""
    return route if route is not None and route.operation is not None else None
