"""Reading requests of HTTP/1.1 as nearly all clients send them; whatever is odd is for the general lane.

What is read here is read exactly as Hypercorn would read it. That is easy to promise because nothing is
guessed: a request that is not plain in every respect is left untouched, byte by byte, for Hypercorn to judge.
"""

from enum import Enum
from urllib.parse import unquote

import httptools

from wr.api.http_messages import WEBSOCKET, HttpRequest
from wr.api.request_guard import MAX_BODY_BYTES

MAX_HEAD_BYTES = 16 * 1024
"""A head that is longer is refused, by the general lane."""
_LONGEST_LENGTH = len(str(MAX_BODY_BYTES))
_SLASH = ord("/")
_ONCE_ONLY = frozenset(
    ("host", "content-length", "authorization", "connection", "upgrade", "sec-websocket-key")
)
_ODD_HEADERS = frozenset(("transfer-encoding", "expect", "http2-settings"))


class ReadOutcome(Enum):
    """What there is instead of a request."""

    NEEDS_MORE = "needs more"
    """The request has not arrived in full."""
    IS_ODD = "is odd"
    """It is for the general lane, with everything in `rest`."""


NEEDS_MORE = ReadOutcome.NEEDS_MORE
IS_ODD = ReadOutcome.IS_ODD


class RequestReader:
    """Turns the bytes of one connection into requests, one at a time; holds at most one head and one body.

    A request with a usual head costs about 8 µs: the C parser calls no Python function, it fills a dict and
    a list.
    """

    __slots__ = ("_begun", "_fields", "_parser", "_targets", "_total", "is_last", "peer", "rest")

    def __init__(self, peer: str) -> None:
        self.peer = peer
        self.rest = b""
        """What has arrived and was not taken: all of the request that is being read, and what follows it."""
        self.is_last = False
        """Whether the request taken last asks for the connection to be closed."""
        self._fields: dict[bytes, bytes] = {}
        self._targets: list[bytes] = []
        self._parser = self._new_parser()
        self._begun: HttpRequest | None = None
        self._total = 0

    @property
    def has_head(self) -> bool:
        """Whether the head of the next request is complete and its body is not."""
        return self._begun is not None

    def take(self) -> HttpRequest | ReadOutcome:
        """Take the next request from `rest`, with its whole body.

        A request to upgrade to a WebSocket has the method `WEBSOCKET`, and stays in `rest`: its head is the
        beginning of the handshake.
        """
        rest = self.rest
        asked = self._begun
        if asked is None:
            end = rest.find(b"\r\n\r\n", 0, MAX_HEAD_BYTES) + 4
            if end < 4:
                return IS_ODD if len(rest) >= MAX_HEAD_BYTES or _cannot_begin(rest) else NEEDS_MORE
            asked = self._read_head(rest if end == len(rest) else rest[:end])
            if asked is None:
                return IS_ODD
            if asked.method == WEBSOCKET:
                return asked
            length = asked.headers.get("content-length")
            if length is None or length == "0":
                self.rest = rest[end:]
                return asked
            if len(length) > _LONGEST_LENGTH or int(length) > MAX_BODY_BYTES:
                return IS_ODD
            self._total = end + int(length)
        if len(rest) < self._total:
            self._begun = asked
            return NEEDS_MORE
        asked.body = rest[self._total - int(asked.headers["content-length"]) : self._total]
        # The parser keeps count of what it was promised.
        self._parser.feed_data(asked.body)
        self._begun, self.rest = None, rest[self._total :]
        return asked

    def close(self) -> None:
        """Let go of everything: nothing more will be taken."""
        self.rest, self._begun = b"", None
        del self._parser
        self._fields.clear()
        self._targets.clear()

    def _read_head(self, head: bytes) -> HttpRequest | None:
        """Read a complete head; None when there is anything odd about it."""
        words = head[: head.index(b"\r")].split(b" ")
        # The parser takes one space for many, and empty lines before a request for none.
        if len(words) != 3 or words[2] != b"HTTP/1.1" or not words[0].isalpha():
            return None
        fields = self._fields
        fields.clear()
        self._targets.clear()
        is_upgrade = False
        try:
            self._parser.feed_data(head)
        except httptools.HttpParserUpgrade:
            is_upgrade = True
            self._parser = self._new_parser()
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
            connection = headers.get("connection")
            self.is_last = connection is not None and connection.lower() == "close"
            if connection is not None and not self.is_last and connection.lower() != "keep-alive":
                return None
        path, _, query = words[1].decode("ascii").partition("?")
        return HttpRequest(method, unquote(path) if "%" in path else path, query, headers, b"", self.peer)

    def _new_parser(self) -> httptools.HttpRequestParser:
        return httptools.HttpRequestParser(_Sink(self._fields, self._targets))


class _Sink:
    """What the parser calls for each part of a head: methods written in C."""

    def __init__(self, fields: dict[bytes, bytes], targets: list[bytes]) -> None:
        self.on_header = fields.__setitem__
        self.on_url = targets.append


class _Names(dict[bytes, str]):
    """Headers' names in lower case, those that nearly every request has ready made."""

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


def _cannot_begin(beginning: bytes) -> bool:
    """Whether this is certainly no plain request, however it goes on: TLS, HTTP/2, or no HTTP at all."""
    return bool(beginning) and (
        not beginning[:1].isalpha() or beginning.startswith(b"PRI * ") or has_bare_line_feed(beginning)
    )


def has_bare_line_feed(lines: bytes) -> bool:
    """Whether a line ends in a line feed alone, which RFC 9112 (section 2.2) lets a server refuse."""
    return lines.count(b"\n") != lines.count(b"\r\n")


def _join_repeated(head: bytes, headers: dict[str, str]) -> bool:
    """Join the lines of a header that comes more than once, in order: each proxy may have added one.

    Returns False where that must not be done: which of two lengths is meant, nobody should guess.
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
    """Whether this is a sound beginning of a WebSocket, with nothing else to upgrade to."""
    return (
        method == "GET"
        and headers.get("upgrade", "").lower() == "websocket"
        and headers.get("connection", "").lower() in ("upgrade", "keep-alive, upgrade")
        and headers.get("sec-websocket-version") == "13"
        and "sec-websocket-key" in headers
        and headers.get("content-length", "0") == "0"
    )
