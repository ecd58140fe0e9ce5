"""Connections: accepted as fast as they can be served, kept apart from each other, ended in order."""

import errno
import socket
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol

import structlog
import trio

from wr.http.client_errors import ClientErrorLog
from wr.http.readiness import Readiness
from wr.http.transports import PlainTransport
from wr.metrics.instruments import Level
from wr.model.address_shares import AddressShares
from wr.supervision.connections import Supervised, start_supervised
from wr.supervision.loops import keep_running

log = structlog.get_logger("wr.connections")

FAREWELL_S = 1.0
"""How long an open connection may bring one more request after the server was told to stop."""
_BACKLOG = 4096
_ACCEPTED_BETWEEN_TURNS = 64
"""Connections taken in a row before those already there have their turn."""
_MOST_SURPLUS = 256
"""Connections too many that are told so; any more wait in the kernel's line."""
_MOST_SURPLUS_PER_ADDRESS = 8
"""Connections of one address that are told it has too many; any more are closed at once."""
_OF_ONE_CONNECTION = {
    *(errno.EPERM, errno.ECONNABORTED, errno.ECONNRESET, errno.EPROTO, errno.ENETDOWN, errno.ENOPROTOOPT),
    *(errno.EHOSTDOWN, errno.ENONET, errno.EHOSTUNREACH, errno.EOPNOTSUPP, errno.ENETUNREACH, errno.ENOSR),
    *(errno.ESOCKTNOSUPPORT, errno.EPROTONOSUPPORT, errno.ETIMEDOUT),
}
"""What accept(2) says of one connection that has failed already; the next in line may be sound."""
_PAUSE_S = 0.1
"""How long nothing is accepted after the kernel refused: it would say the same at once."""
_UNACKNOWLEDGED_MS = 60_000
"""How long the kernel keeps a connection whose client acknowledges nothing, or takes nothing. A stream of
server-sent events has no answers that the server could miss, and the kernel's own patience is 15 minutes."""


class Carrier(Protocol):
    """What serves the connections that are accepted here."""

    async def serve(self, transport: PlainTransport, /, *, is_surplus: bool) -> None:
        """Serve a connection until it ends; one too many is only told so."""
        ...

    def say_farewell(self) -> None:
        """Have each answer from now on tell its client that it is the last."""
        ...

    async def end_silent_connections(self) -> None:
        """End those on which no request is on its way."""
        ...


def start_listening(listener: socket.socket) -> None:
    """Have a bound socket take connections in; they wait in the kernel's line until they are accepted.

    Raises:
        OSError: the socket cannot listen.
    """
    listener.setblocking(False)
    # Accepted sockets inherit it.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNACKNOWLEDGED_MS)
    listener.listen(_BACKLOG)


