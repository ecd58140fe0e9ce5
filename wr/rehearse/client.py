"""The HTTP client of a rehearsal: thousands of keep-alive connections, and the exact times of every answer.

Every answer says when its request was handed to the system and when its last byte was read, so that the
verdict can tell what must have followed an answer from what only seems to.

It drives h11 on Trio streams itself because it is the load of a rehearsal. httpcore takes 1.9 times the
processor time for a request, without its pool (650 against 340 µs, with 64 and with 1,000 connections, on one
busy machine); its pool takes 6 ms beside 64 connections. The other clients use httpcore.
"""

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol
from urllib.parse import urlsplit

import h11
import msgspec
import trio

from wr.rehearse.websocket import Headers, Refused, WebSocket, upgrade

_END = h11.EndOfMessage()
_CHUNK = 65_536
_MOST_BODY_BYTES = 1_048_576
_MOST_IDLE_S = 20.0
"""Below the keep-alive of the usual servers and proxies, so that a connection is rarely closed under us."""


class Origin(msgspec.Struct, frozen=True):
    """Where a server is."""

    host: str
    port: int
    is_tls: bool
    authority: bytes
    prefix: bytes
    """What stands before every path, without a slash at its end."""


class Response(msgspec.Struct, frozen=True, gc=False):
    """An answer, with the client's clock in seconds around it."""

    status: int
    body: bytes
    retry_after: bytes
    """The header of that name; empty when there was none."""
    sent_s: float
    """Just before the first byte of the request left; of its first try when it needed two."""
    received_s: float
    """Just after the last byte of the answer was read."""


class Request(msgspec.Struct, frozen=True):
    """A request, ready to be sent."""

    head: h11.Request
    body: bytes


class Unanswered(Exception):
    """No answer came; the message says why. Both times are on the client's clock, in seconds."""

    def __init__(self, message: str, sent_s: float, given_up_s: float) -> None:
        super().__init__(message)
        self.sent_s = sent_s
        self.given_up_s = given_up_s


class _Lost(Exception):
    """The connection broke; `has_begun` tells whether any of the answer had arrived."""

    def __init__(self, message: str, *, has_begun: bool) -> None:
        super().__init__(message)
        self.has_begun = has_begun


