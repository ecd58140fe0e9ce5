"""The fast lane: serves plain HTTP/1.1 requests with Trio and a parser in C, because frameworks are slow.

One task serves a connection from its first byte to its last. No request starts a task, a timer or a
framework. The API answers each request, as on the general lane. When a request is unusual in any way, the
fast lane hands its connection to the general lane, with all bytes that are not answered yet.
"""

import math
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from enum import Enum

import trio

from wr.api.dispatch import Api
from wr.api.http_messages import WEBSOCKET, HttpRequest, HttpResponse
from wr.api.live_feed import Feed, event_stream_headers
from wr.http.connection_limits import ConnectionLimits
from wr.http.connection_timeouts import ConnectionTimeouts
from wr.http.fast_streams import EventStream, WebSocketStream, accept_handshake, read_handshake
from wr.http.request_reader import IS_ODD, NEEDS_MORE, RequestReader
from wr.http.response_writer import ResponseWriter
from wr.http.stream_hub import HubStream, StreamHub
from wr.http.transports import Transport
from wr.http.websocket_rules import token_among
from wr.model.refusals import TooSlow, Unavailable
from wr.supervision.client_gone import ClientGone

GiveAway = Callable[[Transport, bytes], Awaitable[None]]
"""Hands a connection to the general lane, together with the bytes that were already read from it."""
_STREAM_METHODS = ("GET", WEBSOCKET)
_LINGER_S = 2.0
_SURPLUS_PATIENCE_S = 2.0


class Stage(Enum):
    """What a connection waits for; the values begin the texts of errors."""

    IDLE = "a request"
    HEAD = "the rest of a head"
    BODY = "the rest of a body"
    BUSY = "nothing from the client"
    ENDING = "the client to close too"


class FastLane:
    """The parts that all connections of the fast lane share."""

    def __init__(
        self,
        api: Api,
        watch: ConnectionTimeouts,
        writer: ResponseWriter,
        hub: StreamHub,
        limits: ConnectionLimits,
        *,
        give_away: GiveAway,
        ping_s: float,
    ) -> None:
        self.api = api
        self.watch = watch
        self.writer = writer
        self.hub = hub
        self.limits = limits
        self.patience_s = {
            Stage.IDLE: limits.idle_patience_s,
            Stage.HEAD: limits.head_patience_s,
            Stage.BODY: limits.body_patience_s,
        }
        """How long a client may keep the server waiting in each stage, in seconds."""
        self.give_away = give_away
        self.ping_s = ping_s
        self.is_ending = False
        """Whether every connection closes after its next response."""

    async def serve(self, transport: Transport, *, is_surplus: bool = False) -> None:
        """Serve a connection until it ends. A surplus connection only gets one 503.

        Raises:
            ClientGone: the client has gone, or this side closed the connection.
        """
        connection = FastConnection(self, transport, is_surplus=is_surplus)
        self.watch.add(connection)
        stream = None
        try:
            stream = await connection.serve()
            if stream is not None:
                # A stream may last for an hour. By now everything that only requests need, 15 KiB, is freed.
                await connection.listen(stream)
        finally:
            self.watch.remove(connection)
            transport.close()
            if stream is not None:
                stream.abandon()

    def end_silent_connections(self) -> None:
        """Close every connection that has no request in progress."""
        for connection in self.watch.all():
            if isinstance(connection, FastConnection) and connection.stage is Stage.IDLE:
                connection.close()


