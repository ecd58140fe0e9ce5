"""Reads plain HTTP/1.1 requests, as nearly all clients send them, and leaves all others to the general lane.

A request is read exactly as Hypercorn would read it. To guarantee that, this reader accepts only requests
that are plain in every respect. It leaves the bytes of all others unchanged, and Hypercorn reads them.
"""

from enum import Enum
from urllib.parse import unquote

import httptools

from wr.api.http_messages import WEBSOCKET, HttpRequest
from wr.api.request_guard import MAX_BODY_BYTES
from wr.http.head_shapes import HeadShape, HeadShapes, SentHeaders

MAX_HEAD_BYTES = 16 * 1024
"""The general lane refuses a request with a longer head."""
_LONGEST_LENGTH = len(str(MAX_BODY_BYTES))
_SLASH = ord("/")
_ONCE_ONLY = frozenset(
    ("host", "content-length", "authorization", "connection", "upgrade", "sec-websocket-key")
)
_ODD_HEADERS = frozenset(("transfer-encoding", "expect", "http2-settings"))


class ReadOutcome(Enum):
    """Why `take` returned no request."""

    NEEDS_MORE = "needs more"
    """The request has not completely arrived."""
    IS_ODD = "is odd"
    """The request is not plain. The general lane gets the connection, with all bytes in `rest`."""


NEEDS_MORE = ReadOutcome.NEEDS_MORE
IS_ODD = ReadOutcome.IS_ODD


class RequestReader:
    """Turns the bytes of one connection into requests, one at a time. Holds at most one head and one body.

    A typical request takes about 3 µs if its head has a known shape, otherwise 9.
    """

    __slots__ = ("_body_at", "_length", "_request", "_shape", "_shapes", "is_last", "peer", "rest")

    def __init__(self, peer: str, shapes: HeadShapes) -> None:
        self.peer = peer
        self.rest = b""
        """Bytes that have arrived and belong to no request returned yet, including the unfinished request."""
        self.is_last = False
        """Whether the last request returned asks to close the connection."""
        self._shapes = shapes
        self._shape: HeadShape | None = None
        """The shape of the last head."""
        self._request: HttpRequest | None = None
        self._body_at = 0
        self._length = 0
        """Length of the body of the last head; negative if the general lane has to read it."""

    @property
    def has_head(self) -> bool:
        """Whether the head of the next request is complete and its body is not."""
        return self._request is not None

    def take(self) -> HttpRequest | ReadOutcome:
        """Return the next request from `rest`, with its whole body, or why there is none.

        A WebSocket upgrade request gets the method `WEBSOCKET`. It stays in `rest`, because the handshake
        reads its head again.
        """
        rest, request = self.rest, self._request
        if request is None:
            end = rest.find(b"\r\n\r\n", 0, MAX_HEAD_BYTES) + 4
            if end < 4:
                return IS_ODD if len(rest) >= MAX_HEAD_BYTES or _cannot_begin(rest) else NEEDS_MORE
            request = self._read_head(rest if end == len(rest) else rest[:end])
            if request is None or self._length < 0:
                return IS_ODD
            if request.method == WEBSOCKET:
                return request
            if self._length == 0:
                self.rest = rest[end:]
                return request
            self._body_at = end
        total = self._body_at + self._length
        if len(rest) < total:
            self._request = request
            return NEEDS_MORE
        request.body = rest[self._body_at : total]
        self._request, self.rest = None, rest[total:]
        return request

    def close(self) -> None:
        """Free all memory. No request can be read afterwards."""
        self.rest, self._request, self._shape = b"", None, None

    def _read_head(self, head: bytes) -> HttpRequest | None:
        """Read a complete head. Returns None if anything about it is not plain."""
        lines = head.split(b"\r\n")
        shape = self._shape
        if shape is None or not shape.fits(head, lines):
            shape = self._shapes.find(lines)
            if shape is None or not shape.fits(head, lines):
                return self._parse_head(head)
            self._shape = shape
        line = self._shapes.request_line(lines[0])
        if line is None:
            return self._parse_head(head)
        at = shape.length_at
        self._length = 0 if at is None else _body_length(lines[at[0]][at[1] :])
        at = shape.connection_at
        if at is None:
            self.is_last = False
        elif not self._is_known(lines[at[0]][at[1] :]):
            return None
        method, path, query = line
        return HttpRequest(method, path, query, SentHeaders(lines, shape), b"", self.peer)

    def _is_known(self, connection: bytes) -> bool:
        """Note what the value of `Connection` asks for. Returns False for one that the general lane reads."""
        value = connection.strip(b" \t").lower()
        self.is_last = value == b"close"
        return self.is_last or value == b"keep-alive"

    def _parse_head(self, head: bytes) -> HttpRequest | None:
        """Read a complete head with the parser. Returns None if anything about it is not plain."""
        words = head[: head.index(b"\r")].split(b" ")
        # The parser would also accept several spaces, and empty lines before the request.
        if len(words) != 3 or words[2] != b"HTTP/1.1" or not words[0].isalpha():
            return None
        fields: dict[bytes, bytes] = {}
        is_upgrade = False
        try:
            httptools.HttpRequestParser(_Sink(fields)).feed_data(head)
        except httptools.HttpParserUpgrade:
            is_upgrade = True
        except httptools.HttpParserError:
            return None
        headers = {_NAMES[name]: value.decode("latin-1").rstrip(" \t") for name, value in fields.items()}
        if len(headers) != head.count(b"\n") - 2 and not _join_repeated(head, headers):
            return None
        if "host" not in headers or words[1][0] != _SLASH or not _ODD_HEADERS.isdisjoint(headers):
            return None
        method = words[0].decode("ascii")
        if is_upgrade or "upgrade" in headers:
            if not _is_websocket(method, headers):
                return None
            method = WEBSOCKET
        else:
            self.is_last = False
            connection = headers.get("connection")
            if connection is not None and not self._is_known(connection.encode("latin-1")):
                return None
            self._shapes.learn(head, headers)
        self._length = _body_length(headers.get("content-length", "0").encode("latin-1"))
        path, _, query = words[1].decode("ascii").partition("?")
        return HttpRequest(method, unquote(path) if "%" in path else path, query, headers, b"", self.peer)