def parse_origin(url: str) -> Origin:
    """Read `http://host:port/prefix` or `https://…`.

    Raises:
        ValueError: it is neither.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or not url.isascii():
        raise ValueError(f"'{url}' is not a URL such as http://127.0.0.1:8080")
    is_tls = parts.scheme == "https"
    return Origin(
        host=parts.hostname,
        port=parts.port or (443 if is_tls else 80),
        is_tls=is_tls,
        authority=parts.netloc.rpartition("@")[2].encode(),
        prefix=parts.path.rstrip("/").encode(),
    )


class VisitorClient(Protocol):
    """What one visitor needs of a client."""

    @property
    def now_s(self) -> float:
        """The clock that all times are told by, in seconds."""

    def make(self, method: bytes, path: bytes, headers: Headers = (), body: bytes = b"") -> Request:
        """Make a request that may be sent any number of times."""

    async def send(self, request: Request) -> Response:
        """Send a request and read its answer; raises `Unanswered`."""

    async def open_websocket(self, path: bytes, headers: Headers = ()) -> WebSocket:
        """Open a WebSocket on a connection of its own; raises `Refused` and `OSError`."""

    def give_up_on_server(self) -> None:
        """Take another server for what comes next, if there is another one."""


class Client(Protocol):
    """What a rehearsal needs of a client."""

    @property
    def requests(self) -> int:
        """How many requests have been sent."""

    def make(self, method: bytes, path: bytes, headers: Headers = (), body: bytes = b"") -> Request:
        """Make a request that may be sent any number of times."""

    async def send(self, request: Request) -> Response:
        """Send a request and read its answer; raises `Unanswered`."""

    def for_visitor(self, number: int) -> VisitorClient:
        """Give a visitor its client."""


class _Connection:
    """One keep-alive connection, used by one request at a time."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self._http = h11.Connection(h11.CLIENT)
        self.idle_since_s = 0.0

    @property
    def is_reusable(self) -> bool:
        """Whether another request may follow."""
        return self._http.states == {h11.CLIENT: h11.IDLE, h11.SERVER: h11.IDLE}

    async def exchange(self, request: Request) -> tuple[int, bytes, bytes]:
        """Send a request and read its answer: status, body, Retry-After.

        Raises:
            _Lost: the connection broke, or what came is not HTTP.
        """
        http = self._http
        content = http.send(request.head) or b""
        if request.body:
            content += http.send(h11.Data(data=request.body)) or b""
        http.send(_END)
        try:
            await self._stream.send_all(content)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise _Lost("the connection was lost", has_begun=False) from error
        answer = await self._read()
        if http.our_state is h11.DONE and http.their_state is h11.DONE:
            http.start_next_cycle()
        return answer

    async def _read(self) -> tuple[int, bytes, bytes]:
        http = self._http
        status, content, retry_after = 0, b"", b""
        has_begun = False
        try:
            while True:
                event = http.next_event()
                if event is h11.NEED_DATA:
                    data = await self._stream.receive_some(_CHUNK)
                    has_begun = has_begun or bool(data)
                    http.receive_data(bytes(data))
                elif isinstance(event, h11.Data):
                    content += event.data
                    if len(content) > _MOST_BODY_BYTES:
                        raise _Lost("the answer is longer than 1 MiB", has_begun=True)
                elif isinstance(event, h11.EndOfMessage):
                    return status, content, retry_after
                elif isinstance(event, h11.Response):
                    status = event.status_code
                    retry_after = next(
                        (value for name, value in event.headers if name == b"retry-after"), b""
                    )
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise _Lost("the connection was lost", has_begun=has_begun) from error
        except h11.RemoteProtocolError as error:
            message = f"the answer is not HTTP: {error}" if has_begun else "the connection was closed"
            raise _Lost(message, has_begun=has_begun) from error

    async def close(self) -> None:
        """Close it at once, without a farewell."""
        await trio.aclose_forcefully(self._stream)


