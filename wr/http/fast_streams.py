"""Live streams on the fast lane: writes server-sent events as HTTP chunks, and WebSockets with wsproto."""

from collections.abc import Iterator
from functools import partial

import trio
from wsproto import ConnectionType, WSConnection
from wsproto.connection import Connection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Ping,
    Pong,
    Request,
    TextMessage,
)
from wsproto.events import Event as WebSocketEvent
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from wr.api.live_feed import KEEP_ALIVE_S, Event, Feed
from wr.http.stream_hub import HubStream, Work
from wr.http.websocket_rules import (
    BINARY_MESSAGE,
    LONGEST_MESSAGE_BYTES,
    MESSAGE_TOO_BIG,
    POLICY_VIOLATION,
    TOO_MANY_FRAMES,
    FrameCount,
    Pulse,
    take_in,
)

_LAST_CHUNK = b"0\r\n\r\n"
_MAX_RECEIVED_BYTES = 64 * 1024
"""Bytes that the client of an event stream may send. The server ignores them."""


class EventStream(HubStream):
    """A stream of server-sent events in a chunked response."""

    __slots__ = ("_number", "_received_bytes", "_sent_at")

    _received_bytes: int
    _number: int
    _sent_at: float

    def begin(self) -> None:
        """Send the opening events, and from then on each update."""
        self._received_bytes = 0
        self._number = 0
        self._sent_at = trio.current_time()
        super().begin()

    @property
    def due(self) -> float:
        """Trio time of the next keep-alive, if no event is sent before."""
        return self._sent_at + KEEP_ALIVE_S

    def show_life(self, now: float) -> None:
        """Send a keep-alive."""
        self._sent_at = now
        self.write(_chunk(self.feed.as_server_sent(None, self._number)))

    def spell(self, event: Event) -> bytes:
        """Return an event as bytes: one chunk."""
        self._number += 1
        self._sent_at = trio.current_time()
        return _chunk(self.feed.as_server_sent(event, self._number))

    def hear(self, data: bytes) -> Work | None:
        """Ignore what the client sends: an event stream goes one way. Closes the stream of a client that
        sends much."""
        self._received_bytes += len(data)
        if self._received_bytes > _MAX_RECEIVED_BYTES:
            self.let_go()
        return None

    def catch_up(self) -> None:
        """Do nothing: an event stream delays nothing."""

    def spell_end(self, code: int, reason: str) -> bytes:  # noqa: ARG002 - chunks end without code and reason
        """Return the bytes that end the response."""
        return _LAST_CHUNK


class WebSocketStream(HubStream):
    """A WebSocket after its handshake."""

    __slots__ = ("_connection", "_delayed_pong", "_frames", "_message", "_pulse")

    _connection: Connection
    _frames: FrameCount
    _message: str
    _pulse: Pulse
    _delayed_pong: Pong | None

    def open(self, trailing_data: bytes, ping_s: float) -> None:
        """Set up the WebSocket. `trailing_data` is what the client sent after the handshake."""
        self._connection = Connection(ConnectionType.SERVER, trailing_data=trailing_data)
        self._frames = FrameCount()
        self._message = ""
        self._delayed_pong = None
        self._pulse = Pulse(ping_s, trio.current_time())

    @property
    def due(self) -> float:
        """Trio time of the next ping."""
        return self._pulse.due

    def show_life(self, now: float) -> None:
        """Send a ping, or end the stream if the client has not answered the last two."""
        if self._pulse.ping(self.feed.stream, now):
            self.write(self._connection.send(Ping()))
        else:
            self.end(POLICY_VIOLATION)

    def spell(self, event: Event) -> bytes:
        """Return an event as bytes: one text message."""
        return self._connection.send(TextMessage(event.data.decode()))

    def spell_end(self, code: int, reason: str) -> bytes:
        """Return a close frame, or nothing if the client's close frame is already answered."""
        try:
            return self._connection.send(CloseConnection(code=code, reason=reason))
        except LocalProtocolError:
            return b""

    def hear(self, data: bytes) -> Work | None:
        """Read what the client sent. A message of its needs the store, and so a task."""
        if self.is_over:
            # A client may send much before it closes. Parsing it would be wasted time.
            return None
        self._connection.receive_data(data)
        events = self._connection.events()
        message = self._next_message(events)
        return None if message is None else partial(self._take_messages, message, events)

    def _next_message(self, events: Iterator[WebSocketEvent]) -> str | None:
        """Handle frames up to the next complete message. None if there is none."""
        for event in events:
            message = self._take(event)
            if self.is_over:
                return None
            if message is not None:
                return message
        return None

    async def _take_messages(self, first: str, events: Iterator[WebSocketEvent]) -> None:
        """Take a message, and whatever has come after it."""
        message: str | None = first
        while message is not None:
            refused = await take_in(self.feed, message)
            if refused is not None:
                self.end(*refused)
            message = None if self.is_over else self._next_message(events)

    def catch_up(self) -> None:
        """Answer the newest of the pings that came while the client did not read.

        RFC 6455, section 5.5.3 allows the server to answer only that one.
        """
        pong, self._delayed_pong = self._delayed_pong, None
        if pong is not None:
            self.write(self._connection.send(pong))

    def _take(self, event: WebSocketEvent) -> str | None:
        """Handle one frame, or a part of one. Returns the message that is complete with it."""
        now = trio.current_time()
        if self._frames.is_exceeded(now):
            self.end(*TOO_MANY_FRAMES)
            return None
        self._pulse.hear(self.feed.stream, now)
        if isinstance(event, Ping):
            self._delayed_pong = event.response()
            if not self.unsent_bytes:
                self.catch_up()
        elif isinstance(event, TextMessage):
            return self._take_text(event)
        elif isinstance(event, BytesMessage):
            self.end(*BINARY_MESSAGE)
        elif isinstance(event, CloseConnection):
            # A close frame is answered with its own code, a broken frame with the code that wsproto sets.
            self.end(event.code, event.reason or "")
        return None

    def _take_text(self, event: TextMessage) -> str | None:
        self._message += event.data
        # The limit is in bytes. Encoding again for each part is cheap, because a valid message is short.
        if len(self._message.encode()) > LONGEST_MESSAGE_BYTES:
            self.end(MESSAGE_TOO_BIG)
        elif event.message_finished:
            message, self._message = self._message, ""
            return message
        return None


def read_handshake(head: bytes) -> WSConnection | None:
    """Read the head of an upgrade request. Returns None if wsproto does not accept it."""
    handshake = WSConnection(ConnectionType.SERVER)
    try:
        handshake.receive_data(head)
    except (RemoteProtocolError, UnicodeError):
        return None
    return handshake if isinstance(next(handshake.events(), None), Request) else None


def accept_handshake(handshake: WSConnection, feed: Feed, subprotocol: str | None) -> bytes:
    """Return the response that accepts the WebSocket. It never agrees to compression."""
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in feed.headers]
    return handshake.send(AcceptConnection(subprotocol=subprotocol, extra_headers=headers))


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)
