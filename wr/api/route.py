"""What a route is: one method of one path, with its limit, authentication, messages and operation."""

from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any, Generic

import msgspec

from wr.api.authenticated_request import AuthenticatedRequest, MessageT
from wr.api.http_messages import JSON, WEBSOCKET, HttpRequest, HttpResponse
from wr.api.live_feed import Feed
from wr.api.message_readers import Body, MessageReader, Query
from wr.api.services import Services
from wr.model import refusals
from wr.model.refusals import Refusal
from wr.store.store_call import Answer

BASE = "/api/v1"
ANY = "ANY"
"""What stands for every method where a route answers all of them alike."""

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


class Empty(msgspec.Struct, frozen=True):
    """Stands in the route table for a response without a body."""


class RawBody(msgspec.Struct, frozen=True):
    """Stands in the route table for a body that no message describes: a page, a document, metrics."""


Operation = Callable[
    [Services, AuthenticatedRequest[MessageT]], Answer[HttpResponse] | Coroutine[Any, Any, HttpResponse]
]
"""Answers a request whose message has the type that the route reads.

What visitors call often is a plain function that returns an `Answer`. All else may be a coroutine.
"""
FeedOpener = Callable[[Services, AuthenticatedRequest[MessageT]], Awaitable[Feed]]
"""Opens a live stream."""
RefusalPage = Callable[[Services, HttpRequest, str, Refusal], Awaitable[HttpResponse]]
"""Tells a refusal to a visitor who looks at a page of the queue with this id."""
Answers = tuple[tuple[int, str, type[msgspec.Struct] | tuple[type[msgspec.Struct], ...]], ...]
"""Status, what it means, and the message or messages it brings."""


@dataclass(frozen=True, kw_only=True)
class Route(Generic[MessageT]):
    """One method of one path.

    The type variable ties `reads` to `operation` and `feed`: a route whose operation wants another message
    than the route reads is an error of types.
    """

    method: str
    """An HTTP method, `ANY`, or `WEBSOCKET` for a request to upgrade."""
    path: str
    reads: MessageReader[MessageT]
    """Reads the message that a request brings: `Body(…)`, `Query(…)` or `NOTHING`."""
    operation: Operation[MessageT] | None = None
    """What answers a call; None for a live stream."""
    feed: FeedOpener[MessageT] | None = None
    """What a live stream carries; None for a call."""
    tag: str
    auth: Auth = Auth.NOBODY
    scope: str | None = None
    """Which limit counts its calls; None: none does."""
    counts_itself: bool = False
    """Whether the operation's own script counts the call, in the same round trip."""
    answers: Answers = ()
    media_type: str = JSON
    """What its answers are, as their `Content-Type` begins; refusals are JSON all the same."""
    refusals: tuple[type[Refusal], ...] = ()
    """The refusals of its own, beside those that its limit, authentication and body bring."""
    is_page: bool = False
    """Whether it is for people to look at: the description of the API leaves it out."""
    refusal_page: RefusalPage | None = None
    """Makes the page that tells a refusal; its path names a queue. None: a refusal is the envelope."""
    title: str = ""
    """What the contract's OpenAPI block calls it, if it is in there."""

    @property
    def body(self) -> type[msgspec.Struct] | None:
        """The type of the body that it reads; None if it reads none."""
        return self.reads.kind if isinstance(self.reads, Body) else None

    @property
    def query(self) -> type[msgspec.Struct] | None:
        """The type of the query that it reads; None if it reads none."""
        return self.reads.kind if isinstance(self.reads, Query) else None

    @property
    def function(self) -> Operation[MessageT] | FeedOpener[MessageT]:
        """The operation, or what opens the feed."""
        function = self.operation or self.feed
        if function is None:
            raise AssertionError(f"{self.method} {self.path} has neither an operation nor a feed")
        return function

    @property
    def name(self) -> str:
        """The operation's name, or the feed's."""
        return self.function.__name__

    @property
    def description(self) -> str:
        """The first line of the docstring of the operation or the feed."""
        return (self.function.__doc__ or "").partition("\n")[0]

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


AnyRoute = Route[Any]
"""A route of the table, where routes that read different messages stand side by side.

`Any` stands for the message, because Python has no type for «a route of some message, whichever it is». The
router and the dispatch treat all routes alike. The types of a route are checked where it is made, but only if
nothing there asks for an `AnyRoute`: so the tables of the subjects bear no annotation, and `ROUTES` alone
does.
"""


def admin_route(
    method: str,
    path: str,
    operation: Operation[MessageT],
    *,
    reads: MessageReader[MessageT],
    answers: Answers,
    refusals: tuple[type[Refusal], ...] = (),
) -> Route[MessageT]:
    """Describe a route below `/api/v1/admin`, which asks for the admin key and counts against its limit."""
    return Route(
        method=method,
        path=f"{BASE}/admin{path}",
        reads=reads,
        operation=operation,
        tag="Admin",
        auth=Auth.ADMIN,
        scope="admin",
        answers=answers,
        refusals=refusals,
    )
