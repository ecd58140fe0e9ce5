"""Transports: send and receive the bytes of one client, in plain or over TLS, for the fast lane.

The plain transport uses the socket directly. Trio's own stream runs the scheduler at every call, even if the
call need not wait. Without that, a bare server answers 1.5 times as many requests.
"""

import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

import trio

from wr.http.reactor import Owner, Reactor, Readable
from wr.supervision.client_gone import ClientGone

_MOST_AT_ONCE = 65_536
_GONE = (OSError, trio.BrokenResourceError, trio.ClosedResourceError, trio.BusyResourceError)
"""Errors of sockets when the client has gone or this side has closed. Errors of TLS are `OSError`s too."""


TrioStream = trio.SocketStream | trio.SSLStream[trio.SocketStream]
"""A connection as Trio's own libraries want it."""


class Transport(Protocol):
    """The connection of one client.

    `receive`, `send` and `stream` raise `ClientGone` when the connection is closed, even while they wait. All
    other methods may be called at any time and raise nothing.
    """

    peer: str
    """The client's IP address. Empty on a Unix socket."""

    async def receive(self) -> bytes:
        """Wait for bytes. Returns no bytes when the client has ended its side."""
        ...

    def receive_now(self) -> bytes | None:
        """Return bytes that have arrived, or None; no bytes when the client has ended its side."""
        ...

    @property
    def has_more(self) -> bool:
        """Whether `receive_now` may return bytes."""
        ...

    def look_again(self) -> None:
        """Have the owner called once more, after all other connections, if there is one."""
        ...

    def send_now(self, data: bytes) -> bytes:
        """Send without waiting, and return the rest. If the client has gone, the bytes are dropped."""
        ...

    async def send(self, data: bytes) -> None:
        """Send all bytes, without a time limit."""
        ...

    def end_sending(self) -> None:
        """End the sending side. `receive` still works."""
        ...

    def stop_receiving(self) -> None:
        """End the receiving side: `receive` returns no bytes from now on. `send` still works."""
        ...

    def close(self) -> None:
        """Close at once. A task that waits in `receive` or `send` gets `ClientGone`."""
        ...

    def stream(self) -> TrioStream:
        """Return the connection as a Trio stream. Afterwards only that stream may be used."""
        ...


class PlainTransport:
    """A connection over TCP or a Unix socket, without TLS.

    A task reads it with `receive`, or its owner with `receive_now` in the task of the reactor.
    """

    __slots__ = ("_ended", "_has_more", "_readable", "_socket", "peer")

    def __init__(
        self,
        accepted: socket.socket,
        peer: str,
        reactor: Reactor,
        ended: "Callable[[PlainTransport], None] | None" = None,
    ) -> None:
        """Take over an accepted socket. `ended` is called once, when the connection is closed.

        Raises:
            OSError: the kernel cannot watch it. The caller still has to close the socket.
        """
        accepted.setblocking(False)
        self._socket = accepted
        self._readable: Readable | None = Readable(reactor, accepted)
        self._has_more = False
        self._ended = ended
        self.peer = peer

    def belong_to(self, owner: Owner) -> None:
        """From now on, tell the owner when bytes arrive while no task waits for them."""
        if self._readable is not None:
            self._readable.owner = owner

    def look_again(self) -> None:
        """Have the owner called once more, after all other connections."""
        if self._readable is not None:
            self._readable.look_again()

    @property
    def has_more(self) -> bool:
        """Whether `receive_now` may return bytes."""
        return self._readable is not None and self._readable.is_ready

    def receive_now(self) -> bytes | None:
        """Return bytes that have arrived, or None; no bytes when the client has ended its side.

        Raises:
            ClientGone: the connection is closed.
        """
        readable = self._readable
        if readable is None:
            raise ClientGone
        if not readable.is_ready:
            return None
        try:
            data = self._socket.recv(_MOST_AT_ONCE)
        except BlockingIOError:
            readable.is_ready = False
            return None
        except OSError as error:
            raise ClientGone from error
        # A short read has emptied the socket. The kernel reports what comes later.
        readable.is_ready = readable.has_ended or not 0 < len(data) < _MOST_AT_ONCE
        return data

    async def receive(self) -> bytes:
        """Wait for bytes. Returns no bytes when the client has ended its side."""
        if self._has_more:
            # Let other tasks run, even if this client sends faster than the server reads.
            self._has_more = False
            await trio.lowlevel.checkpoint()
        while (data := self.receive_now()) is None:
            readable = self._readable
            if readable is not None and not readable.is_ready:
                readable.task = trio.lowlevel.current_task()
                await trio.lowlevel.wait_task_rescheduled(readable.give_up)
        self._has_more = len(data) == _MOST_AT_ONCE
        return data

    def send_now(self, data: bytes) -> bytes:
        """Send without waiting, and return the rest. If the client has gone, the bytes are dropped."""
        try:
            sent = self._socket.send(data)
        except BlockingIOError:
            return data
        except OSError:
            return b""
        return data[sent:] if sent < len(data) else b""

    async def send(self, data: bytes) -> None:
        """Send all bytes, without a time limit."""
        rest = memoryview(data)
        try:
            while rest:
                if self._socket.fileno() < 0:
                    # Trio would raise another error for a socket that is already closed.
                    raise ClientGone
                await trio.lowlevel.wait_writable(self._socket)
                with suppress(BlockingIOError):
                    rest = rest[self._socket.send(rest) :]
        except _GONE as error:
            raise ClientGone from error

    def end_sending(self) -> None:
        """End the sending side. `receive` still works."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def stop_receiving(self) -> None:
        """End the receiving side: `receive` returns no bytes from now on. `send` still works."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RD)

    def close(self) -> None:
        """Close at once. A task that waits in `receive` or `send` gets `ClientGone`."""
        owner = None if self._readable is None else self._readable.owner
        if self._socket.fileno() >= 0:
            self._stop_watching()
            trio.lowlevel.notify_closing(self._socket)
            self._socket.close()
        if owner is not None:
            owner.on_closed()
        ended, self._ended = self._ended, None
        if ended is not None:
            ended(self)

    def stream(self) -> trio.SocketStream:
        """Return the connection as a Trio stream. Afterwards only that stream may be used."""
        if self._socket.fileno() < 0:
            raise ClientGone
        self._stop_watching()
        return trio.SocketStream(trio.socket.from_stdlib_socket(self._socket))

    def _stop_watching(self) -> None:
        if self._readable is not None:
            self._readable.stop()
            self._readable = None


