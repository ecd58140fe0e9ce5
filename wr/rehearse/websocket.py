"""The WebSocket of a visitor in a rehearsal: opens a live stream, and reads the server's messages.

`trio-websocket` speaks the protocol and answers pings. This module adds what a rehearsal needs: the status of
a refusal, an end that is noticed while a stream opens, the time when the server was last heard, and a way to
drop a stream without a closing handshake.

Cost, on CPython 3.11: an open stream takes 24 KiB, and a message 110 µs of processor time. (wsproto on a bare
Trio stream took 8 KiB and 66 µs, without a task of its own that answers pings.) At most one message of a
stream waits to be read, and none may be longer than 1 MiB.
"""

from collections.abc import Sequence
from typing import Any, cast

import h11
import msgspec
import trio
from trio_websocket import ConnectionClosed, ConnectionRejected, WebSocketConnection, wrap_client_stream
from wsproto.utilities import ProtocolError

from wr.supervision.exception_groups import first_of

Headers = Sequence[tuple[bytes, bytes]]
_decoder = msgspec.json.Decoder(dict[str, Any])
_WITHOUT_A_CODE = 1006
"""What the library says when a connection ended without a close frame."""


class Refused(Exception):
    """The server did not open a WebSocket; `status` is the status of its answer, 0 if there was none."""

    def __init__(self, status: int) -> None:
        super().__init__(
            f"the server answered {status} instead of 101" if status else "the connection was lost"
        )
        self.status = status


class WebSocket:
    """One open WebSocket."""

    def __init__(self, connection: WebSocketConnection, stream: "_HeardStream") -> None:
        self._connection = connection
        self._stream = stream

    @property
    def heard_s(self) -> float:
        """When bytes last came from the server, if only a ping, on Trio's clock."""
        return self._stream.heard_s

    @property
    def close_code(self) -> int | None:
        """The code with which the server closed; None if it has not closed, or did so without a code."""
        closed = self._connection.closed
        return None if closed is None or closed.code == _WITHOUT_A_CODE else closed.code

    async def message(self) -> dict[str, Any] | None:
        """Wait for the next message; None if the server has closed or the connection is lost.

        A message that is not a JSON object comes as an empty one.
        """
        try:
            text = await self._connection.get_message()
        except ConnectionClosed:
            return None
        try:
            return _decoder.decode(text)
        except msgspec.DecodeError:
            return {}

    async def aclose(self) -> None:
        """Drop the connection without a closing handshake, as when a phone loses its network."""
        await trio.aclose_forcefully(self._stream)


async def upgrade(
    nursery: trio.Nursery, stream: trio.abc.Stream, authority: bytes, path: bytes, headers: Headers
) -> WebSocket:
    """Open a WebSocket on a connected stream; closes the stream if that fails.

    A task in `nursery` reads the stream until it is closed. It raises nothing.

    Raises:
        Refused: the server answered with another status than 101, or not at all.
    """
    opened: WebSocket = await nursery.start(_read, stream, authority, path, headers)
    return opened


async def _read(
    stream: trio.abc.Stream,
    authority: bytes,
    path: bytes,
    headers: Headers,
    *,
    task_status: trio.TaskStatus[WebSocket],
) -> None:
    heard = _HeardStream(stream)
    status = 0
    try:
        # The library raises a refusal in its own task, so that task gets a nursery of its own.
        async with trio.open_nursery() as own:
            connection = await wrap_client_stream(
                own,
                # Any stream will do: the library needs a socket only to tell its addresses.
                cast("trio.SocketStream", heard),
                authority.decode(),
                path.decode(),
                extra_headers=list(headers),
            )
            heard.is_open = True
            task_status.started(WebSocket(connection, heard))
    except* ConnectionRejected as group:
        status = first_of(group).status_code
    # The last two: the library may answer a ping on a connection that it closes, and it tries to reject an
    # answer that is not HTTP.
    except* (_Lost, ConnectionClosed, ProtocolError, h11.ProtocolError):
        pass
    finally:
        await trio.aclose_forcefully(stream)
    # Not raised above: an exception that is raised under `except*` is put into a group.
    if not heard.is_open:
        raise Refused(status)


class _Lost(Exception):
    """The connection ended before the WebSocket was open."""


class _HeardStream(trio.abc.Stream):
    """A stream that notes when bytes came, and whose end is an exception until the WebSocket is open.

    Without the exception the library would wait for the end of the handshake for ever.
    """

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self.heard_s = trio.current_time()
        self.is_open = False

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        received: bytes | bytearray = b""
        try:
            received = await self._stream.receive_some(max_bytes)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            self._lose(error)
            raise
        if received:
            self.heard_s = trio.current_time()
        else:
            self._lose(None)
        return received

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        try:
            await self._stream.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            self._lose(error)
            raise

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        await self._stream.aclose()
        self._lose(None)

    def _lose(self, error: BaseException | None) -> None:
        if not self.is_open:
            raise _Lost from error
