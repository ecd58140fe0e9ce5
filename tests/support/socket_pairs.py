"""Transports of the server on real sockets, with the client's end for the test to read or to leave unread."""

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
from wr.http.readiness import Readiness
from wr.http.transports import PlainTransport, TlsTransport, shake_hands

BUFFER_BYTES = 4096
"""What the kernel keeps for a client that does not read, or little more."""


@dataclass
class Client:
    """The client's end of a connection."""

    socket: socket.socket

    def unread(self) -> bytes:
        """Take everything that has come."""
        received = b""
        try:
            while data := self.socket.recv(65_536):
                received += data
        except BlockingIOError:
            pass
        return received

    def is_cut_off(self) -> bool:
        """Whether the server has closed the connection; takes nothing of what has come."""
        poll = select.poll()
        poll.register(self.socket, select.POLLRDHUP)
        return bool(poll.poll(0))


class Wire:
    """Makes connections, each from a transport of the server's to a client; closes them all."""

    def __init__(self, readiness: Readiness) -> None:
        self._readiness = readiness
        self._opened: list[PlainTransport | socket.socket] = []

    def connection(self) -> tuple[PlainTransport, Client]:
        """Make a connection whose buffers are small."""
        server, client = socket.socketpair()
        server.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
        client.setblocking(False)
        transport = PlainTransport(server, "", self._readiness)
        self._opened += [transport, client]
        return transport, Client(client)

    async def tls_connection(self) -> tuple[TlsTransport, Client]:
        """Make a connection over TLS, after its handshake."""
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
        """Close both ends of everything."""
        for end in self._opened:
            end.close()


@asynccontextmanager
async def running_wire() -> AsyncIterator[Wire]:
    """Hear of what becomes readable for as long as the block lasts."""
    readiness = Readiness()
    wire = Wire(readiness)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(readiness.run)
            yield wire
            nursery.cancel_scope.cancel()
    finally:
        wire.close()
        readiness.close()