class HttpClient:
    """Sends requests to one origin over as few connections as it needs, and never more than it may open."""

    def __init__(
        self,
        origin: Origin,
        *,
        most_connections: int,
        patience_s: float,
        clock: Callable[[], float],
        nursery: trio.Nursery | None = None,
    ) -> None:
        """Open nothing yet. WebSockets are read in `nursery`; without one the client can open none."""
        self._origin = origin
        self._nursery = nursery
        self._places = trio.Semaphore(most_connections)
        self._idle: list[_Connection] = []
        self._patience_s = patience_s
        self._clock = clock
        self._tls = ssl.create_default_context() if origin.is_tls else None
        self._host = (b"Host", origin.authority)
        self.requests = 0

    def for_visitor(self, number: int) -> "HttpClient":
        """Give a visitor its client: there is one server, and one client for all."""
        del number
        return self

    def give_up_on_server(self) -> None:
        """Stay: there is no other server."""

    def make(self, method: bytes, path: bytes, headers: Headers = (), body: bytes = b"") -> Request:
        """Make a request that may be sent any number of times; making it is a good part of its cost."""
        fields = [self._host, *headers]
        if body or method == b"POST":
            fields += ((b"Content-Type", b"application/json"), (b"Content-Length", b"%d" % len(body)))
        return Request(h11.Request(method=method, target=self._origin.prefix + path, headers=fields), body)

    @property
    def now_s(self) -> float:
        """The clock that all times are told by, in seconds."""
        return self._clock()

    async def open_websocket(self, path: bytes, headers: Headers = ()) -> WebSocket:
        """Open a WebSocket on a connection of its own.

        Raises:
            Refused: the server answered with something else, or not within the patience.
            OSError: nobody is there.
        """
        if self._nursery is None:
            raise RuntimeError("this client was made without a nursery for WebSockets")
        self.requests += 1
        with trio.move_on_after(self._patience_s):
            stream = await self._connect()
            authority, path = self._origin.authority, self._origin.prefix + path
            return await upgrade(self._nursery, stream, authority, path, headers)
        raise Refused(0)

    async def send(self, request: Request) -> Response:
        """Send a request and read its answer.

        Raises:
            Unanswered: nobody is there, the connection was lost, or nothing came within the patience.
        """
        self.requests += 1
        # Asking first spares a turn of the event loop.
        try:
            self._places.acquire_nowait()
        except trio.WouldBlock:
            await self._places.acquire()
        try:
            return await self._within_patience(request)
        finally:
            self._places.release()

    async def close(self) -> None:
        """Close the connections that are not in use."""
        while self._idle:
            await self._idle.pop().close()

    async def _within_patience(self, request: Request) -> Response:
        sent_s = self._clock()
        # A bare scope: `fail_after` puts two generators around it, and this is on every request's way.
        with trio.CancelScope(deadline=trio.current_time() + self._patience_s):
            try:
                return await self._answered(request, sent_s)
            except (_Lost, OSError) as error:
                raise Unanswered(_reason(error), sent_s, self._clock()) from error
        raise Unanswered(f"no answer within {self._patience_s:g} s", sent_s, self._clock())

    async def _answered(self, request: Request, sent_s: float) -> Response:
        connection = await self._take_idle()
        if connection is not None:
            try:
                return await self._exchanged(connection, request, sent_s)
            except _Lost as lost:
                if lost.has_begun:
                    raise
                # The server may have closed it between two requests: a new one may do.
        return await self._exchanged(_Connection(await self._connect()), request, sent_s)

    async def _exchanged(self, connection: _Connection, request: Request, sent_s: float) -> Response:
        try:
            status, content, retry_after = await connection.exchange(request)
            received_s = self._clock()
        except BaseException:
            await connection.close()
            raise
        if connection.is_reusable:
            connection.idle_since_s = received_s
            self._idle.append(connection)
        else:
            await connection.close()
        return Response(status, content, retry_after, sent_s, received_s)

    async def _take_idle(self) -> _Connection | None:
        """Take the one that was used last, so that those not needed any more grow old and are closed."""
        if not self._idle:
            return None
        connection = self._idle.pop()
        if self._clock() - connection.idle_since_s < _MOST_IDLE_S:
            return connection
        self._idle.append(connection)
        await self.close()
        return None

    async def _connect(self) -> trio.abc.Stream:
        origin = self._origin
        if self._tls is None:
            return await trio.open_tcp_stream(origin.host, origin.port)
        stream = await trio.open_ssl_over_tcp_stream(
            origin.host, origin.port, https_compatible=True, ssl_context=self._tls
        )
        await stream.do_handshake()
        return stream


@asynccontextmanager
async def open_client(
    origin: Origin, *, most_connections: int, patience_s: float, clock: Callable[[], float]
) -> AsyncIterator[HttpClient]:
    """Open a client of one server; its connections are closed at the end of the block.

    An exception of the block leaves it in a group, as from a nursery.
    """
    async with trio.open_nursery() as nursery:
        client = HttpClient(
            origin, most_connections=most_connections, patience_s=patience_s, clock=clock, nursery=nursery
        )
        try:
            yield client
        finally:
            nursery.cancel_scope.cancel()
            with trio.CancelScope(shield=True, deadline=trio.current_time() + 1):
                await client.close()


def _reason(error: _Lost | OSError) -> str:
    """Say in a few words why; Trio wraps what each address of the host said."""
    cause: BaseException = error.__cause__ if isinstance(error, OSError) and error.__cause__ else error
    while isinstance(cause, BaseExceptionGroup):
        cause = cause.exceptions[0]
    return (cause.strerror if isinstance(cause, OSError) else None) or str(cause)
