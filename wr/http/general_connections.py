"""Connections of the general lane: each served by Hypercorn, and ended in order.

Hypercorn's own `serve` ends the whole server when one connection meets an exception nobody foresaw (a request
to upgrade with odd settings is enough), keeps the sockets of clients that have gone, resets who waits to be
accepted at shutdown, closes connections while a request is on its way, and waits without end for a client
that does not read. So only its connection class is used, which is internal: hence the held version.
"""

from collections.abc import Iterable
from typing import cast

import structlog
import trio
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import (
    ASGIFramework,
    ASGIReceiveCallable,
    ASGISendCallable,
    ASGISendEvent,
    ConnectionState,
    Scope,
)
from hypercorn.utils import wrap_app

from wr.http.client_errors import ClientErrorLog
from wr.http.http2_lane import Http2Lane
from wr.http.strict_http1 import GeneralConfig
from wr.http.transports import Transport, TrioStream
from wr.supervision.client_gone import ClientGone

log = structlog.get_logger("wr.connections")

_PREFACE = b"PRI * HTTP/2.0\r\n"
_GONE = (trio.BrokenResourceError, trio.ClosedResourceError)


class GeneralLane:
    """Serves an ASGI application on connections that somebody else accepted."""

    def __init__(
        self,
        app: ASGIFramework,
        config: GeneralConfig,
        http2: Http2Lane,
        *,
        takes_prior_knowledge: bool,
        send_patience_s: float,
    ) -> None:
        self._http2 = http2
        self._complaints = ClientErrorLog(log)
        self._takes_prior_knowledge = takes_prior_knowledge
        self._send_patience_s = send_patience_s
        self._app = wrap_app(self._with_farewell(app), config.wsgi_max_body_size, "asgi")
        self._config = config
        self._context = WorkerContext(None)
        self._is_ending = False

    async def serve(self, transport: Transport, received: bytes = b"", protocol: str = "http/1.1") -> None:
        """Serve a connection until it ends; `received` was read from it already, and is answered first.

        `protocol` is what TLS agreed on.
        """
        try:
            if protocol == "h2":
                await self._http2.serve(transport)
                return
            if self._takes_prior_knowledge:
                received = await self._beginning(transport, received)
                if received.startswith(_PREFACE):
                    await self._http2.serve(transport, received)
                    return
            with trio.CancelScope() as connection:
                client = _Client(transport.stream(), connection, received, self._send_patience_s)
                # It stands for a stream: it has what Hypercorn uses of one.
                stream = cast(trio.SSLStream[trio.SocketStream], client)
                await TCPServer(self._app, self._config, self._context, ConnectionState({}), stream).run()
        except* ClientGone:
            transport.close()
        except* Exception as group:  # noqa: BLE001 - one connection's trouble is nobody else's
            self._complaints.warn("a connection ended with an error", error=repr(_first(group)))

    def say_farewell(self) -> None:
        """Have each answer from now on tell its client that it is the last."""
        self._is_ending = True
        self._http2.say_farewell()

    async def end_silent_connections(self) -> None:
        """End those on which no request is on its way."""
        self._http2.end_silent_connections()
        await self._context.terminated.set()

    async def _beginning(self, transport: Transport, received: bytes) -> bytes:
        """Wait until it is clear whether a connection begins with the preface of HTTP/2; returns what came.

        Raises:
            Gone: the client goes, or takes too long.
        """
        with trio.move_on_after(self._config.head_patience_s) as patience:
            while not received or (len(received) < len(_PREFACE) and _PREFACE.startswith(received)):
                data = await transport.receive()
                if not data:
                    break
                received += data
        if patience.cancelled_caught or not received:
            raise ClientGone
        return received

    def _with_farewell(self, app: ASGIFramework) -> ASGIFramework:
        """Have the answers of an ending server say so, so that no client sends another request there."""

        async def polite(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
            is_request = scope["type"] == "http"
            is_last = scope["type"] == "http" and _has_two_ends(scope["headers"])

            async def send_all(message: ASGISendEvent) -> None:
                if (self._is_ending or is_last) and message["type"] == "http.response.start":
                    others = [header for header in message["headers"] if header[0].lower() != b"connection"]
                    message = {**message, "headers": [*others, (b"connection", b"close")]}
                await send(message)

            await app(scope, receive, send_all if is_request else send)

        return polite


class _Client:
    """The client's end of a stream; when it is gone, so is the connection.

    Hypercorn would go on with what it does on the connection, such as waiting for the next request until the
    idle time is over, or for ever, and keep the socket for as long. And it shields what it sends, though a
    client need not ever read.
    """

    def __init__(
        self,
        stream: TrioStream,
        connection: trio.CancelScope,
        received: bytes,
        send_patience_s: float,
    ) -> None:
        self._send_patience_s = send_patience_s
        self._stream = stream
        self._connection = connection
        self._received = received
        self.aclose = stream.aclose
        if isinstance(stream, trio.SSLStream):
            # By these Hypercorn knows TLS; the handshake is over.
            self.transport_stream = stream.transport_stream
            self.do_handshake = trio.lowlevel.checkpoint
            self.selected_alpn_protocol = lambda: "http/1.1"
        else:
            self.socket = stream.socket
            self.send_eof = stream.send_eof

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        if self._received:
            received, self._received = self._received, b""
            return received
        try:
            data: bytes | bytearray = await self._stream.receive_some(max_bytes)
        except _GONE:
            self._connection.cancel()
            raise
        if not data:
            self._connection.cancel()
        return data

    async def send_all(self, data: bytes) -> None:
        try:
            with trio.fail_after(self._send_patience_s):
                await self._stream.send_all(data)
        except (*_GONE, trio.BusyResourceError, trio.TooSlowError) as error:
            # It is busy when the connection is just being closed over another mistake of the client's.
            self._connection.cancel()
            raise trio.BrokenResourceError("the client has gone, or does not read") from error


def _has_two_ends(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a length and chunks both say where a request ends.

    Chunks count, but a proxy may have believed the length: what stands behind on the connection must not pass
    for a request (RFC 9112, section 6.1).
    """
    return {b"content-length", b"transfer-encoding"} <= {name for name, _ in headers}


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
