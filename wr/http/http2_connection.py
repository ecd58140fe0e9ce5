"""One HTTP/2 connection (RFC 9113): passes its requests to the API and sends the responses.

What one client can cost the server is limited: the number of streams, one request body for each, the time for
each piece of a response, and the number of control frames. Responses are not copied as a whole: a piece of
16 KiB is copied when the client's flow control window has room for it.
"""

import math
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from email.utils import formatdate

import structlog
import trio
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    RemoteSettingsChanged,
    RequestReceived,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes

from wr.api.dispatch import Api
from wr.api.http_messages import HttpResponse
from wr.api.live_feed import event_stream_headers
from wr.api.request_guard import MAX_BODY_BYTES
from wr.http.client_errors import ClientErrorLog
from wr.http.connection_limits import ConnectionLimits
from wr.http.general_streams import send_events
from wr.http.http2_budget import FrameBudget, TooMuch
from wr.http.http2_requests import ReadRequest, read_fields, spell_fields
from wr.http.request_reader import MAX_HEAD_BYTES
from wr.http.transports import Transport
from wr.model.refusals import InvalidRequest, TooSlow
from wr.supervision.client_gone import ClientGone

log = structlog.get_logger("wr.http2")

MOST_STREAMS = 32
"""Requests in progress on one connection. The waiting page needs fewer than ten. A browser that wants more
waits for a response first."""
_PIECE_BYTES = 16 * 1024
_SLICE_BYTES = 512
_TABLE_BYTES = 4096
"""Size limit of the compression table for response headers, even if the client offers more."""
_LINGER_S = 1.0
_ANY_STREAM = 2**31 - 1
_GOAWAY = struct.Struct(">BHBBIII")
"""A GOAWAY frame: length in two parts, type, flags, stream; last stream that is served, error code."""


class _SendTimeout(Exception):
    """The client did not take the next piece of a response in time."""


class _Stream:
    """One request in progress, with what has arrived of its body."""

    __slots__ = ("body", "has_body", "has_ended", "head", "is_answered", "scope")

    def __init__(self, head: ReadRequest) -> None:
        self.head = head
        self.body = bytearray()
        self.has_body = trio.Event()
        """Set when the body is complete, or longer than any may be."""
        self.has_ended = False
        """Whether the client has sent the whole request."""
        self.is_answered = False
        self.scope = trio.CancelScope()

    def add(self, data: bytes) -> None:
        """Append to the body. Bytes beyond the limit are dropped."""
        self.body += data[: MAX_BODY_BYTES + 1 - len(self.body)]
        if len(self.body) > MAX_BODY_BYTES:
            self.has_body.set()

    def end(self) -> None:
        """Note that the client has sent the whole request."""
        self.has_ended = True
        self.has_body.set()


