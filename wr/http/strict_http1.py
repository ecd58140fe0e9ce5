"""Strict HTTP/1.1 for the general lane: refuses what the fast lane does not read, with errors of the API.

The h11 parser accepts what RFC 9112 allows a server to accept: bare line feeds, folded headers, control bytes
and unknown versions. A proxy in front may read such bytes differently. Then proxy and server disagree about
where a request ends, which allows request smuggling. So this module refuses such bytes before h11 reads them.
It upgrades connections to WebSockets only: a proxy that passes on `Upgrade: h2c` would tunnel all bytes that
follow.
"""

import re
from typing import Any

import h11
import trio
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.events import Body
from hypercorn.protocol.events import Event as StreamEvent
from hypercorn.protocol.h11 import H11Protocol

from wr.api.dispatch import Api
from wr.api.http_messages import HttpResponse
from wr.http.request_reader import MAX_HEAD_BYTES, has_bare_line_feed
from wr.model.refusals import InvalidRequest, Refusal, TooManyHeaders, TooSlow, UnknownCoding

_MISTAKE = re.compile(rb"\r(?!\n)|\n[ \t]|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_VERSIONS = (b"HTTP/1.1", b"HTTP/1.0")
_PIECE_BYTES = 64 * 1024
_BAD_REQUEST = 400
_TOO_LONG = 431
_UNKNOWN_CODING = 501


class GeneralConfig(Config):
    """Hypercorn's configuration, with the values that the classes here need in addition."""

    api: Api
    head_patience_s: float


class StrictConnection(h11.Connection):
    """An h11 parser that refuses what the fast lane does not read."""

    is_in_head = False
    """Whether a request head has begun to arrive and is not complete."""
    is_head_request = False
    """Whether the last request is a HEAD request, whose response has no body."""

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        """Read the next part of a request. Overridden to check the bytes before h11 parses them.

        Raises:
            h11.RemoteProtocolError: the client sent bytes that are not allowed.
        """
        state = self.their_state
        if state not in (h11.IDLE, h11.SEND_BODY):
            return super().next_event()
        before, _ = self.trailing_data
        if state is h11.IDLE:
            _check_head(before)
        event = super().next_event()
        if isinstance(event, h11.Request):
            self.is_head_request = event.method == b"HEAD"
        elif isinstance(event, h11.EndOfMessage):
            # The bytes after the last chunk of data: the size line of the empty chunk, and the trailers.
            _check(before[: len(before) - len(self.trailing_data[0])])
        self.is_in_head = event is h11.NEED_DATA and state is h11.IDLE and bool(before)
        return event


def _check_head(data: bytes) -> None:
    """Check a request head, which may be incomplete."""
    size = data.find(b"\r\n\r\n") + 4
    if size < 4:
        if has_bare_line_feed(data):
            raise _mistake("a bare line feed")
        return
    if size > MAX_HEAD_BYTES:
        raise h11.RemoteProtocolError("the head is too long", error_status_hint=_TOO_LONG)
    head = data[:size]
    _check(head)
    if head[: head.index(b"\r\n")].rpartition(b" ")[2] not in _VERSIONS:
        raise _mistake("another version")


def _check(lines: bytes) -> None:
    if has_bare_line_feed(lines) or _MISTAKE.search(lines):
        raise _mistake("bytes that no head may hold")


def _mistake(what: str) -> h11.RemoteProtocolError:
    return h11.RemoteProtocolError(what, error_status_hint=_BAD_REQUEST)


class StrictHttp1(H11Protocol):
    """Hypercorn's HTTP/1.1 with the strict parser, a time limit for heads, and errors in the API's form."""

    config: GeneralConfig

    # `Any`: what Hypercorn gives goes on to Hypercorn, and nothing here looks at it.
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._parser = StrictConnection(
            h11.SERVER, max_incomplete_event_size=self.config.h11_max_incomplete_size
        )
        self.connection = self._parser
        self._head_timer: trio.CancelScope | None = None

    async def handle(self, event: Event) -> None:
        """Handle what was received. Overridden to limit the time that a head may take."""
        await super().handle(event)
        is_waiting = self.connection is self._parser and self._parser.is_in_head
        if isinstance(event, RawData) and is_waiting and self._head_timer is None:
            self._head_timer = trio.CancelScope(deadline=trio.current_time() + self.config.head_patience_s)
            # Stops Hypercorn's idle timeout: from now on the time limit for heads applies.
            await self.send(Updated(idle=False))
            self.task_group.spawn(self._wait_for_head, self._head_timer)
        elif self._head_timer is not None and not (isinstance(event, RawData) and is_waiting):
            self._head_timer.cancel()
            self._head_timer = None

    async def stream_send(self, event: StreamEvent) -> None:
        """Send a part of a response. Overridden to send a large body in pieces, because h11 copies each."""
        if isinstance(event, Body) and len(event.data) > _PIECE_BYTES:
            rest = memoryview(event.data)
            while rest:
                await super().stream_send(Body(event.stream_id, bytes(rest[:_PIECE_BYTES])))
                rest = rest[_PIECE_BYTES:]
        else:
            await super().stream_send(event)

    async def _check_protocol(self, event: h11.Request) -> None:
        """Do nothing. Overridden so that no connection switches to HTTP/2 after its first request."""

    async def _wait_for_head(self, timer: trio.CancelScope) -> None:
        with timer:
            await trio.sleep_forever()
        if self._head_timer is timer:
            await self._send_and_close(TooSlow("The rest of a head did not arrive in time"))
            await self.send(Closed())

    async def _send_error_response(self, status_code: int) -> None:
        await self._send_and_close(refusal_of(status_code))

    async def _send_and_close(self, refusal: Refusal) -> None:
        response = self.config.api.refuse(refusal)
        headers = [*last_headers(response), *self.config.response_headers("h11")]
        await self._send_h11_event(h11.Response(status_code=response.status, headers=headers))
        if not self._parser.is_head_request:
            await self._send_h11_event(h11.Data(data=response.body))
        await self._send_h11_event(h11.EndOfMessage())


def refusal_of(status: int) -> Refusal:
    """Return the API's error for a status with which Hypercorn would answer."""
    if status == _TOO_LONG:
        return TooManyHeaders(f"The head of a request may have {MAX_HEAD_BYTES} bytes")
    if status == _UNKNOWN_CODING:
        return UnknownCoding("The body comes in a transfer coding other than chunked")
    return InvalidRequest("The request is not valid HTTP/1.1")


def last_headers(response: HttpResponse) -> list[tuple[bytes, bytes]]:
    """Return the headers of a response after which the connection ends."""
    length = ("Content-Length", str(len(response.body)))
    return [
        (name.lower().encode("latin-1"), value.encode("latin-1"))
        for name, value in (*response.headers, length, ("Connection", "close"))
    ]
