"""Connections of the general lane: Hypercorn serves each, and this module starts and ends them.

Hypercorn's own `serve` has five faults for a public server:

- One unexpected exception in a connection, such as an upgrade request with odd settings, ends the server.
- It keeps the sockets of clients that have gone.
- At shutdown it resets connections that are not accepted yet.
- It closes connections while a request is in progress.
- It waits for ever for a client that does not read.

So this module uses only Hypercorn's connection class. It is internal, so Hypercorn's version is pinned.
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
from wr.supervision.exception_groups import first_of

log = structlog.get_logger("wr.connections")

_PREFACE = b"PRI * HTTP/2.0\r\n"
_GONE = (trio.BrokenResourceError, trio.ClosedResourceError)


class GeneralLane:
    """Serves an ASGI application on connections that are already accepted."""

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
        self._client_errors = ClientErrorLog(log)
        self._takes_prior_knowledge = takes_prior_knowledge
        self._send_patience_s = send_patience_s
        self._app = wrap_app(self._with_farewell(app), config.wsgi_max_body_size, "asgi")
        self._config = config
        self._context = WorkerContext(None)
        self._is_ending = False

    async def serve(self, transport: Transport, received: bytes = b"", protocol: str = "http/1.1") -> None:
        """Serve a connection until it ends.

        `received` are bytes that were already read from it. `protocol` is what TLS agreed on (ALPN).
        """
        try:
            if protocol == "h2":
                await self._http2.serve(transport)
                return
            if self._takes_prior_knowledge:
                received = await self._receive_preface(transport, received)
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
        except* Exception as group:  # noqa: BLE001 - an error of one connection must not end another
            self._client_errors.warn("a connection ended with an error", error=repr(first_of(group)))

    def say_farewell(self) -> None:
        """From now on, announce in each response that the connection closes."""
        self._is_ending = True
        self._http2.say_farewell()

    async def end_silent_connections(self) -> None:
        """Close every connection that has no request in progress."""
        self._http2.end_silent_connections()
        await self._context.terminated.set()

    async def _receive_preface(self, transport: Transport, received: bytes) -> bytes:
        """Receive until it is clear whether the connection begins with the HTTP/2 preface.

        Returns all bytes received so far.

        Raises:
            ClientGone: the client has gone, or takes too long.
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
        """Add `Connection: close` to responses while the server shuts down, so that clients go elsewhere."""

        async def app_closing(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
            is_request = scope["type"] == "http"
            # Compared again so that the type checker knows that the scope has headers.
            is_last = scope["type"] == "http" and _has_two_ends(scope["headers"])

            async def send_all(message: ASGISendEvent) -> None:
                if (self._is_ending or is_last) and message["type"] == "http.response.start":
                    others = [header for header in message["headers"] if header[0].lower() != b"connection"]
                    message = {**message, "headers": [*others, (b"connection", b"close")]}
                await send(message)

            await app(scope, receive, send_all if is_request else send)

        return app_closing


class _Client:
    """A stream to the client that cancels all work on the connection when the client has gone.

    Without it Hypercorn would go on after the client has gone: it would wait for the next request, perhaps
    for ever, and keep the socket open. It also shields its sends from cancellation, so a client that never
    reads would block them. Hence the time limit for each send.
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
            # Hypercorn recognises TLS by these attributes. The handshake is already done.
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
            # The stream is busy when another task is closing it because of a client's mistake.
            self._connection.cancel()
            raise trio.BrokenResourceError("the client has gone, or does not read") from error


def _has_two_ends(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a request has both `Content-Length` and `Transfer-Encoding`.

    The chunks decide where it ends, but a proxy may have used the length. So the bytes that follow must not
    be read as a request, and the connection closes (RFC 9112, section 6.1).
    """
    return {b"content-length", b"transfer-encoding"} <= {name for name, _ in headers}
