"""What a route is: one method of one path, with its limit, authentication, messages and operation."""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from enum import Enum

import msgspec

from wr.api.http_messages import JSON
from wr.api.live_feed import Feed
from wr.api.request_context import Answer, RequestContext, Services
from wr.model import refusals
from wr.model.refusals import Refusal

BASE = "/api/v1"
ANY = "ANY"
"""What stands for every method where a route answers all of them alike."""
WEBSOCKET = "WEBSOCKET"
"""What a request to upgrade to a WebSocket counts as, where others have their method."""


ANY_ROUTE: tuple[type[Refusal], ...] = (
    refusals.InvalidRequest,
    refusals.MethodNotAllowed,
    refusals.TooSlow,
    refusals.TooManyHeaders,
    refusals.UnknownCoding,
    refusals.Unavailable,
)
"""What every path answers with: to bytes that are no sound HTTP, to a method that it does not have, to a
request that does not arrive in time, has too many headers or an unknown coding, and where there is one
connection too many."""


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
    ORIGIN = "origin"
    """The site behind the gate: the origin key, or the admin key."""
    ADMIN = "admin"
    """The admin key."""
    USER = "user"
    """A token of the site's own user, where the server is told to ask for one."""
    METRICS = "metrics"
    """Who may read the metrics: see `MetricsAccess`."""


@dataclass(frozen=True, kw_only=True)
class Route:
    """One method of one path."""

    method: str
    path: str
    """An HTTP method, or `WEBSOCKET` for a request to upgrade."""
    operation: Callable[[Services, RequestContext], Awaitable[Answer]] | None = None
    """What answers a call; None for a live stream."""
    feed: Callable[[Services, RequestContext], Awaitable[Feed]] | None = None
    """What a live stream carries; None for a call."""
    tag: str
    auth: Auth = Auth.NOBODY
    scope: str | None = None
    """Which limit counts its calls; None: none does."""
    counts_itself: bool = False
    """Whether the operation's own script counts the call, in the same round trip."""
    query: type[msgspec.Struct] | None = None
    body: type[msgspec.Struct] | None = None
    needs_body: bool = False
    """Whether a request without a body is refused although no field of it is required."""
    answers: tuple[tuple[int, str, type[msgspec.Struct] | tuple[type[msgspec.Struct], ...]], ...] = ()
    """Status, what it means, and the message or messages it brings."""
    media_type: str = JSON
    """What its answers are, as their `Content-Type` begins; refusals are JSON all the same."""
    refusals: tuple[type[Refusal], ...] = ()
    """The refusals of its own, beside those that its limit, authentication and body bring."""
    is_page: bool = False
    """Whether it is for people to look at: the description of the API leaves it out."""
    refusal_page: Callable[[Services, RequestContext, Refusal], Awaitable[Answer]] | None = None
    """How a refusal is told to somebody who looks at a page; None: as every refusal, in the envelope."""
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
        yield from (
            refusal for refusal in ANY_ROUTE if refusal is not refusals.MethodNotAllowed or self.method != ANY
        )
        if self.body is not None:
            yield refusals.TooLarge
        if self.auth in (Auth.POSITION, Auth.SESSION, Auth.USER, Auth.METRICS):
            yield refusals.Unauthorized
        if self.auth in (Auth.ADMIN, Auth.ORIGIN, Auth.METRICS):
            yield refusals.Forbidden
        if self.scope is not None or self.auth in (Auth.ORIGIN, Auth.METRICS):
            yield refusals.RateLimited
        if self.method == WEBSOCKET:
            yield refusals.UpgradeRequired
        yield from self.refusals


Operation = Callable[[Services, RequestContext], Awaitable[Answer]]
Answers = tuple[tuple[int, str, type[msgspec.Struct] | tuple[type[msgspec.Struct], ...]], ...]


def admin_route(
    method: str,
    path: str,
    operation: Operation,
    *,
    answers: Answers,
    query: type[msgspec.Struct] | None = None,
    body: type[msgspec.Struct] | None = None,
    needs_body: bool = False,
    refusals: tuple[type[Refusal], ...] = (),
) -> Route:
    """Describe a route below `/api/v1/admin`, which asks for the admin key and counts against its limit."""
    return Route(
        method=method,
        path=f"{BASE}/admin{path}",
        operation=operation,
        tag="Admin",
        auth=Auth.ADMIN,
        scope="admin",
        query=query,
        body=body,
        needs_body=needs_body,
        answers=answers,
        refusals=refusals,
    )
