"""A call as an operation sees it, and its answer: plain objects that know no framework."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from wr.concerts import Concerts
from wr.keeper import KeyKeeper
from wr.live.registry import Registry
from wr.model.limits import Usage
from wr.model.tokens import SessionClaims
from wr.office import Office
from wr.room import PositionProof, Room
from wr.web.assets import AssetShelf

COMMON_HEADERS = (("X-Content-Type-Options", "nosniff"),)
"""What every response says, whatever it brings."""
NOT_KEPT = "no-store"
"""How long an answer may be kept: not at all, unless it says otherwise."""
JSON = "application/json"
PLAIN_TEXT = "text/plain"


class HttpRequest(msgspec.Struct):
    """One request as a lane received it: header names in lower case, `body` None when it was too long.

    Not frozen, because a lane reads the body last. A request to upgrade to a WebSocket has the method
    `WEBSOCKET`.
    """

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes | None
    peer: str


class HttpResponse(msgspec.Struct, frozen=True):
    """One response, in facts that each lane spells its own way; its length is the lane's business."""

    status: int
    request_id: str
    usage: Usage | None
    body: bytes
    more: list[tuple[str, str]] = []
    """Headers beside those that every response has."""
    content_type: str = JSON
    caching: str = NOT_KEPT
    """The value of `Cache-Control` (RFC 9111, section 5.2.2)."""

    @property
    def headers(self) -> list[tuple[str, str]]:
        """All headers but the length."""
        return [
            ("Content-Type", self.content_type),
            ("Cache-Control", self.caching),
            *COMMON_HEADERS,
            ("X-Request-Id", self.request_id),
            *limit_headers(self.usage),
            *self.more,
        ]


def limit_headers(usage: Usage | None) -> list[tuple[str, str]]:
    """Spell how much of a limit is used; nothing where there is none."""
    if usage is None:
        return []
    limit, remaining, reset_s = usage.told
    return [
        ("X-RateLimit-Limit", str(limit)),
        ("X-RateLimit-Remaining", str(remaining)),
        ("X-RateLimit-Reset", str(reset_s)),
    ]


class Call(msgspec.Struct):
    """What an operation is given: parameters checked, body read, caller authenticated."""

    parameters: dict[str, str]
    address: str
    user_agent: str
    headers: dict[str, str] = {}
    """As they were sent, names in lower case; only pages look at them."""
    query_text: str = ""
    route: Any = None
    """The route of the table, once it is found."""
    is_admin: bool = False
    usage: Usage | None = None
    query: Any = None
    body: Any = None
    position: PositionProof | None = None
    session: SessionClaims | None = None


class Page(msgspec.Struct, frozen=True):
    """A body that is ready to be sent as it is: a page, an asset, a document."""

    content: bytes
    content_type: str
    caching: str = NOT_KEPT


class Answer(msgspec.Struct, frozen=True):
    """What an operation gives back: a status, a message or a page, and what was used of a limit."""

    status: int
    body: msgspec.Struct
    usage: Usage | None = None
    headers: list[tuple[str, str]] = []
    """Headers of its own."""


class Services(msgspec.Struct, frozen=True):
    """What operations work with."""

    room: Room
    concerts: Concerts
    registry: Registry
    clock_ms: Callable[[], int]
    office: Office
    keeper: KeyKeeper
    is_store_healthy: Callable[[], Any]
    uptime_s: Callable[[], float]
    scrape: Callable[[str], Awaitable[tuple[bytes, str]]]
    """Spells all metrics for an `Accept` header; returns the text and its content type."""
    openapi: bytes = b""
    assets: AssetShelf = msgspec.field(default_factory=AssetShelf)