class TlsTransport:
    """A connection with TLS, after its handshake. Only a task can read it."""

    __slots__ = ("_stream", "peer")

    def __init__(self, stream: trio.SSLStream[trio.SocketStream], peer: str) -> None:
        self._stream = stream
        self.peer = peer

    async def receive(self) -> bytes:
        """Wait for bytes. Returns no bytes when the client has ended its side."""
        try:
            return bytes(await self._stream.receive_some(_MOST_AT_ONCE))
        except _GONE as error:
            raise ClientGone from error

    def receive_now(self) -> bytes | None:
        """Return None, because Trio's TLS stream cannot receive without waiting."""
        return None

    @property
    def has_more(self) -> bool:
        """Whether `receive_now` may return bytes: never."""
        return False

    def look_again(self) -> None:
        """Do nothing: a task reads the connection."""

    def send_now(self, data: bytes) -> bytes:
        """Return all bytes unsent, because Trio's TLS stream cannot send without waiting."""
        return data

    async def send(self, data: bytes) -> None:
        """Send all bytes, without a time limit."""
        try:
            await self._stream.send_all(data)
        except _GONE as error:
            raise ClientGone from error

    def end_sending(self) -> None:
        """End the sending side. `receive` still works."""
        with suppress(OSError):
            self._stream.transport_stream.socket.shutdown(socket.SHUT_WR)

    def stop_receiving(self) -> None:
        """End the receiving side: `receive` returns no bytes from now on. `send` still works."""
        with suppress(OSError):
            self._stream.transport_stream.socket.shutdown(socket.SHUT_RD)

    def close(self) -> None:
        """Close at once. A task that waits in `receive` or `send` gets `ClientGone`."""
        self._stream.transport_stream.socket.close()

    def stream(self) -> trio.SSLStream[trio.SocketStream]:
        """Return the connection as a Trio stream. Afterwards only that stream may be used."""
        return self._stream


async def shake_hands(
    transport: PlainTransport, context: ssl.SSLContext, patience_s: float
) -> tuple[TlsTransport, str]:
    """Do the TLS handshake. Returns the TLS connection, and the protocol both sides agreed on, such as `h2`.

    Raises:
        ClientGone: the handshake failed, or took longer than `patience_s` seconds. The connection is closed.
    """
    stream = trio.SSLStream(transport.stream(), context, server_side=True, https_compatible=True)
    try:
        with trio.fail_after(patience_s):
            await stream.do_handshake()
    except (*_GONE, trio.TooSlowError) as error:
        transport.close()
        raise ClientGone from error
    return TlsTransport(stream, transport.peer), stream.selected_alpn_protocol() or "http/1.1"
