"""Requests and responses, as plain facts that every lane spells its own way."""

import msgspec

from wr.model.limits import Usage

COMMON_HEADERS = (("X-Content-Type-Options", "nosniff"),)
"""What every response says, whatever it brings."""
NOT_KEPT = "no-store"
"""How long an answer may be kept: not at all, unless it says otherwise."""
JSON = "application/json"
UNCOUNTED = (
    ("X-RateLimit-Limit", "1000000"),
    ("X-RateLimit-Remaining", "1000000"),
    ("X-RateLimit-Reset", "0"),
)
"""What a response tells where no limit counts the request (contract: all responses include these headers).

Constant, so that it costs neither the store nor a look at the clock. Whichever way a client reads it, plenty
is left: a million requests remain, and the next window began long ago, so there is nothing to wait for. A
moment far ahead would have a client that spreads what remains over the time until then send next to nothing.
"""
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
    """Spell how much of a limit is used; `UNCOUNTED` where there is none."""
    if usage is None:
        return [*UNCOUNTED]
    limit, remaining, reset_s = usage.told
    return [
        ("X-RateLimit-Limit", str(limit)),
        ("X-RateLimit-Remaining", str(remaining)),
        ("X-RateLimit-Reset", str(reset_s)),
    ]
