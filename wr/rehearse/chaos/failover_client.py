"""HTTP clients for several servers: a visitor uses one, and the next one if that does not answer."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from wr.rehearse.client import HttpClient, Origin, Request, Response, Unanswered, open_client
from wr.rehearse.websocket import Headers, Refused, WebSocket

_UNAVAILABLE = 503


class FailoverClient:
    """The clients of all servers. Each visitor gets its own view of them."""

    def __init__(self, clients: Sequence[HttpClient]) -> None:
        self.clients = clients

    def for_visitor(self, number: int) -> "FailoverVisitor":
        """Return a client for one visitor. Visitors start at the servers in turn."""
        return FailoverVisitor(self.clients, number % len(self.clients))

    @property
    def requests(self) -> int:
        """Number of requests sent so far."""
        return sum(client.requests for client in self.clients)

    def make(self, method: bytes, path: bytes, headers: Headers = (), body: bytes = b"") -> Request:
        """Make a request that may be sent to any of the servers."""
        return self.clients[0].make(method, path, headers, body)

    async def send(self, request: Request) -> Response:
        """Send a request to each server until one answers.

        Raises:
            Unanswered: no server answers.
        """
        for client in self.clients[:-1]:
            try:
                return await client.send(request)
            except Unanswered:
                continue
        return await self.clients[-1].send(request)


class FailoverVisitor:
    """One visitor's client. All requests name the first server as host, as behind a load balancer.

    A request goes to one server only: the visitor decides whether and when to try again.
    """

    def __init__(self, clients: Sequence[HttpClient], at: int) -> None:
        self._clients = clients
        self._at = at

    @property
    def now_s(self) -> float:
        """The clock of all times of this client, in seconds."""
        return self._clients[0].now_s

    def make(self, method: bytes, path: bytes, headers: Headers = (), body: bytes = b"") -> Request:
        """Make a request that may be sent to any of the servers."""
        return self._clients[0].make(method, path, headers, body)

    async def send(self, request: Request) -> Response:
        """Send a request to this visitor's server.

        If it does not answer, or with 503, the next request goes to the next server.

        Raises:
            Unanswered: the server did not answer.
        """
        try:
            response = await self._clients[self._at].send(request)
        except Unanswered:
            self._go_on()
            raise
        if response.status == _UNAVAILABLE:
            self._go_on()
        return response

    async def open_websocket(self, path: bytes, headers: Headers = ()) -> WebSocket:
        """Open a WebSocket to this visitor's server. If that fails, the next request goes to the next server.

        Raises:
            Refused: the server refused the WebSocket, or did not answer in time.
            OSError: the connection failed.
        """
        try:
            return await self._clients[self._at].open_websocket(path, headers)
        except (Refused, OSError):
            self._go_on()
            raise

    def give_up_on_server(self) -> None:
        """Go on to the next server, because the stream from this one was lost."""
        self._go_on()

    def _go_on(self) -> None:
        self._at = (self._at + 1) % len(self._clients)


@asynccontextmanager
async def open_failover_client(
    origins: Sequence[Origin], *, most_connections: int, patience_s: float, clock: Callable[[], float]
) -> AsyncIterator[FailoverClient]:
    """Open a client for several servers. The end of the block closes its connections."""
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(
                open_client(origin, most_connections=most_connections, patience_s=patience_s, clock=clock)
            )
            for origin in origins
        ]
        yield FailoverClient(clients)