class Http2Connection:
    """Serves one connection with a task that reads, a task that writes, and a task for each request."""

    def __init__(
        self,
        api: Api,
        limits: ConnectionLimits,
        transport: Transport,
        client_errors: ClientErrorLog,
        unix_s: Callable[[], float] = time.time,
    ) -> None:
        self._api = api
        self._limits = limits
        self._transport = transport
        self._client_errors = client_errors
        self._unix_s = unix_s
        self._wire = H2Connection(H2Configuration(client_side=False, header_encoding=None))
        self._wire.decoder.max_header_list_size = MAX_HEAD_BYTES
        self._streams: dict[int, _Stream] = {}
        self._budget = FrameBudget(self._streams, trio.current_time, MAX_HEAD_BYTES)
        self._served = 0
        self._last_stream = _ANY_STREAM
        self._is_ending = False
        self._patience = trio.CancelScope()
        self._goaway = b""
        self._has_unsent = trio.Event()
        self._is_drained = trio.Event()
        self._has_window = trio.Event()

    @property
    def is_silent(self) -> bool:
        """Whether no request is in progress."""
        return not self._streams

    async def run(self, received: bytes = b"") -> None:
        """Serve until the connection ends. `received` are bytes that were already read from it.

        Raises:
            ExceptionGroup: of `ClientGone`, when the client has gone or does not read.
        """
        self._wire.initiate_connection()
        # The limits go into a second SETTINGS frame. A client may open more streams before it has seen it.
        # Those are refused and the client may retry them. With the limits in the first frame, h2 would end
        # the connection instead.
        self._wire.update_settings(
            {
                SettingCodes.MAX_CONCURRENT_STREAMS: MOST_STREAMS,
                SettingCodes.MAX_HEADER_LIST_SIZE: MAX_HEAD_BYTES,
            }
        )
        self._patience.deadline = trio.current_time() + self._limits.head_patience_s
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._write)
            try:
                with self._patience:
                    await self._read(received, nursery)
                self._wire.close_connection(ErrorCodes.NO_ERROR)
            except TooMuch as too_much:
                self._client_errors.warn(
                    "an HTTP/2 connection was ended", peer=self._transport.peer, why=str(too_much)
                )
                self._wire.close_connection(ErrorCodes.ENHANCE_YOUR_CALM)
            except ProtocolError as error:
                # h2 has already queued the GOAWAY frame.
                self._client_errors.warn(
                    "an HTTP/2 connection was ended", peer=self._transport.peer, why=str(error)
                )
            await self._end()
            nursery.cancel_scope.cancel()

    def say_farewell(self) -> None:
        """Ask the client, with GOAWAY, to open no more requests here. Those that still come are answered."""
        self._say_goaway(_ANY_STREAM)

    def end_when_silent(self) -> None:
        """End the connection as soon as no request is in progress."""
        self._is_ending = True
        if self.is_silent:
            self._patience.cancel()

    async def _read(self, received: bytes, nursery: trio.Nursery) -> None:
        while True:
            received = received or await self._transport.receive()
            if not received:
                return
            # Slice by slice, so that other tasks can run in between: 64 KiB may hold 3,000 requests.
            data, received = received[:_SLICE_BYTES], received[_SLICE_BYTES:]
            self._budget.take(data)
            for event in self._wire.receive_data(data):
                if isinstance(event, ConnectionTerminated):
                    return
                self._take(event, nursery)
            # A client that does not read the answers to its frames is not read from either.
            await self._flush()

    def _take(self, event: Event, nursery: trio.Nursery) -> None:
        if isinstance(event, RequestReceived):
            self._begin(event, nursery)
        elif isinstance(event, DataReceived):
            # Acknowledged at once: memory stays bounded, because each stream keeps one limited body.
            self._wire.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            if event.stream_id in self._streams:
                self._streams[event.stream_id].add(event.data)
        elif isinstance(event, StreamEnded):
            if event.stream_id in self._streams:
                self._streams[event.stream_id].end()
        elif isinstance(event, StreamReset):
            if not event.remote_reset:
                self._budget.spend()
            if event.stream_id in self._streams:
                self._streams[event.stream_id].scope.cancel()
        elif isinstance(event, RemoteSettingsChanged):
            changed = event.changed_settings.get(SettingCodes.HEADER_TABLE_SIZE)
            if changed is not None:
                self._wire.encoder.header_table_size = min(changed.new_value, _TABLE_BYTES)
            self._open_windows()
        elif isinstance(event, WindowUpdated):
            self._open_windows()

    def _begin(self, event: RequestReceived, nursery: trio.Nursery) -> None:
        stream_id = event.stream_id
        if len(self._streams) >= MOST_STREAMS or stream_id > self._last_stream:
            # A correct client can get here too: streams that it has reset count until their tasks end.
            self._budget.spend()
            self._reset(stream_id, ErrorCodes.REFUSED_STREAM)
            return
        self._served += 1
        if self._served >= self._limits.most_requests:
            self._is_ending = True
            self._last_stream = stream_id
            self._say_goaway(stream_id)
        self._patience.deadline = math.inf
        stream = _Stream(read_fields(event.headers, self._transport.peer))
        self._streams[stream_id] = stream
        nursery.start_soon(self._serve, stream_id, stream)

    async def _serve(self, stream_id: int, stream: _Stream) -> None:
        """Answer one request. An error ends only this stream, unless the whole connection has ended."""
        error = ErrorCodes.NO_ERROR
        try:
            with stream.scope:
                await self._answer(stream_id, stream)
        except _SendTimeout:
            error = ErrorCodes.CANCEL
        except ProtocolError:
            error = ErrorCodes.CANCEL  # The stream was reset in the meantime.
        except Exception:
            log.exception("an error ended an HTTP/2 stream")
            error = ErrorCodes.INTERNAL_ERROR
        self._leave(stream_id, stream, error)

    def _leave(self, stream_id: int, stream: _Stream, error: ErrorCodes) -> None:
        del self._streams[stream_id]
        if not (stream.is_answered and stream.has_ended):
            self._reset(stream_id, error)
        if self.is_silent:
            self._patience.deadline = trio.current_time() + self._limits.idle_patience_s
            if self._is_ending:
                self._patience.cancel()

    def _reset(self, stream_id: int, error: ErrorCodes) -> None:
        # h2 raises if the client has already reset the stream.
        with suppress(ProtocolError):
            self._wire.reset_stream(stream_id, error)
            self._has_unsent.set()

    async def _answer(self, stream_id: int, stream: _Stream) -> None:
        request = stream.head.request
        if not stream.head.is_sound:
            response = self._api.refuse(InvalidRequest("The request would not be valid in HTTP/1.1"))
        elif self._api.has_feed(request.method, request.path):
            await self._follow(stream_id, stream)
            return
        else:
            with trio.move_on_after(self._limits.body_patience_s) as patience:
                await stream.has_body.wait()
            if patience.cancelled_caught:
                response = self._api.refuse(TooSlow("The rest of a body did not arrive in time"))
            else:
                request.body = bytes(stream.body) if len(stream.body) <= MAX_BODY_BYTES else None
                response = await self._api.handle(request)
        await self._respond(stream_id, stream, response)

    async def _respond(self, stream_id: int, stream: _Stream, response: HttpResponse) -> None:
        has_body = stream.head.request.method != "HEAD" and response.status != 304
        body = response.body if has_body else b""
        headers = [*response.headers, ("Content-Length", str(len(response.body)))]
        self._send_head(stream_id, response.status, headers, ends=not body)
        if body:
            await self._send_body(stream_id, body, ends=True)
        await self._flush()
        stream.is_answered = True
        self._budget.earn_by_answer()

    async def _follow(self, stream_id: int, stream: _Stream) -> None:
        async with self._api.follow(stream.head.request) as feed:
            if isinstance(feed, HttpResponse):
                await self._respond(stream_id, stream, feed)
                return

            async def send(data: bytes) -> None:
                await self._send_body(stream_id, data, ends=False)

            self._send_head(stream_id, 200, event_stream_headers(feed), ends=False)
            await send_events(feed, send)
            self._wire.end_stream(stream_id)
            await self._flush()
            stream.is_answered = True

    def _send_head(self, stream_id: int, status: int, headers: list[tuple[str, str]], *, ends: bool) -> None:
        fields = spell_fields(status, [*headers, ("Date", formatdate(self._unix_s(), usegmt=True))])
        self._wire.send_headers(stream_id, fields, end_stream=ends)

    async def _send_body(self, stream_id: int, body: bytes, *, ends: bool) -> None:
        """Send a body in pieces, each when the client's flow control window has room.

        Raises:
            _SendTimeout: the client did not take a piece in time.
            ProtocolError: the stream has ended in the meantime.
        """
        rest = memoryview(body)
        while rest:
            with trio.move_on_after(self._limits.send_patience_s) as patience:
                await self._send_piece(
                    stream_id, rest[:_PIECE_BYTES], ends=ends and len(rest) <= _PIECE_BYTES
                )
            if patience.cancelled_caught:
                raise _SendTimeout
            rest = rest[_PIECE_BYTES:]

    async def _send_piece(self, stream_id: int, piece: memoryview, *, ends: bool) -> None:
        while piece:
            size = min(len(piece), self._wire.local_flow_control_window(stream_id))
            if size <= 0:
                await self._flush()
                await self._has_window.wait()
                continue
            self._wire.send_data(stream_id, piece[:size], end_stream=ends and size == len(piece))
            self._budget.earn_by_bytes(size)
            piece = piece[size:]
            await self._flush()

    def _open_windows(self) -> None:
        self._has_window.set()
        self._has_window = trio.Event()

    def _say_goaway(self, last_stream: int) -> None:
        # Written by hand, because h2 would treat the connection as closed after it sends GOAWAY.
        self._goaway = _GOAWAY.pack(0, 8, 7, 0, 0, last_stream, ErrorCodes.NO_ERROR)
        self._has_unsent.set()

    async def _flush(self) -> None:
        """Wait until everything queued so far is sent."""
        self._is_drained = trio.Event() if self._is_drained.is_set() else self._is_drained
        self._has_unsent.set()
        await self._is_drained.wait()

    async def _write(self) -> None:
        while True:
            data = self._wire.data_to_send() + self._goaway
            self._goaway = b""
            if data:
                try:
                    with trio.fail_after(self._limits.send_patience_s):
                        await self._transport.send(data)
                except trio.TooSlowError as error:
                    raise ClientGone from error
            else:
                self._is_drained.set()
                await self._has_unsent.wait()
                self._has_unsent = trio.Event()

    async def _end(self) -> None:
        """Send what is queued, then wait a moment for the client to read it and close.

        If the socket were closed while bytes of the client are unread, the kernel would reset the connection,
        and the client could lose the last frames.
        """
        for stream in self._streams.values():
            stream.scope.cancel()
        with trio.move_on_after(_LINGER_S):
            await self._flush()
            self._transport.end_sending()
            while await self._transport.receive():
                pass
