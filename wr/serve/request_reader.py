"""Reading requests of HTTP/1.1 as nearly all clients send them; whatever is odd is for the general lane.

What is read here is read exactly as Hypercorn would read it. That is easy to promise because nothing is
guessed: a request that is not plain in every respect is left untouched, byte by byte, for Hypercorn to judge.
"""

from enum import Enum
from urllib.parse import unquote

import httptools

from wr.api.calls import HttpRequest
from wr.api.reception import MAX_BODY_BYTES
from wr.api.routes import WEBSOCKET

MAX_HEAD_BYTES = 16 * 1024
"""A head that is longer is Hypercorn's to refuse."""
_ONCE_ONLY = frozenset(("host", "content-length", "authorization", "connection", "upgrade"))
_ODD_HEADERS = frozenset(("transfer-encoding", "expect", "http2-settings"))


class Outcome(Enum):
    """What there is instead of a request."""

    NEEDS_MORE = "needs more"
    """The request has not arrived in full."""
    IS_ODD = "is odd"
    """It is for the general lane, with everything in `rest`."""


NEEDS_MORE = Outcome.NEEDS_MORE
IS_ODD = Outcome.IS_ODD


class RequestReader:
    """Turns the bytes of one connection into requests, one at a time; holds at most one head and one body.

    A request with a usual head costs about 5 µs: the C parser calls no Python function, it fills a dict and
    a list.
    """

    __slots__ = ("_fields", "_head", "_head_length", "_parser", "_targets", "is_last", "peer", "rest")

    def __init__(self, peer: str) -> None:
        self.peer = peer
        self.rest = b""
        """What has arrived and was not taken: all of the request that is being read, and what follows it."""
        self.is_last = False
        """Whether the request taken last asks for the connection to be closed."""
        self._fields: dict[bytes, bytes] = {}
        self._targets: list[bytes] = []
        self._parser = self._new_parser()
        self._head: HttpRequest | None = None
        self._head_length = 0

    @property
    def has_head(self) -> bool:
        """Whether the head of the next request is complete and its body is not."""
        return self._head is not None

    def take(self) -> HttpRequest | Outcome:
        """Take the next request from `rest`, with its whole body.

        A request to upgrade to a WebSocket has the method `WEBSOCKET`, and stays in `rest`: its head is the
        beginning of the handshake.
        """
        head = self._head
        if head is None:
            end = self.rest.find(b"\r\n\r\n", 0, MAX_HEAD_BYTES)
            if end < 0:
                return IS_ODD if len(self.rest) >= MAX_HEAD_BYTES or _cannot_begin(self.rest) else NEEDS_MORE
            end += 4
            read = self._read_head(self.rest[:end])
            if read is None:
                return IS_ODD
            if read.method == WEBSOCKET:
                return read
            length = read.headers.get("content-length")
            if length is None or length == "0":
                self.rest = self.rest[end:]
                return read
            if len(length) > 6 or int(length) > MAX_BODY_BYTES:
                return IS_ODD
            self._head, self._head_length, head = read, end, read
        total = self._head_length + int(head.headers["content-length"])
        if len(self.rest) < total:
            return NEEDS_MORE
        body = self.rest[self._head_length : total]
        # The parser keeps count of what it was promised.
        self._parser.feed_data(body)
        self._head, self.rest = None, self.rest[total:]
        return HttpRequest(head.method, head.path, head.query, head.headers, body, head.peer)

    def close(self) -> None:
        """Let go of everything: nothing more will be taken."""
        self.rest, self._head = b"", None
        del self._parser
        self._fields.clear()
        self._targets.clear()

    def _read_head(self, head: bytes) -> HttpRequest | None:
        """Read a complete head; None when there is anything odd about it."""
        line, _, _ = head.partition(b"\r\n")
        words = line.split(b" ")
        # Hypercorn takes a bare line feed for the end of a line, and the parser one space for many.
        if len(words) != 3 or words[2] != b"HTTP/1.1" or head.count(b"\n") != head.count(b"\r\n"):
            return None
        self._fields.clear()
        self._targets.clear()
        is_upgrade = False
        try:
            self._parser.feed_data(head)
        except httptools.HttpParserUpgrade:
            is_upgrade = True
            self._parser = self._new_parser()
        except httptools.HttpParserError:
            return None
        headers = {
            _NAMES[name]: value.decode("latin-1").rstrip(" \t") for name, value in self._fields.items()
        }
        if len(headers) != head.count(b"\r\n") - 2 and not _join_repeated(head, headers):
            return None
        method = words[0].decode("ascii")
        target = words[1]
        if "host" not in headers or not target.startswith(b"/") or not _ODD_HEADERS.isdisjoint(headers):
            return None
        if is_upgrade or "upgrade" in headers:
            if not _is_websocket(method, headers):
                return None
            method = WEBSOCKET
        else:
            connection = headers.get("connection")
            self.is_last = connection is not None and connection.lower() == "close"
            if connection is not None and not self.is_last and connection.lower() != "keep-alive":
                return None
        path, _, query = target.partition(b"?")
        text = path.decode("ascii")
        return HttpRequest(
            method, unquote(text) if "%" in text else text, query.decode("ascii"), headers, b"", self.peer
        )

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
    return bool(beginning) and (not beginning[:1].isalpha() or beginning.startswith(b"PRI * "))


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
