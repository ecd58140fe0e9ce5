"""Creates transports of the server on real sockets; the test holds the client's end and may leave it
unread."""

import select
import socket
import ssl
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import trio

from tests.support.certificate import make_certificate
from wr.http.reactor import Reactor
from wr.http.transports import PlainTransport, TlsTransport, shake_hands

BUFFER_BYTES = 4096
"""Requested size of the kernel's buffer for a client that does not read; the kernel may add a little."""


@dataclass
class Client:
    """The client's end of a connection."""

    socket: socket.socket

    def unread(self) -> bytes:
        """Read everything that has arrived."""
        received = b""
        try:
            while data := self.socket.recv(65_536):
                received += data
        except BlockingIOError:
            pass
        return received

    def is_cut_off(self) -> bool:
        """Whether the server has closed the connection. Reads nothing."""
        poll = select.poll()
        poll.register(self.socket, select.POLLRDHUP)
        return bool(poll.poll(0))


class Wire:
    """Creates connections from a server's transport to a client, and closes them all."""

    def __init__(self, reactor: Reactor) -> None:
        self._reactor = reactor
        self._opened: list[PlainTransport | socket.socket] = []

    def connection(self) -> tuple[PlainTransport, Client]:
        """Create a connection with small buffers."""
        server, client = socket.socketpair()
        server.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
        client.setblocking(False)
        transport = PlainTransport(server, "", self._reactor)
        self._opened += [transport, client]
        return transport, Client(client)

    async def tls_connection(self) -> tuple[TlsTransport, Client]:
        """Create a connection over TLS, and finish its handshake."""
        transport, client = self.connection()
        with tempfile.TemporaryDirectory() as folder:
            certificate_file, key_file = make_certificate(Path(folder))
            serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            serving.load_cert_chain(certificate_file, key_file)
            trusting = ssl.create_default_context(cafile=str(certificate_file))
        of_trio = trio.SocketStream(trio.socket.from_stdlib_socket(client.socket))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.SSLStream(of_trio, trusting, server_hostname="127.0.0.1").do_handshake)
            served, _ = await shake_hands(transport, serving, 10.0)
        return served, client

    def close(self) -> None:
        """Close both ends of all connections."""
        for end in self._opened:
            end.close()


@asynccontextmanager
async def running_wire() -> AsyncIterator[Wire]:
    """Report readable connections while the block runs."""
    reactor = Reactor()
    wire = Wire(reactor)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(reactor.run)
            yield wire
            nursery.cancel_scope.cancel()
    finally:
        wire.close()
        reactor.close()
