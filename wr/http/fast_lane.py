"""The fast lane: HTTP/1.1 on Trio and a parser in C, for every request that is plain.

One task carries a connection from its first byte to its last, without a task, timer or framework for each
request. What a request means is the API's affair, as on the general lane; what is odd about one, in whatever
way, is the general lane's affair: it is given the connection with all bytes that nobody has answered yet.
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
"""Has the general lane go on with a connection, and with the bytes that were read from it."""
_OF_STREAMS = ("GET", WEBSOCKET)
_LINGER_S = 2.0
_SURPLUS_PATIENCE_S = 2.0


class Stage(Enum):
    """What a connection waits for."""

    IDLE = "a request"
    HEAD = "the rest of a head"
    BODY = "the rest of a body"
    BUSY = "nothing of the client's"
    ENDING = "the client to close too"


class FastLane:
    """What all connections of the lane share."""

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
        """Whether each answer from now on is the last on its connection."""

    async def serve(self, transport: Transport, *, is_surplus: bool = False) -> None:
        """Serve a connection until it ends; one too many is only told so.

        Raises:
            Gone: the client has gone, or the connection was ended from this side.
        """
        connection = FastConnection(self, transport, is_surplus=is_surplus)
        self.watch.add(connection)
        stream = None
        try:
            stream = await connection.serve()
            if stream is not None:
                # From here on, for an hour perhaps, nothing is held that only requests need: 15 KiB of it.
                await connection.listen(stream)
        finally:
            self.watch.remove(connection)
            transport.close()
            if stream is not None:
                stream.abandon()

    def end_silent_connections(self) -> None:
        """End those on which no request is on its way."""
        for connection in self.watch.all():
            if isinstance(connection, FastConnection) and connection.stage is Stage.IDLE:
                connection.close()


class FastConnection:
    """One connection: where it stands, and until when it may stand there."""

    __slots__ = ("_is_late", "_is_surplus", "_lane", "_reader", "_served", "deadline", "stage", "transport")

    def __init__(self, lane: FastLane, transport: Transport, *, is_surplus: bool) -> None:
        self.transport = transport
        self.stage = Stage.BUSY
        patience_s = _SURPLUS_PATIENCE_S if is_surplus else lane.limits.head_patience_s
        # Until it has sent a first byte: whoever connects is about to ask for something.
        self.deadline = lane.watch.now + patience_s
        self._lane = lane
        self._reader = RequestReader(transport.peer)
        self._served = 0
        self._is_late = False
        self._is_surplus = is_surplus

    def run_out(self) -> None:
        """The client has taken too long: it is told so if it has begun to ask for something."""
        self.deadline = math.inf
        has_begun = self.stage in (Stage.HEAD, Stage.BODY)
        if has_begun and not self._is_late and not self._is_surplus:
            self._is_late = True
            self.transport.stop_receiving()
        else:
            self.close()

    def close(self) -> None:
        """Close the connection at once; raises nothing."""
        self.transport.close()

    async def serve(self) -> HubStream | None:
        """Answer request after request, in their order; raises `ClientGone` when the client goes.

        Returns when the connection is at its end, or has become a stream. A client that has sent many
        requests at once waits its turn after each.
        """
        reader = self._reader
        while True:
            asked = reader.take()
            if asked is NEEDS_MORE:
                await self._receive()
                continue
            self.stage, self.deadline = Stage.BUSY, math.inf
            if self._is_surplus:
                # Whatever it asks for: what is odd about it would cost the general lane more than a place.
                response = self._lane.api.refuse(Unavailable("The waiting room holds all it can just now"))
                await self._say_last(response)
                return None
            if asked is IS_ODD or not isinstance(asked, HttpRequest):
                await self._give_away()
                return None
            if asked.method in _OF_STREAMS and self._lane.api.has_feed(asked.method, asked.path):
                is_websocket = asked.method == WEBSOCKET
                opened = await (self._open_websocket(asked) if is_websocket else self._open_events(asked))
                if not isinstance(opened, HttpResponse):
                    return opened
                if is_websocket:
                    await self._say_last(opened)
                    return None
            elif asked.method == WEBSOCKET:
                await self._give_away()
                return None
            else:
                opened = await self._lane.api.handle(asked)
            rest, is_last = self._answer(asked, opened)
            if rest:
                await self._send(rest)
            if is_last:
                await self._linger()
                return None
            if reader.rest:
                await trio.lowlevel.checkpoint()

    async def listen(self, stream: HubStream) -> None:
        """Listen to the client of a stream until the connection ends."""
        stream.begin()
        await stream.hear(b"")
        while data := await self.transport.receive():
            await stream.hear(data)

    async def _receive(self) -> None:
        """Wait for more of a request; patience depends on how much of it is there."""
        reader = self._reader
        stage = Stage.BODY if reader.has_head else Stage.HEAD if reader.rest else Stage.IDLE
        if stage is not self.stage:
            self.stage = stage
            # A connection that has brought nothing yet, or is surplus, keeps the deadline it began with.
            if not self._is_surplus and (self._served or stage is not Stage.IDLE):
                self.deadline = self._lane.watch.now + self._lane.patience_s[stage]
        data = await self.transport.receive()
        if self._is_late:
            await self._say_last(
                self._lane.api.refuse(TooSlow(f"{stage.value.capitalize()} did not arrive in time"))
            )
            raise ClientGone
        if not data:
            raise ClientGone
        reader.rest = reader.rest + data if reader.rest else data

    def _answer(self, asked: HttpRequest, response: HttpResponse) -> tuple[bytes, bool]:
        """Send a response; returns what the kernel did not take, and whether the connection ends with it."""
        lane = self._lane
        self._served += 1
        is_last = self._reader.is_last or lane.is_ending or self._served >= lane.limits.most_requests
        has_body = asked.method != "HEAD" and response.status != 304
        data = lane.writer.spell(response, has_body=has_body, is_last=is_last)
        return self.transport.send_now(data), is_last

    async def _say_last(self, response: HttpResponse) -> None:
        """Send a response after which the connection ends."""
        await self._send(self._lane.writer.spell(response, has_body=True, is_last=True))
        await self._linger()

    async def _send(self, data: bytes) -> None:
        self.stage, self.deadline = Stage.BUSY, self._lane.watch.now + self._lane.limits.send_patience_s
        await self.transport.send(data)
        self.deadline = math.inf

    async def _linger(self) -> None:
        """Give the client a moment to read the last answer and close: what it has sent and nobody reads
        would make the kernel reset the connection, and the answer be lost."""
        self._end_sending()
        while await self.transport.receive():
            pass

    def _end_sending(self) -> None:
        self.stage, self.deadline = Stage.ENDING, self._lane.watch.now + _LINGER_S
        self.transport.end_sending()

    async def _give_away(self) -> None:
        self._lane.watch.remove(self)
        await self._lane.give_away(self.transport, self._reader.rest)

    async def _open_events(self, asked: HttpRequest) -> HubStream | HttpResponse:
        feed = await self._lane.api.open_feed(asked)
        if isinstance(feed, HttpResponse):
            return feed
        with _closed_on_failure(feed):
            headers = [*event_stream_headers(feed), ("Connection", "close"), ("Transfer-Encoding", "chunked")]
            stream = EventStream(self._lane.hub, self.transport, feed, self._end_sending)
            return self._become(stream, self._lane.writer.spell_head(200, headers))

    async def _open_websocket(self, asked: HttpRequest) -> HubStream | HttpResponse | None:
        head, _, behind = self._reader.rest.partition(b"\r\n\r\n")
        handshake = read_handshake(head + b"\r\n\r\n")
        if handshake is None:
            await self._give_away()
            return None
        offered = [each.strip() for each in asked.headers.get("sec-websocket-protocol", "").split(",")]
        subprotocol = token_among(offered, asked.headers)
        feed = await self._lane.api.open_feed(asked)
        if isinstance(feed, HttpResponse):
            return feed
        with _closed_on_failure(feed):
            stream = WebSocketStream(self._lane.hub, self.transport, feed, self._end_sending)
            stream.open(behind, self._lane.ping_s)
            return self._become(stream, accept_handshake(handshake, feed, subprotocol))

    def _become(self, stream: HubStream, greeting: bytes) -> HubStream:
        """Go on as a stream, which begins with these bytes."""
        self._reader.close()
        stream.feed.headers = []
        stream.write(greeting)
        return stream


@contextmanager
def _closed_on_failure(feed: Feed) -> Iterator[None]:
    """Close a feed that does not become a stream."""
    try:
        yield
    except BaseException:
        feed.close()
        raise
