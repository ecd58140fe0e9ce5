"""Hypercorn's WebSocket, taught what a stream that stays open for an hour needs.

As it comes, it tells nobody of a pong, sends no ping that is asked for, closes without a word when a frame
is broken, leaves the connection open after an oversized message, and for ever after a refusal, and compresses
for hundreds of kilobytes a connection. Its class is internal: hence the held version, and a test of each.
"""

from dataclasses import replace
from typing import Any

import hypercorn.protocol
import hypercorn.protocol.h11
import trio
from hypercorn.protocol.events import Body, EndBody, Event, Request, Response, StreamClosed
from hypercorn.protocol.ws_stream import FrameTooLargeError, WSStream
from wsproto.connection import ConnectionState
from wsproto.events import CloseConnection, Message, Ping, Pong
from wsproto.frame_protocol import CloseReason

from wr.http.strict_http1 import GeneralConfig, StrictHttp1, last_headers, refusal_of
from wr.http.websocket_rules import TOO_MANY_FRAMES, FrameCount

_BAD_REQUEST = 400

PING = {"type": "websocket.ping"}
"""What an application sends, beside what ASGI knows, to have a ping sent."""
PONG = {"type": "websocket.pong"}
"""What it receives when the peer answers one."""


class LastingWebSocket(WSStream):
    """A WebSocket that reports pongs and says why it closes."""

    config: GeneralConfig
    _is_over = False
    _putting: trio.CancelScope | None = None
    _frames: FrameCount | None = None

    async def handle(self, event: Event) -> None:
        """Take in what the connection received; offers to compress are not taken up."""
        if isinstance(event, Request):
            if _announces_body(event.headers):
                # Read as frames, its bytes would be whatever the moment of their arrival makes of them.
                await self._send_error_response(_BAD_REQUEST)
                await self.send(StreamClosed(stream_id=self.stream_id))
                return
            kept = [pair for pair in event.headers if pair[0].lower() != b"sec-websocket-extensions"]
            event = replace(event, headers=kept)
        was_closed = self.closed
        await super().handle(event)
        if self.closed and not was_closed and not isinstance(event, StreamClosed):
            # Refused: no key, another version, or a frame too early.
            await self.send(StreamClosed(stream_id=self.stream_id))

    async def app_send(self, message: Any) -> None:
        """Send what the application says, pings included."""
        if message is not None and message["type"] == PING["type"]:
            if not self.closed:
                await self._send_wsproto_event(Ping())
            return
        if message is None:
            # The application has ended: what a client sent it in heaps is nobody's to take any more.
            self._is_over = True
            if self._putting is not None:
                self._putting.cancel()
        await super().app_send(message)

    async def _handle_events(self) -> None:
        if self._frames is None:
            self._frames = FrameCount()
        for event in self.connection.events():
            if self._frames.is_exceeded(trio.current_time()):
                if self.connection.state == ConnectionState.OPEN:
                    code, reason = TOO_MANY_FRAMES
                    await self._send_wsproto_event(CloseConnection(code=code, reason=reason))
                await self.send(StreamClosed(stream_id=self.stream_id))
                return
            if isinstance(event, Message):
                if not await self._take(event):
                    return
            elif isinstance(event, Ping):
                await self._send_wsproto_event(event.response())
            elif isinstance(event, Pong):
                await self._put(dict(PONG))
            elif isinstance(event, CloseConnection):
                if self.connection.state == ConnectionState.REMOTE_CLOSING:
                    await self._send_wsproto_event(event.response())
                elif self.connection.state == ConnectionState.OPEN:
                    # Not a close frame but a broken one: the library names the code it deserves.
                    await self._send_wsproto_event(CloseConnection(code=event.code, reason=event.reason))
                await self.send(StreamClosed(stream_id=self.stream_id))
                return

    async def _send_error_response(self, status_code: int) -> None:
        if status_code != _BAD_REQUEST:
            await super()._send_error_response(status_code)
            return
        # From now on the application, which may have begun, can send nothing.
        self.closed = True
        response = self.config.api.refuse(refusal_of(status_code))
        await self.send(Response(self.stream_id, last_headers(response), response.status))
        await self.send(Body(self.stream_id, response.body))
        await self.send(EndBody(self.stream_id))

    async def _take(self, event: Message[Any]) -> bool:
        try:
            self.buffer.extend(event)
        except FrameTooLargeError:
            await self._send_wsproto_event(CloseConnection(code=CloseReason.MESSAGE_TOO_BIG))
            await self.send(StreamClosed(stream_id=self.stream_id))
            return False
        if event.message_finished:
            await self._put(self.buffer.to_message())
            self.buffer.clear()
        return True

    async def _put(self, message: Any) -> None:
        if self.app_put is not None and not self._is_over:
            with trio.CancelScope() as self._putting:
                await self.app_put(message)
            self._putting = None


def _announces_body(headers: list[tuple[bytes, bytes]]) -> bool:
    """Whether a request says that a body follows. One that opens a WebSocket has none."""
    return any(
        name.lower() == b"transfer-encoding" or (name.lower() == b"content-length" and value.strip(b"0"))
        for name, value in headers
    )


def teach_hypercorn() -> None:
    """Have every connection of this process use the class above, and the project's own HTTP/1.1."""
    setattr(hypercorn.protocol.h11, "WSStream", LastingWebSocket)  # noqa: B010 - not exported, only used there
    setattr(hypercorn.protocol, "H11Protocol", StrictHttp1)  # noqa: B010 - as above
