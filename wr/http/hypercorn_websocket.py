"""Hypercorn's WebSocket with the changes that streams need which stay open for an hour.

Hypercorn's own class has these faults:

- It does not report pongs, and cannot send a ping on request.
- It closes without a close frame when it receives a broken frame.
- It leaves the connection open after an oversized message, and for ever after a refused handshake.
- Its compression takes hundreds of kilobytes for each connection.

The class is internal, so Hypercorn's version is pinned, and a test covers each change.
"""

from dataclasses import replace
from typing import Literal, TypedDict, cast

import hypercorn.protocol
import hypercorn.protocol.h11
import trio
from hypercorn.protocol.events import Body, EndBody, Event, Request, Response, StreamClosed
from hypercorn.protocol.ws_stream import FrameTooLargeError, WSStream
from hypercorn.typing import ASGISendEvent, WebsocketReceiveEvent
from wsproto.connection import ConnectionState
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage
from wsproto.frame_protocol import CloseReason

from wr.http.strict_http1 import GeneralConfig, StrictHttp1, last_headers, refusal_of
from wr.http.websocket_rules import TOO_MANY_FRAMES, FrameCount

_BAD_REQUEST = 400


class PingEvent(TypedDict):
    """What an application sends, beside what ASGI knows, to have a ping sent."""

    type: Literal["websocket.ping"]


class PongEvent(TypedDict):
    """What an application receives, beside what ASGI knows, when the peer answers a ping."""

    type: Literal["websocket.pong"]


PING: PingEvent = {"type": "websocket.ping"}
PONG: PongEvent = {"type": "websocket.pong"}


class LastingWebSocket(WSStream):
    """A WebSocket that can ping, reports pongs, and gives a reason when it closes."""

    config: GeneralConfig
    _is_over = False
    _putting: trio.CancelScope | None = None
    _frames: FrameCount | None = None

    async def handle(self, event: Event) -> None:
        """Handle an event. Overridden to decline compression, and to close the connection after a refusal."""
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
            # The handshake was refused: no key, another version, or a frame that came too early.
            await self.send(StreamClosed(stream_id=self.stream_id))

    async def app_send(self, message: ASGISendEvent | PingEvent | None) -> None:
        """Send a message of the application. Overridden to support pings, and to free a blocked receiver."""
        if message is not None and message["type"] == "websocket.ping":
            if not self.closed:
                await self._send_wsproto_event(Ping())
            return
        if message is None:
            # The application has ended and takes no more messages. A put into its full queue would wait for
            # ever, so it is cancelled.
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
            if isinstance(event, TextMessage | BytesMessage):
                if not await self._take(event):
                    return
            elif isinstance(event, Ping):
                await self._send_wsproto_event(event.response())
            elif isinstance(event, Pong):
                await self._put(PONG)
            elif isinstance(event, CloseConnection):
                if self.connection.state == ConnectionState.REMOTE_CLOSING:
                    await self._send_wsproto_event(event.response())
                elif self.connection.state == ConnectionState.OPEN:
                    # wsproto reports a broken frame as a close event, with the close code to send.
                    await self._send_wsproto_event(CloseConnection(code=event.code, reason=event.reason))
                await self.send(StreamClosed(stream_id=self.stream_id))
                return

    async def _send_error_response(self, status_code: int) -> None:
        if status_code != _BAD_REQUEST:
            await super()._send_error_response(status_code)
            return
        # The application may have begun. From now on it can send nothing.
        self.closed = True
        response = self.config.api.refuse(refusal_of(status_code))
        await self.send(Response(self.stream_id, last_headers(response), response.status))
        await self.send(Body(self.stream_id, response.body))
        await self.send(EndBody(self.stream_id))

    async def _take(self, event: TextMessage | BytesMessage) -> bool:
        try:
            self.buffer.extend(event)
        except FrameTooLargeError:
            await self._send_wsproto_event(CloseConnection(code=CloseReason.MESSAGE_TOO_BIG))
            await self.send(StreamClosed(stream_id=self.stream_id))
            return False
        if event.message_finished:
            # The library calls it a dictionary.
            await self._put(cast(WebsocketReceiveEvent, self.buffer.to_message()))
            self.buffer.clear()
        return True

    async def _put(self, message: WebsocketReceiveEvent | PongEvent) -> None:
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
    """Make Hypercorn use `LastingWebSocket` and `StrictHttp1` for every connection of this process."""
    setattr(hypercorn.protocol.h11, "WSStream", LastingWebSocket)  # noqa: B010 - not exported, only used there
    setattr(hypercorn.protocol, "H11Protocol", StrictHttp1)  # noqa: B010 - as above