async def serve_connections(
    carrier: Carrier,
    listener: socket.socket,
    *,
    most: int,
    shares: AddressShares,
    grace_s: float,
    until: Callable[[], Awaitable[None]],
    is_open: Level | None = None,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve on a listening socket, `most` connections at once, until `until` returns; says when it accepts.

    `shares` bounds and counts the connections of each address. After `until`, the server accepts no further
    connection. Requests under way have `grace_s` seconds to be answered, each answer tells its client that
    the connection ends, and a connection that stays silent is closed after a second. `is_open` holds how
    many connections are open.
    """
    readiness = Readiness()
    try:
        with listener:
            connections = _Connections(carrier, most, shares, readiness, is_open or Level())
            async with trio.open_nursery() as shutdown:
                shutdown.start_soon(keep_running, "readiness", lambda _status: readiness.run())
                async with trio.open_nursery() as handlers:
                    async with trio.open_nursery() as door:
                        door.start_soon(
                            keep_running,
                            "accepting connections",
                            lambda _status: connections.accept_from(listener, handlers),
                        )
                        task_status.started()
                        await until()
                        door.cancel_scope.cancel()
                    connections.accept_the_last_from(listener, handlers)
                    shutdown.start_soon(connections.end, grace_s, handlers.cancel_scope)
                shutdown.cancel_scope.cancel()
    finally:
        # After all connections, also where everything was cancelled at once: each tells it that it has ended.
        readiness.close()


class _Connections:
    """Every connection that is open."""

    def __init__(
        self, carrier: Carrier, most: int, shares: AddressShares, readiness: Readiness, is_open: Level
    ) -> None:
        self._count = is_open
        self._carrier = carrier
        self._readiness = readiness
        self._most = most
        self._shares = shares
        self._open: set[PlainTransport] = set()
        self._is_full = False
        self._complaints = ClientErrorLog(log)

    async def accept_from(self, listener: socket.socket, handlers: trio.Nursery) -> None:
        """Accept connections, for ever, whatever the kernel says of one or of all."""
        while True:
            await trio.lowlevel.wait_readable(listener)
            if not self._accept_some(listener, handlers):
                await trio.sleep(_PAUSE_S)

    def _accept_some(self, listener: socket.socket, handlers: trio.Nursery) -> bool:
        """Accept those that wait, up to a number; returns False if a pause is due before the next."""
        has_accepted = False
        for _ in range(_ACCEPTED_BETWEEN_TURNS):
            if len(self._open) >= self._most + _MOST_SURPLUS:
                return False
            try:
                self._take(*listener.accept(), handlers)
            except BlockingIOError:
                return True
            except OSError as error:
                is_of_one = error.errno in _OF_ONE_CONNECTION
                what = "a connection failed" if is_of_one else "no room for another connection"
                self._complaints.warn(what, error=error.strerror or str(error), open=len(self._open))
                if not is_of_one:
                    # No descriptors, no memory, or something unforeseen: newcomers wait in the kernel's line.
                    return False
            else:
                has_accepted = True
        # So many failures in a row are perhaps one that stays at the head of the line.
        return has_accepted

    def accept_the_last_from(self, listener: socket.socket, handlers: trio.Nursery) -> None:
        """Listen no more, after taking in who is connected already: closing would reset them."""
        self._carrier.say_farewell()
        with listener:
            for _ in range(_BACKLOG):
                try:
                    self._take(*listener.accept(), handlers)
                except OSError as error:
                    if error.errno not in _OF_ONE_CONNECTION:
                        return

    async def end(self, grace_s: float, handlers: trio.CancelScope) -> None:
        """End every connection: at its next answer, or when it stays silent, or when the grace is over."""
        farewell_s = min(FAREWELL_S, grace_s / 2)
        await trio.sleep(farewell_s)
        await self._carrier.end_silent_connections()
        await trio.sleep(grace_s - farewell_s)
        log.warning("the grace time is over: connections are cut", open=len(self._open))
        handlers.cancel()
        for transport in self._open:
            # Hypercorn shields what it sends, so a client that does not read is not moved by being cancelled.
            transport.close()

    def _take(self, accepted: socket.socket, address: object, handlers: trio.Nursery) -> None:
        with Supervised("a connection that was accepted", accepted.close):
            peer = str(address[0]) if isinstance(address, tuple) else ""
            excess = self._shares.excess_with_another(peer)
            if excess:
                self._complaints.warn(
                    "one address holds as many connections as it may", address=peer, open=len(self._open)
                )
                if excess > _MOST_SURPLUS_PER_ADDRESS:
                    accepted.close()
                    return
            is_surplus = len(self._open) >= self._most
            if is_surplus and not self._is_full:
                log.warning("all connections are taken: newcomers are told to come back", most=self._most)
            self._is_full = is_surplus
            try:
                transport = PlainTransport(accepted, peer, self._readiness)
            except OSError as error:
                self._complaints.warn(
                    "a connection could not be watched",
                    error=error.strerror or str(error),
                    open=len(self._open),
                )
                accepted.close()
                return
            start_supervised(
                handlers,
                partial(self._serve, transport, is_surplus or excess > 0),
                what="a connection",
                close=transport.close,
            )
            self._shares.take(peer)
            self._open.add(transport)
            self._count.value = len(self._open)

    async def _serve(self, transport: PlainTransport, is_surplus: bool) -> None:
        try:
            await self._carrier.serve(transport, is_surplus=is_surplus)
        finally:
            self._open.discard(transport)
            self._count.value = len(self._open)
            self._shares.give_back(transport.peer)
            transport.close()
