"""Live streams on the fast lane: server-sent events as chunks, and WebSockets through wsproto."""

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
from wr.http.stream_hub import HubStream
from wr.http.websocket_rules import (
    LONGEST_MESSAGE_BYTES,
    MESSAGE_TOO_BIG,
    POLICY_VIOLATION,
    TOO_MANY_FRAMES,
    FrameCount,
    Pulse,
    take_in,
)

_LAST_CHUNK = b"0\r\n\r\n"
_MOST_HEARD_BYTES = 64 * 1024
"""What the client of a stream of server-sent events may send, though none of it means anything."""


class EventStream(HubStream):
    """Server-sent events in a chunked response."""

    __slots__ = ("_heard_bytes", "_number", "_said_at")

    _heard_bytes: int
    _number: int
    _said_at: float

    def begin(self) -> None:
        """Send what the feed opens with, and from then on whatever it brings."""
        self._heard_bytes = 0
        self._number = 0
        self._said_at = trio.current_time()
        super().begin()

    @property
    def due(self) -> float:
        """Trio time at which a stream that has been silent shows that it lives."""
        return self._said_at + KEEP_ALIVE_S

    def show_life(self, now: float) -> None:
        """Send a sign of life."""
        self._said_at = now
        self.write(_chunk(self.feed.as_server_sent(None, self._number)))

    def spell(self, event: Event) -> bytes:
        """Spell an event as a chunk."""
        self._number += 1
        self._said_at = trio.current_time()
        return _chunk(self.feed.as_server_sent(event, self._number))

    async def hear(self, data: bytes) -> None:
        """Ignore what the client sends, because such a stream has no way to say anything; a client that
        sends much is let go."""
        self._heard_bytes += len(data)
        if self._heard_bytes > _MOST_HEARD_BYTES:
            self.let_go()

    def catch_up(self) -> None:
        """Nothing is put off in such a stream."""

    def spell_end(self, code: int, reason: str) -> bytes:  # noqa: ARG002 - such a response ends without words
        """Spell the end of the response."""
        return _LAST_CHUNK


class WebSocketStream(HubStream):
    """One WebSocket after its handshake."""

    __slots__ = ("_connection", "_frames", "_message", "_pulse", "_put_off_pong")

    _connection: Connection
    _frames: FrameCount
    _message: str
    _pulse: Pulse
    _put_off_pong: Pong | None

    def open(self, trailing_data: bytes, ping_s: float) -> None:
        """Make ready to begin; `trailing_data` came after the handshake."""
        self._connection = Connection(ConnectionType.SERVER, trailing_data=trailing_data)
        self._frames = FrameCount()
        self._message = ""
        self._put_off_pong = None
        self._pulse = Pulse(ping_s, trio.current_time())

    @property
    def due(self) -> float:
        """Trio time at which to ping next."""
        return self._pulse.due

    def show_life(self, now: float) -> None:
        """Ping, or end a stream that has not answered two pings."""
        if self._pulse.ping(self.feed.stream, now):
            self.write(self._connection.send(Ping()))
        else:
            self.end(POLICY_VIOLATION)

    def spell(self, event: Event) -> bytes:
        """Spell an event as a text message."""
        return self._connection.send(TextMessage(event.data.decode()))

    def spell_end(self, code: int, reason: str) -> bytes:
        """Spell a close frame; nothing where the other side's has been answered."""
        try:
            return self._connection.send(CloseConnection(code=code, reason=reason))
        except LocalProtocolError:
            return b""

    async def hear(self, data: bytes) -> None:
        """Take in what the client sent."""
        if self.is_over:
            return  # Neither to be answered nor to be parsed: the client may send much before it has gone.
        self._connection.receive_data(data)
        for event in self._connection.events():
            if not await self._take(event):
                return

    def catch_up(self) -> None:
        """Answer the last of the pings that came while the client did not read (RFC 6455, section 5.5.3)."""
        pong, self._put_off_pong = self._put_off_pong, None
        if pong is not None:
            self.write(self._connection.send(pong))

    async def _take(self, event: WebSocketEvent) -> bool:
        """Take in one frame, or a part of one; returns whether the stream goes on."""
        now = trio.current_time()
        if self._frames.is_exceeded(now):
            self.end(*TOO_MANY_FRAMES)
            return False
        self._pulse.hear(self.feed.stream, now)
        if isinstance(event, Ping):
            self._put_off_pong = event.response()
            if not self.has_unsent:
                self.catch_up()
        elif isinstance(event, TextMessage):
            await self._take_text(event)
        elif isinstance(event, BytesMessage):
            self.end(*(await take_in(self.feed, None) or (POLICY_VIOLATION, "")))
        elif isinstance(event, CloseConnection):
            # Its own code comes back to who closes; a broken frame gets the code the library names.
            self.end(event.code, event.reason or "")
        return not self.is_over

    async def _take_text(self, event: TextMessage) -> None:
        self._message += event.data
        # Four bytes at most for a character; whoever comes near the limit has no heartbeat to send.
        if len(self._message.encode()) > LONGEST_MESSAGE_BYTES:
            self.end(MESSAGE_TOO_BIG)
        elif event.message_finished:
            message, self._message = self._message, ""
            refused = await take_in(self.feed, message)
            if refused is not None:
                self.end(*refused)


def read_handshake(head: bytes) -> WSConnection | None:
    """Read the head of a request to upgrade; None when it is no sound one."""
    handshake = WSConnection(ConnectionType.SERVER)
    try:
        handshake.receive_data(head)
    except (RemoteProtocolError, UnicodeError):
        return None
    return handshake if isinstance(next(handshake.events(), None), Request) else None


def accept_handshake(handshake: WSConnection, feed: Feed, subprotocol: str | None) -> bytes:
    """Spell the answer that makes the connection a WebSocket's; offers to compress are not taken up."""
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in feed.headers]
    return handshake.send(AcceptConnection(subprotocol=subprotocol, extra_headers=headers))


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)
