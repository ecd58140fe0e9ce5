"""Visitors that know several servers: each talks to one, and goes to the next when that does not answer."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from wr.rehearse.client import HttpClient, Origin, Request, Response, Unanswered, open_client
from wr.rehearse.websocket import Headers, Refused, WebSocket

_UNAVAILABLE = 503


class FailoverClient:
    """The clients of all servers, of which each visitor gets its own view."""

    def __init__(self, clients: Sequence[HttpClient]) -> None:
        self.clients = clients

    def for_visitor(self, number: int) -> "FailoverVisitor":
        """Give a visitor a client of its own; visitors begin with the servers in turn."""
        return FailoverVisitor(self.clients, number % len(self.clients))

    @property
    def requests(self) -> int:
        """How many requests have been sent."""
        return sum(client.requests for client in self.clients)

    def make(self, method: bytes, path: bytes, headers: Headers = (), body: bytes = b"") -> Request:
        """Make a request that may be sent to any of the servers."""
        return self.clients[0].make(method, path, headers, body)

    async def send(self, request: Request) -> Response:
        """Send a request to the first server that answers it.

        Raises:
            Unanswered: none does.
        """
        for client in self.clients[:-1]:
            try:
                return await client.send(request)
            except Unanswered:
                continue
        return await self.clients[-1].send(request)


class FailoverVisitor:
    """One visitor's client. The servers have one name, as behind a load balancer: that of the first.

    A request is sent to one server only: whether it is tried again, and when, is the visitor's to decide.
    """

    def __init__(self, clients: Sequence[HttpClient], at: int) -> None:
        self._clients = clients
        self._at = at

    @property
    def now_s(self) -> float:
        """The clock that all times are told by, in seconds."""
        return self._clients[0].now_s

    def make(self, method: bytes, path: bytes, headers: Headers = (), body: bytes = b"") -> Request:
        """Make a request that may be sent to any of the servers."""
        return self._clients[0].make(method, path, headers, body)

    async def send(self, request: Request) -> Response:
        """Send a request to the server of this visitor; the next one goes to the next if that is in trouble.

        Raises:
            Unanswered: it did not answer.
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
        """Open a WebSocket to the server of this visitor; the next one goes to the next if that fails.

        Raises:
            Refused: the server answered with something else, or not within the patience.
            OSError: nobody is there.
        """
        try:
            return await self._clients[self._at].open_websocket(path, headers)
        except (Refused, OSError):
            self._go_on()
            raise

    def give_up_on_server(self) -> None:
        """Go to the next server: this one's stream was lost."""
        self._go_on()

    def _go_on(self) -> None:
        self._at = (self._at + 1) % len(self._clients)


@asynccontextmanager
async def open_failover_client(
    origins: Sequence[Origin], *, most_connections: int, patience_s: float, clock: Callable[[], float]
) -> AsyncIterator[FailoverClient]:
    """Open a client of several servers; connections are closed at the end of the block."""
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(
                open_client(origin, most_connections=most_connections, patience_s=patience_s, clock=clock)
            )
            for origin in origins
        ]
        yield FailoverClient(clients)
