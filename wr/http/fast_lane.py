"""The fast lane: serves plain HTTP/1.1 requests with Trio and a parser in C, because frameworks are slow.

The reactor reads all connections in one task, and most requests are answered without a task of their own: the
API puts a request's question to the store into a batch, and the task of the batch sends the response. What
has to wait gets a task: a live stream, a page, a client that reads slowly. So does a connection with TLS for
all its life. When a request is unusual in any way, the fast lane hands its connection to the general lane,
with all bytes that are not answered yet.
"""

import math
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from functools import partial

import trio

from wr.api.dispatch import Api, LaterResponse
from wr.api.http_messages import WEBSOCKET, HttpRequest, HttpResponse
from wr.api.live_feed import Feed, event_stream_headers
from wr.http.connection_limits import ConnectionLimits
from wr.http.connection_timeouts import ConnectionTimeouts
from wr.http.fast_streams import EventStream, WebSocketStream, accept_handshake, read_handshake
from wr.http.head_shapes import HeadShapes
from wr.http.request_reader import NEEDS_MORE, ReadOutcome, RequestReader
from wr.http.response_writer import ResponseWriter
from wr.http.stream_hub import HubStream, StreamHub, Work
from wr.http.transports import PlainTransport, Transport
from wr.http.websocket_rules import take_token
from wr.model.refusals import TooSlow, Unavailable
from wr.supervision.client_gone import ClientGone
from wr.supervision.connections import end_for_error, start_supervised

GiveAway = Callable[[Transport, bytes], Awaitable[None]]
"""Hands a connection to the general lane, together with the bytes that were already read from it."""
_LINGER_S = 2.0
_SURPLUS_PATIENCE_S = 2.0


class Stage(Enum):
    """What a connection waits for; the values begin the texts of errors."""

    IDLE = "a request"
    HEAD = "the rest of a head"
    BODY = "the rest of a body"
    BUSY = "nothing from the client"
    STREAM = "whatever a client of a live stream sends"
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
        self.shapes = HeadShapes()
        self.give_away = give_away
        self.ping_s = ping_s
        self.is_ending = False
        """Whether every connection closes after its next response."""

    def serve(self, transport: PlainTransport, nursery: trio.Nursery, *, is_surplus: bool) -> None:
        """Begin to serve a connection, which the reactor reads. A surplus connection only gets one 503.

        Work that has to wait gets a task in the nursery.
        """
        connection = FastConnection(self, transport, nursery, is_surplus=is_surplus)
        self.watch.add(connection)
        transport.belong_to(connection)

    async def serve_in_task(
        self, transport: Transport, nursery: trio.Nursery, *, is_surplus: bool = False
    ) -> None:
        """Serve a connection that only a task can read, until it ends.

        Raises:
            ClientGone: the client has gone, or this side closed the connection.
        """
        connection = FastConnection(self, transport, nursery, is_surplus=is_surplus)
        self.watch.add(connection)
        try:
            await connection.serve_in_task()
        finally:
            connection.close()
            connection.on_closed()

    def end_silent_connections(self) -> None:
        """Close every connection that has no request in progress."""
        for connection in self.watch.all():
            if isinstance(connection, FastConnection) and connection.stage is Stage.IDLE:
                connection.close()


