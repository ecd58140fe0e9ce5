"""Transports: bytes to and from one client, in plain or over TLS, as the fast lane wants them.

The plain one works on the socket itself. Trio's own stream takes a turn of the scheduler for every call, also
for those that need not wait; without it a bare server answers half as many requests again.
"""

import socket
import ssl
from contextlib import suppress
from typing import Protocol

import trio

from wr.http.readiness import Readable, Readiness
from wr.supervision.client_gone import ClientGone

_MOST_AT_ONCE = 65_536
_GONE = (OSError, trio.BrokenResourceError, trio.ClosedResourceError, trio.BusyResourceError)
"""What sockets raise when the client has gone or this side has closed; errors of TLS are `OSError`s too."""


TrioStream = trio.SocketStream | trio.SSLStream[trio.SocketStream]
"""A connection as Trio's own libraries want it."""


class Transport(Protocol):
    """One client's connection.

    `receive`, `send` and `stream` raise `ClientGone` once the connection is closed, even while they wait. All
    other methods may be called at any time, and raise nothing.
    """

    peer: str
    """The address at the other end; empty on a Unix socket."""

    async def receive(self) -> bytes:
        """Wait for bytes; none at the end of what the client sends."""
        ...

    def send_now(self, data: bytes) -> bytes:
        """Send what can be sent without waiting, and return the rest; to a client that has gone, nothing."""
        ...

    async def send(self, data: bytes) -> None:
        """Send all of it, for as long as that takes."""
        ...

    def end_sending(self) -> None:
        """Tell the client that nothing more will come; it may still be heard."""
        ...

    def stop_receiving(self) -> None:
        """Have `receive` return nothing, as if the client had ended; it may still be answered."""
        ...

    def close(self) -> None:
        """Close at once; who waits in `receive` or `send` learns it."""
        ...

    def stream(self) -> TrioStream:
        """The same connection as a stream of Trio's, for who goes on with it."""
        ...


class PlainTransport:
    """TCP, or a Unix socket."""

    __slots__ = ("_has_more", "_readable", "_socket", "peer")

    def __init__(self, accepted: socket.socket, peer: str, readiness: Readiness) -> None:
        """Take over an accepted socket.

        Raises:
            OSError: the kernel cannot watch it; the socket is still the caller's to close.
        """
        accepted.setblocking(False)
        self._socket = accepted
        self._readable: Readable | None = Readable(readiness, accepted)
        self._has_more = False
        self.peer = peer

    async def receive(self) -> bytes:
        """Wait for bytes; none at the end of what the client sends."""
        if self._has_more:
            # A client that sends faster than the server reads would never let another task run.
            self._has_more = False
            await trio.lowlevel.checkpoint()
        readable = self._readable
        while readable is not None:
            if not readable.is_ready:
                readable.task = trio.lowlevel.current_task()
                await trio.lowlevel.wait_task_rescheduled(readable.give_up)
            try:
                data = self._socket.recv(_MOST_AT_ONCE)
            except BlockingIOError:
                readable.is_ready = False
            except OSError as error:
                raise ClientGone from error
            else:
                # Less than was asked for is all there was; what comes later is heard of.
                readable.is_ready = readable.has_ended or not 0 < len(data) < _MOST_AT_ONCE
                self._has_more = len(data) == _MOST_AT_ONCE
                return data
        raise ClientGone

    def send_now(self, data: bytes) -> bytes:
        """Send what can be sent without waiting, and return the rest; to a client that has gone, nothing."""
        try:
            sent = self._socket.send(data)
        except BlockingIOError:
            return data
        except OSError:
            return b""
        return data[sent:] if sent < len(data) else b""

    async def send(self, data: bytes) -> None:
        """Send all of it, for as long as that takes."""
        rest = memoryview(data)
        try:
            while rest:
                if self._socket.fileno() < 0:
                    # To wait for it would be an error of the caller's, and not of the socket's.
                    raise ClientGone
                await trio.lowlevel.wait_writable(self._socket)
                with suppress(BlockingIOError):
                    rest = rest[self._socket.send(rest) :]
        except _GONE as error:
            raise ClientGone from error

    def end_sending(self) -> None:
        """Tell the client that nothing more will come; it may still be heard."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def stop_receiving(self) -> None:
        """Have `receive` return nothing, as if the client had ended; it may still be answered."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RD)

    def close(self) -> None:
        """Close at once; who waits in `receive` or `send` learns it."""
        if self._socket.fileno() >= 0:
            self._stop_watching()
            trio.lowlevel.notify_closing(self._socket)
            self._socket.close()

    def stream(self) -> trio.SocketStream:
        """The same connection as a stream of Trio's, for who goes on with it."""
        if self._socket.fileno() < 0:
            raise ClientGone
        self._stop_watching()
        return trio.SocketStream(trio.socket.from_stdlib_socket(self._socket))

    def _stop_watching(self) -> None:
        if self._readable is not None:
            self._readable.stop()
            self._readable = None


class TlsTransport:
    """TLS over TCP, after its handshake."""

    __slots__ = ("_stream", "peer")

    def __init__(self, stream: trio.SSLStream[trio.SocketStream], peer: str) -> None:
        self._stream = stream
        self.peer = peer

    async def receive(self) -> bytes:
        """Wait for bytes; none at the end of what the client sends."""
        try:
            return bytes(await self._stream.receive_some(_MOST_AT_ONCE))
        except _GONE as error:
            raise ClientGone from error

    def send_now(self, data: bytes) -> bytes:
        """Return everything: to encrypt is to wait for one's turn."""
        return data

    async def send(self, data: bytes) -> None:
        """Send all of it, for as long as that takes."""
        try:
            await self._stream.send_all(data)
        except _GONE as error:
            raise ClientGone from error

    def end_sending(self) -> None:
        """Tell the client that nothing more will come; it may still be heard."""
        with suppress(OSError):
            self._stream.transport_stream.socket.shutdown(socket.SHUT_WR)

    def stop_receiving(self) -> None:
        """Have `receive` return nothing, as if the client had ended; it may still be answered."""
        with suppress(OSError):
            self._stream.transport_stream.socket.shutdown(socket.SHUT_RD)

    def close(self) -> None:
        """Close at once; who waits in `receive` or `send` learns it."""
        self._stream.transport_stream.socket.close()

    def stream(self) -> trio.SSLStream[trio.SocketStream]:
        """The same connection as a stream of Trio's, for who goes on with it."""
        return self._stream


async def shake_hands(
    transport: PlainTransport, context: ssl.SSLContext, patience_s: float
) -> tuple[TlsTransport, str]:
    """Begin TLS on a connection; returns it and the protocol that both sides chose, such as `h2`.

    Raises:
        Gone: the client speaks no TLS, none that is acceptable, or does not finish within `patience_s`.
    """
    stream = trio.SSLStream(transport.stream(), context, server_side=True, https_compatible=True)
    try:
        with trio.fail_after(patience_s):
            await stream.do_handshake()
    except (*_GONE, trio.TooSlowError) as error:
        transport.close()
        raise ClientGone from error
    return TlsTransport(stream, transport.peer), stream.selected_alpn_protocol() or "http/1.1"
