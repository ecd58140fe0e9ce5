"""Requests and responses, as plain facts that every lane reads and spells its own way."""

from collections.abc import Mapping

import msgspec

from wr.model.limits import Usage

COMMON_HEADERS = (("X-Content-Type-Options", "nosniff"),)
"""Headers of every response, whatever it brings."""
NOT_KEPT = "no-store"
"""The value of `Cache-Control` unless a response says otherwise: it may not be kept at all."""
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
WEBSOCKET = "WEBSOCKET"
"""The method of a request to upgrade to a WebSocket."""
Headers = list[tuple[str, str]]
"""Names and values of headers, in the order in which they are sent."""
_encode = msgspec.json.Encoder().encode


class HttpRequest(msgspec.Struct):
    """One request as a lane received it: header names in lower case, `body` None when it was too long.

    Not frozen, because a lane reads the body last.
    """

    method: str
    """As it was sent, or `WEBSOCKET`."""
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes | None
    peer: str


class HttpResponse(msgspec.Struct):
    """One response, as an operation gives it and as a lane sends it.

    Not frozen, because the dispatch completes it: it adds the id of the request, and the usage if the
    operation gave none. So each request needs a response of its own; one that is kept and given twice would
    be sent with the id of another request.
    """

    status: int
    body: bytes
    content_type: str = JSON
    usage: Usage | None = None
    """How much of a limit the client has used; None if no limit counts the request."""
    extra_headers: Headers = []
    """Headers beside those that every response has."""
    caching: str = NOT_KEPT
    """The value of `Cache-Control` (RFC 9111, section 5.2.2)."""
    request_id: str = ""

    @property
    def headers(self) -> Headers:
        """All headers but `Content-Length`, which each lane spells itself."""
        return [
            ("Content-Type", self.content_type),
            ("Cache-Control", self.caching),
            *COMMON_HEADERS,
            ("X-Request-Id", self.request_id),
            *limit_headers(self.usage),
            *self.extra_headers,
        ]


def json_response(status: int, message: msgspec.Struct, usage: Usage | None = None) -> HttpResponse:
    """Make a response that brings a message as JSON."""
    return HttpResponse(status, _encode(message), JSON, usage)


def empty_response(status: int, extra_headers: Headers | None = None) -> HttpResponse:
    """Make a response without a body; its headers say all that there is to say."""
    return HttpResponse(status, b"", "text/plain; charset=utf-8", extra_headers=extra_headers or [])


def limit_headers(usage: Usage | None) -> Headers:
    """Spell how much of a limit is used; `UNCOUNTED` where there is none."""
    if usage is None:
        return [*UNCOUNTED]
    limit, remaining, reset_s = usage.told
    return [
        ("X-RateLimit-Limit", str(limit)),
        ("X-RateLimit-Remaining", str(remaining)),
        ("X-RateLimit-Reset", str(reset_s)),
    ]