class FastConnection:
    """One connection: what it waits for, and its deadline."""

    __slots__ = ("_is_late", "_is_surplus", "_lane", "_reader", "_served", "deadline", "stage", "transport")

    def __init__(self, lane: FastLane, transport: Transport, *, is_surplus: bool) -> None:
        self.transport = transport
        self.stage = Stage.BUSY
        patience_s = _SURPLUS_PATIENCE_S if is_surplus else lane.limits.head_patience_s
        # A new connection has to send its first byte by then. A new client sends its request at once.
        self.deadline = lane.watch.now + patience_s
        self._lane = lane
        self._reader = RequestReader(transport.peer)
        self._served = 0
        self._is_late = False
        self._is_surplus = is_surplus

    def run_out(self) -> None:
        """Time out: answer 408 if the client has begun a request, else only close the connection."""
        self.deadline = math.inf
        has_begun = self.stage in (Stage.HEAD, Stage.BODY)
        if has_begun and not self._is_late and not self._is_surplus:
            self._is_late = True
            self.transport.stop_receiving()
        else:
            self.close()

    def close(self) -> None:
        """Close the connection at once. Raises nothing."""
        self.transport.close()

    async def serve(self) -> HubStream | None:
        """Answer the requests of the connection, in their order.

        Returns the stream if the connection has become one, and None when it has ended. After each response
        other tasks may run, so a client that sends many requests at once gains nothing.

        Raises:
            ClientGone: the client has gone, or this side closed the connection.
        """
        reader = self._reader
        while True:
            request = reader.take()
            if request is NEEDS_MORE:
                await self._receive()
                continue
            self.stage, self.deadline = Stage.BUSY, math.inf
            if self._is_surplus:
                # Unusual requests too: handing a connection to the general lane costs more than this 503.
                response = self._lane.api.refuse(Unavailable("The server has too many connections just now"))
                await self._send_and_close(response)
                return None
            if request is IS_ODD or not isinstance(request, HttpRequest):
                await self._give_away()
                return None
            if request.method in _STREAM_METHODS and self._lane.api.has_feed(request.method, request.path):
                is_websocket = request.method == WEBSOCKET
                opened = await (self._open_websocket(request) if is_websocket else self._open_events(request))
                if not isinstance(opened, HttpResponse):
                    return opened
                if is_websocket:
                    await self._send_and_close(opened)
                    return None
            elif request.method == WEBSOCKET:
                await self._give_away()
                return None
            else:
                opened = await self._lane.api.handle(request)
            rest, is_last = self._answer(request, opened)
            if rest:
                await self._send(rest)
            if is_last:
                await self._linger()
                return None
            if reader.rest:
                await trio.lowlevel.checkpoint()

    async def listen(self, stream: HubStream) -> None:
        """Start the stream, and pass on what its client sends until the connection ends."""
        stream.begin()
        await stream.hear(b"")
        while data := await self.transport.receive():
            await stream.hear(data)

    async def _receive(self) -> None:
        """Wait for more bytes of a request. The time limit depends on the part that is still missing."""
        reader = self._reader
        stage = Stage.BODY if reader.has_head else Stage.HEAD if reader.rest else Stage.IDLE
        if stage is not self.stage:
            self.stage = stage
            # A connection that has sent nothing yet, or is surplus, keeps its first deadline.
            if not self._is_surplus and (self._served or stage is not Stage.IDLE):
                self.deadline = self._lane.watch.now + self._lane.patience_s[stage]
        data = await self.transport.receive()
        if self._is_late:
            await self._send_and_close(
                self._lane.api.refuse(TooSlow(f"{stage.value.capitalize()} did not arrive in time"))
            )
            raise ClientGone
        if not data:
            raise ClientGone
        reader.rest = reader.rest + data if reader.rest else data

    def _answer(self, request: HttpRequest, response: HttpResponse) -> tuple[bytes, bool]:
        """Send a response. Returns the bytes that the kernel did not take, and whether to close after it."""
        lane = self._lane
        self._served += 1
        is_last = self._reader.is_last or lane.is_ending or self._served >= lane.limits.most_requests
        has_body = request.method != "HEAD" and response.status != 304
        data = lane.writer.spell(response, has_body=has_body, is_last=is_last)
        return self.transport.send_now(data), is_last

    async def _send_and_close(self, response: HttpResponse) -> None:
        """Send a response after which the connection ends."""
        await self._send(self._lane.writer.spell(response, has_body=True, is_last=True))
        await self._linger()

    async def _send(self, data: bytes) -> None:
        self.stage, self.deadline = Stage.BUSY, self._lane.watch.now + self._lane.limits.send_patience_s
        await self.transport.send(data)
        self.deadline = math.inf

    async def _linger(self) -> None:
        """Wait a moment for the client to read the last response and close.

        If the socket were closed while bytes of the client are unread, the kernel would reset the connection,
        and the client could lose the response.
        """
        self._end_sending()
        while await self.transport.receive():
            pass

    def _end_sending(self) -> None:
        self.stage, self.deadline = Stage.ENDING, self._lane.watch.now + _LINGER_S
        self.transport.end_sending()

    async def _give_away(self) -> None:
        self._lane.watch.remove(self)
        await self._lane.give_away(self.transport, self._reader.rest)

    async def _open_events(self, request: HttpRequest) -> HubStream | HttpResponse:
        feed = await self._lane.api.open_feed(request)
        if isinstance(feed, HttpResponse):
            return feed
        with _closed_on_failure(feed):
            headers = [*event_stream_headers(feed), ("Connection", "close"), ("Transfer-Encoding", "chunked")]
            stream = EventStream(self._lane.hub, self.transport, feed, self._end_sending)
            return self._switch_to(stream, self._lane.writer.spell_head(200, headers))

    async def _open_websocket(self, request: HttpRequest) -> HubStream | HttpResponse | None:
        head, _, trailing_data = self._reader.rest.partition(b"\r\n\r\n")
        handshake = read_handshake(head + b"\r\n\r\n")
        if handshake is None:
            await self._give_away()
            return None
        header = request.headers.get("sec-websocket-protocol", "")
        offered = [subprotocol.strip() for subprotocol in header.split(",")]
        subprotocol = token_among(offered, request.headers)
        feed = await self._lane.api.open_feed(request)
        if isinstance(feed, HttpResponse):
            return feed
        with _closed_on_failure(feed):
            stream = WebSocketStream(self._lane.hub, self.transport, feed, self._end_sending)
            stream.open(trailing_data, self._lane.ping_s)
            return self._switch_to(stream, accept_handshake(handshake, feed, subprotocol))

    def _switch_to(self, stream: HubStream, opening: bytes) -> HubStream:
        """Free what only requests need, and send the bytes that open the stream."""
        self._reader.close()
        stream.feed.headers = []
        stream.write(opening)
        return stream


@contextmanager
def _closed_on_failure(feed: Feed) -> Iterator[None]:
    """Close the feed if the block fails, because then no stream does it."""
    try:
        yield
    except BaseException:
        feed.close()
        raise
