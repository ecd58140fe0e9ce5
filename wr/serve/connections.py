"""Connections: accepted, kept apart from each other, and ended in order at shutdown.

Hypercorn's own `serve` ends the whole server when one connection meets an exception nobody foresaw (a request
to upgrade with odd settings is enough), keeps the sockets of clients that have gone, resets who waits to be
accepted at shutdown, closes connections while a request is on its way, and waits without end for a client
that does not read. So only its connection class is used, which is internal: hence the held version.
"""

import errno
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
import trio
from hypercorn.config import Config
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState
from hypercorn.utils import wrap_app

log = structlog.get_logger("wr.connections")

FAREWELL_S = 1.0
"""How long an open connection may bring one more request after the server was told to stop."""
SEND_PATIENCE_S = 30.0
"""How long a client may take to read what it is sent."""
_BACKLOG = 4096
_NO_ROOM = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS}
_NO_ROOM_PAUSE_S = 0.1


async def serve_connections(
    app: Any,
    config: Config,
    listener: socket.socket,
    *,
    grace_s: float,
    until: Callable[[], Awaitable[None]],
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve an ASGI application on a bound socket until `until` returns; says when it listens.

    Then nobody new is accepted, what is under way has `grace_s` seconds to be answered, each answer tells its
    client that the connection ends, and a connection that stays silent is closed after a second.

    Raises:
        OSError: the socket cannot listen.
    """
    with listener:
        listener.setblocking(False)
        listener.listen(_BACKLOG)
        connections = _Connections(app, config)
        async with trio.open_nursery() as shutdown:
            async with trio.open_nursery() as handlers:
                async with trio.open_nursery() as door:
                    door.start_soon(connections.accept_from, listener, handlers)
                    task_status.started()
                    await until()
                    door.cancel_scope.cancel()
                connections.accept_the_last_from(listener, handlers)
                shutdown.start_soon(connections.end, grace_s, handlers.cancel_scope)
            shutdown.cancel_scope.cancel()


class _Connections:
    """Every connection that is open."""

    def __init__(self, app: Any, config: Config) -> None:
        self._app = wrap_app(self._with_farewell(app), config.wsgi_max_body_size, "asgi")
        self._config = config
        self._context = WorkerContext(None)
        self._open: set[trio.SocketStream] = set()
        self._is_ending = False

    async def accept_from(self, listener: socket.socket, handlers: trio.Nursery) -> None:
        """Accept connections, for ever."""
        accepting = trio.SocketListener(trio.socket.from_stdlib_socket(listener))
        while True:
            try:
                stream = await accepting.accept()
            except OSError as error:
                if error.errno not in _NO_ROOM:
                    raise
                # Those who want in wait in the kernel's line until some connection ends.
                log.warning("no room for another connection", error=error.strerror, open=len(self._open))
                await trio.sleep(_NO_ROOM_PAUSE_S)
            else:
                handlers.start_soon(self._serve, stream)

    def accept_the_last_from(self, listener: socket.socket, handlers: trio.Nursery) -> None:
        """Listen no more, after taking in who is connected already: closing would reset them."""
        self._is_ending = True
        with listener:
            for _ in range(_BACKLOG):
                try:
                    accepted, _address = listener.accept()
                except OSError:
                    return
                handlers.start_soon(self._serve, trio.SocketStream(trio.socket.from_stdlib_socket(accepted)))

    async def end(self, grace_s: float, handlers: trio.CancelScope) -> None:
        """End every connection: at its next answer, or when it stays silent, or when the grace is over."""
        farewell_s = min(FAREWELL_S, grace_s / 2)
        await trio.sleep(farewell_s)
        await self._context.terminated.set()
        await trio.sleep(grace_s - farewell_s)
        log.warning("the grace time is over: connections are cut", open=len(self._open))
        handlers.cancel()
        for stream in self._open:
            # Hypercorn shields what it sends, so a client that does not read is not moved by being cancelled.
            stream.socket.close()

    async def _serve(self, stream: trio.SocketStream) -> None:
        self._open.add(stream)
        try:
            with trio.CancelScope() as connection:
                client: Any = _Client(stream, connection)
                await TCPServer(self._app, self._config, self._context, ConnectionState({}), client).run()
        except* Exception as group:  # noqa: BLE001 - one connection's trouble is nobody else's
            log.warning("a connection ended with an error", error=repr(_first(group)))
        finally:
            self._open.discard(stream)
            await trio.aclose_forcefully(stream)

    def _with_farewell(self, app: Any) -> Any:
        """Have the answers of an ending server say so, so that no client sends another request there."""

        async def polite(scope: Any, receive: Any, send: Any) -> None:
            async def send_all(message: Any) -> None:
                if self._is_ending and message["type"] == "http.response.start":
                    others = [header for header in message["headers"] if header[0].lower() != b"connection"]
                    message = {**message, "headers": [*others, (b"connection", b"close")]}
                await send(message)

            # HTTP/2 has its own way to say it, and no such header.
            is_http1 = scope["type"] == "http" and scope["http_version"].startswith("1")
            await app(scope, receive, send_all if is_http1 else send)

        return polite


class _Client:
    """The client's end of a stream; when it is gone, so is the connection.

    Hypercorn would go on with what it does on the connection, such as waiting for the next request until the
    idle time is over, or for ever, and keep the socket for as long. And it shields what it sends, though a
    client need not ever read.
    """

    def __init__(self, stream: trio.SocketStream, connection: trio.CancelScope) -> None:
        self._stream = stream
        self._connection = connection
        self.socket = stream.socket
        self.send_eof = stream.send_eof
        self.aclose = stream.aclose

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        try:
            data = await self._stream.receive_some(max_bytes)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._connection.cancel()
            raise
        if not data:
            self._connection.cancel()
        return data

    async def send_all(self, data: bytes) -> None:
        try:
            with trio.fail_after(SEND_PATIENCE_S):
                await self._stream.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError) as error:
            self._connection.cancel()
            raise trio.BrokenResourceError("the client has gone, or does not read") from error


def _first(group: BaseExceptionGroup[Any]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
