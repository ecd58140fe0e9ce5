"""A WebSocket client that costs little: thousands of them fit beside the server they listen to."""

import os
from base64 import b64encode
from collections.abc import Sequence
from typing import Any

import h11
import msgspec
import trio
from wsproto.connection import Connection, ConnectionType
from wsproto.events import CloseConnection, Ping, TextMessage

Headers = Sequence[tuple[bytes, bytes]]
_decoder = msgspec.json.Decoder()
_CHUNK = 65_536


class Refused(Exception):
    """The server did not upgrade; `status` is what it answered, 0 when it said nothing."""

    def __init__(self, status: int) -> None:
        super().__init__(
            f"the server answered {status} instead of 101" if status else "the connection was lost"
        )
        self.status = status


class WebSocket:
    """One open WebSocket that mostly listens."""

    def __init__(self, stream: trio.abc.Stream, connection: Connection) -> None:
        self._stream = stream
        self._connection = connection
        self.heard_s = trio.current_time()
        """When something was last received, a ping at the least."""
        self.close_code: int | None = None
        """Why the server closed; None while it has not, and when it did without saying."""

    async def messages(self) -> list[Any]:
        """Wait for the next messages, as objects; none when the server has closed or is gone."""
        while True:
            found = []
            for event in self._connection.events():
                if isinstance(event, TextMessage):
                    found.append(_decoder.decode(event.data))
                elif isinstance(event, Ping):
                    await self._stream.send_all(self._connection.send(event.response()))
                elif isinstance(event, CloseConnection):
                    self.close_code = event.code
                    return found
            if found or self.close_code is not None:
                return found
            try:
                data = bytes(await self._stream.receive_some(_CHUNK))
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return []
            if not data:
                return []
            self.heard_s = trio.current_time()
            self._connection.receive_data(data)

    async def say(self, text: str) -> None:
        """Send a text message.

        Raises:
            trio.BrokenResourceError: the server has closed the connection.
        """
        await self._stream.send_all(self._connection.send(TextMessage(data=text)))

    async def aclose(self) -> None:
        """Drop the connection, without a farewell: as when a phone is put away."""
        await trio.aclose_forcefully(self._stream)


async def upgrade(stream: trio.abc.Stream, authority: bytes, path: bytes, headers: Headers) -> WebSocket:
    """Make a connected stream a WebSocket; closes it when that fails.

    Raises:
        Refused: the server answered with anything but 101, or not at all.
    """
    request = h11.Request(
        method=b"GET",
        target=path,
        headers=[
            (b"Host", authority),
            (b"Upgrade", b"websocket"),
            (b"Connection", b"Upgrade"),
            (b"Sec-WebSocket-Key", b64encode(os.urandom(16))),
            (b"Sec-WebSocket-Version", b"13"),
            *headers,
        ],
    )
    http = h11.Connection(h11.CLIENT)
    try:
        await stream.send_all((http.send(request) or b"") + (http.send(h11.EndOfMessage()) or b""))
        while (event := http.next_event()) is h11.NEED_DATA:
            http.receive_data(bytes(await stream.receive_some(_CHUNK)))
    except (trio.BrokenResourceError, trio.ClosedResourceError, h11.RemoteProtocolError) as error:
        await trio.aclose_forcefully(stream)
        raise Refused(0) from error
    except trio.Cancelled:
        await trio.aclose_forcefully(stream)
        raise
    status = event.status_code if isinstance(event, h11.InformationalResponse | h11.Response) else 0
    if status != 101:
        await trio.aclose_forcefully(stream)
        raise Refused(status)
    connection = Connection(ConnectionType.CLIENT)
    rest, _ = http.trailing_data
    if rest:
        connection.receive_data(rest)
    return WebSocket(stream, connection)