class FastConnection:
    """One connection: what it waits for, and its deadline."""

    __slots__ = (
        *("_has_task", "_is_closed", "_is_head", "_is_late", "_is_surplus", "_lane", "_nursery", "_reader"),
        *("_served", "_stream", "deadline", "stage", "transport"),
    )

    def __init__(
        self, lane: FastLane, transport: Transport, nursery: trio.Nursery, *, is_surplus: bool
    ) -> None:
        self.transport = transport
        self.stage = Stage.IDLE
        patience_s = _SURPLUS_PATIENCE_S if is_surplus else lane.limits.head_patience_s
        # A new connection has to send its first byte by then. A new client sends its request at once.
        self.deadline = lane.watch.now + patience_s
        self._lane = lane
        self._nursery = nursery
        self._reader = RequestReader(transport.peer, lane.shapes)
        self._served = 0
        self._has_task = False
        self._is_closed = False
        self._is_head = False
        self._is_late = False
        self._is_surplus = is_surplus
        self._stream: HubStream | None = None

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

    def on_closed(self) -> None:
        """Forget the connection, which is closed."""
        self._is_closed = True
        self._lane.watch.remove(self)
        if self._stream is not None:
            self._stream.abandon()

    # In the task of the reactor: nothing waits.

    def on_readable(self) -> None:
        """Read what has arrived, and begin to answer the next request.

        One request at a time: what arrives before its response is read afterwards, in another turn of the
        reactor. So a client that sends many requests at once gains nothing.

        Raises:
            ClientGone: the client has gone, or this side closed the connection.
        """
        stage = self.stage
        if self._has_task or stage is Stage.BUSY:
            return
        if stage is Stage.ENDING:
            self._overlook_rest()
            return
        if self._stream is not None:
            self._hear(self._stream)
            return
        reader = self._reader
        request = reader.take() if reader.rest else NEEDS_MORE
        if request is NEEDS_MORE:
            data = self.transport.receive_now()
            if not data:
                if data is not None:
                    self._end_of_input()
                elif reader.has_head and stage is Stage.HEAD:
                    self._await_more()
                return
            reader.rest = reader.rest + data if reader.rest else data
            request = reader.take()
        if request is NEEDS_MORE:
            self._await_more()
        elif self._is_surplus or not isinstance(request, HttpRequest) or self._needs_stream(request):
            self._start(partial(self._serve_one, request))
        else:
            self.stage, self.deadline = Stage.BUSY, math.inf
            self._is_head = request.method == "HEAD"
            self._lane.api.begin(request, self)

    def respond(self, response: HttpResponse) -> None:
        """Send the response to the request that was begun. Raises nothing."""
        try:
            rest, is_last = self._answer(response)
            if rest:
                self._start(partial(self._send_rest, rest, is_last=is_last))
            elif is_last:
                self._end_sending()
                self.transport.look_again()
            else:
                self._await_more()
        except Exception as error:  # noqa: BLE001 - it is logged, and ends this connection alone
            end_for_error("a connection", error, self.close)

    def respond_later(self, work: LaterResponse) -> None:
        """Send the response of this work, in a task. Raises nothing."""
        try:
            self._start(partial(self._respond_in_task, work))
        except Exception as error:  # noqa: BLE001 - as above
            end_for_error("a connection", error, self.close)

    def _hear(self, stream: HubStream) -> None:
        """Read what the client of a live stream sends."""
        data = self.transport.receive_now()
        if not data:
            if data is not None:
                self.close()
            return
        work = stream.hear(data)
        if work is not None:
            self._start(partial(self._hear_in_task, work))
        elif self.transport.has_more:
            self.transport.look_again()

    def _await_more(self) -> None:
        """Wait for the next request, or for more bytes of it. The time limit depends on what is missing."""
        reader, transport = self._reader, self.transport
        if self._stream is not None:
            if self.stage is Stage.BUSY:
                self.stage = Stage.STREAM
            transport.look_again()
            return
        stage = Stage.BODY if reader.has_head else Stage.HEAD if reader.rest else Stage.IDLE
        if stage is not self.stage:
            self.stage = stage
            # A connection that has sent nothing yet, or is surplus, keeps its first deadline.
            if not self._is_surplus and (self._served or stage is not Stage.IDLE):
                self.deadline = self._lane.watch.now + self._lane.patience_s[stage]
        if transport.has_more or reader.rest:
            transport.look_again()

    def _overlook_rest(self) -> None:
        """Read what comes after the last request, until the client closes too."""
        data = self.transport.receive_now()
        if data:
            self.transport.look_again()
        elif data is not None:
            self.close()

    def _end_of_input(self) -> None:
        """Close the connection, whose client sends no more; a client that was too slow gets 408 before."""
        if self._is_late and self.stage in (Stage.HEAD, Stage.BODY):
            self._start(partial(self._send_and_close, self._too_slow()))
        else:
            self.close()

    def _needs_stream(self, request: HttpRequest) -> bool:
        """Whether a request opens a live stream, or asks for a WebSocket where there is none."""
        method = request.method
        return method == WEBSOCKET or (method == "GET" and self._lane.api.has_feed(method, request.path))

    def _start(self, work: Callable[[], Awaitable[bool]]) -> None:
        """Start a task for work that has to wait. It tells whether the connection goes on afterwards."""
        self._has_task = True
        self.stage, self.deadline = Stage.BUSY, math.inf
        start_supervised(self._nursery, partial(self._run, work), what="a connection", close=self.close)

    # In a task.

    async def _run(self, work: Callable[[], Awaitable[bool]]) -> None:
        goes_on = await work()
        self._has_task = False
        if goes_on:
            self._await_more()
        else:
            self.close()

    async def serve_in_task(self) -> None:
        """Answer the requests of the connection, in their order, until it ends.

        Raises:
            ClientGone: the client has gone, or this side closed the connection.
        """
        reader = self._reader
        while self._stream is None:
            request = reader.take()
            if request is NEEDS_MORE:
                await self._receive()
            elif not await self._serve_one(request):
                return
            elif reader.rest:
                await trio.lowlevel.checkpoint()
        stream = self._stream
        while data := await self.transport.receive():
            work = stream.hear(data)
            if work is not None:
                await work()

    async def _serve_one(self, request: HttpRequest | ReadOutcome) -> bool:
        """Answer one request, or hand the connection on. Returns whether the connection goes on."""
        self.stage, self.deadline = Stage.BUSY, math.inf
        api = self._lane.api
        if self._is_surplus:
            # Unusual requests too: handing a connection to the general lane costs more than this 503.
            refusal = Unavailable("The server has too many connections just now")
            return await self._send_and_close(api.refuse(refusal))
        if not isinstance(request, HttpRequest):
            await self._give_away()
            return False
        self._is_head = request.method == "HEAD"
        if not self._needs_stream(request):
            return await self._respond_in_task(partial(api.handle, request))
        if not api.has_feed(request.method, request.path):
            await self._give_away()
            return False
        is_websocket = request.method == WEBSOCKET
        opened = await (self._open_websocket(request) if is_websocket else self._open_events(request))
        if opened is None:
            return False
        if isinstance(opened, HttpResponse):
            return await (self._send_and_close(opened) if is_websocket else self._finish(opened))
        if self._is_closed:
            opened.abandon()
            return False
        self._stream = opened
        opened.begin()
        work = opened.hear(b"")
        return True if work is None else await self._hear_in_task(work)

    async def _hear_in_task(self, work: Work) -> bool:
        """Do what a message on a live stream needs. Returns that the connection goes on."""
        await work()
        return True

    async def _respond_in_task(self, work: LaterResponse) -> bool:
        return await self._finish(await work())

    async def _finish(self, response: HttpResponse) -> bool:
        rest, is_last = self._answer(response)
        return await self._send_rest(rest, is_last=is_last)

    async def _send_rest(self, rest: bytes, *, is_last: bool) -> bool:
        """Send what the kernel did not take at once. Returns whether the connection goes on."""
        if rest:
            await self._send(rest)
        if is_last:
            await self._linger()
        return not is_last

    async def _receive(self) -> None:
        """Wait for more bytes of a request."""
        reader = self._reader
        self._await_more()
        data = await self.transport.receive()
        if self._is_late:
            await self._send_and_close(self._too_slow())
            raise ClientGone
        if not data:
            raise ClientGone
        reader.rest = reader.rest + data if reader.rest else data

    def _too_slow(self) -> HttpResponse:
        return self._lane.api.refuse(TooSlow(f"{self.stage.value.capitalize()} did not arrive in time"))

    def _answer(self, response: HttpResponse) -> tuple[bytes, bool]:
        """Send a response. Returns the bytes that the kernel did not take, and whether to close after it."""
        lane = self._lane
        self._served += 1
        is_last = self._reader.is_last or lane.is_ending or self._served >= lane.limits.most_requests
        has_body = not self._is_head and response.status != 304
        data = lane.writer.spell(response, has_body=has_body, is_last=is_last)
        return self.transport.send_now(data), is_last

    async def _send_and_close(self, response: HttpResponse) -> bool:
        """Send a response after which the connection ends."""
        await self._send(self._lane.writer.spell(response, has_body=True, is_last=True))
        await self._linger()
        return False

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
        subprotocol = take_token(offered, request)
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