class _Sink:
    """The parser's callback for each header. It is a C method, because those are fast."""

    def __init__(self, fields: dict[bytes, bytes]) -> None:
        self.on_header = fields.__setitem__


class _Names(dict[bytes, str]):
    """Maps header names to lower case. The common ones are prepared, which saves time."""

    def __missing__(self, name: bytes) -> str:
        return name.lower().decode("latin-1")


_NAMES = _Names(
    (spelling.encode(), name.lower())
    for name in (
        *("Accept", "Accept-Encoding", "Accept-Language", "Authorization", "Cache-Control", "Connection"),
        *("Content-Length", "Content-Type", "Cookie", "Host", "Origin", "Referer", "User-Agent"),
        *("X-Forwarded-For", "X-Forwarded-Proto", "X-Real-Ip", "X-Request-Id"),
    )
    for spelling in (name, name.lower())
)


def _body_length(value: bytes) -> int:
    """Read the value of `Content-Length`; negative if it is not one that the fast lane serves."""
    digits = value.strip(b" \t")
    length = int(digits) if digits.isdigit() and len(digits) <= _LONGEST_LENGTH else -1
    return length if length <= MAX_BODY_BYTES else -1


def _cannot_begin(beginning: bytes) -> bool:
    """Whether no plain request can begin like this: TLS, HTTP/2, or not HTTP at all."""
    return bool(beginning) and (
        not beginning[:1].isalpha() or beginning.startswith(b"PRI * ") or has_bare_line_feed(beginning)
    )


def has_bare_line_feed(lines: bytes) -> bool:
    """Whether a line ends with LF only. RFC 9112, section 2.2 allows a server to refuse that."""
    return lines.count(b"\n") != lines.count(b"\r\n")


def _join_repeated(head: bytes, headers: dict[str, str]) -> bool:
    """Join the values of repeated headers, in order, because each proxy may have added a line.

    Returns False if a header is repeated that may come only once, such as `Content-Length`.
    """
    joined: dict[str, str] = {}
    for line in head.split(b"\r\n")[1:-2]:
        raw_name, _, raw_value = line.partition(b":")
        name = raw_name.lower().decode("latin-1")
        value = raw_value.strip(b" \t").decode("latin-1")
        if name in joined and name in _ONCE_ONLY:
            return False
        joined[name] = f"{joined[name]}, {value}" if name in joined else value
    headers.clear()
    headers.update(joined)
    return True


def _is_websocket(method: str, headers: dict[str, str]) -> bool:
    """Whether this is a valid request to upgrade to a WebSocket, and to nothing else."""
    return (
        method == "GET"
        and headers.get("upgrade", "").lower() == "websocket"
        and headers.get("connection", "").lower() in ("upgrade", "keep-alive, upgrade")
        and headers.get("sec-websocket-version") == "13"
        and "sec-websocket-key" in headers
        and headers.get("content-length", "0") == "0"
    )
