"""Accepts connections: limits how many there are, isolates them from each other, and ends them in order."""

import errno
import socket
from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog
import trio

from wr.http.client_errors import ClientErrorLog
from wr.http.reactor import Reactor
from wr.http.transports import PlainTransport
from wr.metrics.instruments import Level
from wr.model.address_shares import AddressShares
from wr.supervision.connections import Supervised
from wr.supervision.loops import keep_running

log = structlog.get_logger("wr.connections")

FAREWELL_S = 1.0
"""How long, after the stop signal, an open connection may still send one more request."""
_BACKLOG = 4096
_ACCEPTED_BETWEEN_TURNS = 64
"""Connections accepted in a row before other tasks may run."""
_MOST_SURPLUS = 256
"""Connections above the limit that get a 503. Further ones wait in the kernel's queue."""
_MOST_SURPLUS_PER_ADDRESS = 8
"""Connections of one address above its limit that get a 503. Further ones are closed at once."""
_SINGLE_CONNECTION_ERRORS = {
    *(errno.EPERM, errno.ECONNABORTED, errno.ECONNRESET, errno.EPROTO, errno.ENETDOWN, errno.ENOPROTOOPT),
    *(errno.EHOSTDOWN, errno.ENONET, errno.EHOSTUNREACH, errno.EOPNOTSUPP, errno.ENETUNREACH, errno.ENOSR),
    *(errno.ESOCKTNOSUPPORT, errno.EPROTONOSUPPORT, errno.ETIMEDOUT),
}
"""Errors of accept(2) that concern one connection that has already failed. The next one may work."""
_PAUSE_S = 0.1
"""Pause after accept(2) failed for lack of resources. An immediate retry would fail again."""
_UNACKNOWLEDGED_MS = 60_000
"""How long the kernel keeps a connection whose client acknowledges no data. It is needed for event streams:
their clients never send anything, and the kernel's default is 15 minutes."""


class Carrier(Protocol):
    """The interface of what serves the accepted connections."""

    def serve(self, transport: PlainTransport, nursery: trio.Nursery, /, *, is_surplus: bool) -> None:
        """Begin to serve a connection, and close it when it has ended.

        Work that has to wait gets a task in the nursery. A surplus connection only gets one 503.
        """
        ...

    def say_farewell(self) -> None:
        """From now on, announce in each response that the connection closes."""
        ...

    async def end_silent_connections(self) -> None:
        """Close every connection that has no request in progress."""
        ...


def start_listening(listener: socket.socket) -> None:
    """Listen on a bound socket. New connections wait in the kernel's queue until they are accepted.

    Raises:
        OSError: the socket cannot listen.
    """
    listener.setblocking(False)
    # Accepted sockets inherit this option.
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
    """Serve on a listening socket until `until` returns, `most` connections at once. Signals when it accepts.

    `shares` counts and limits the connections of each address. `is_open` is set to the number of open
    connections. When `until` has returned, no more connections are accepted. Requests in progress have
    `grace_s` seconds to be answered, each response announces that the connection closes, and a connection
    without a request is closed after a second.
    """
    reactor = Reactor()
    connections = _Connections(carrier, most, shares, reactor, is_open or Level())
    try:
        with listener:
            async with trio.open_nursery() as shutdown:
                shutdown.start_soon(keep_running, "reading connections", lambda _status: reactor.run())
                async with trio.open_nursery() as handlers:
                    async with trio.open_nursery() as accepting:
                        accepting.start_soon(
                            keep_running,
                            "accepting connections",
                            lambda _status: connections.accept_from(listener, handlers),
                        )
                        task_status.started()
                        await until()
                        accepting.cancel_scope.cancel()
                    connections.accept_the_last_from(listener, handlers)
                    shutdown.start_soon(connections.end, grace_s, handlers.cancel_scope)
                    await connections.all_ended()
                shutdown.cancel_scope.cancel()
    finally:
        connections.cut()
        # Last, also after a cancellation: each connection unregisters itself when it ends.
        reactor.close()


class _Connections:
    """All open connections."""

    def __init__(
        self, carrier: Carrier, most: int, shares: AddressShares, reactor: Reactor, is_open: Level
    ) -> None:
        self._count = is_open
        self._carrier = carrier
        self._reactor = reactor
        self._most = most
        self._shares = shares
        self._open: set[PlainTransport] = set()
        self._is_full = False
        self._has_ended: trio.Event | None = None
        # One object for all connections, instead of one for each.
        self._on_end = self._end_of
        self._client_errors = ClientErrorLog(log)

    async def accept_from(self, listener: socket.socket, handlers: trio.Nursery) -> None:
        """Accept connections for ever, also after errors of one connection or of the kernel."""
        while True:
            await trio.lowlevel.wait_readable(listener)
            if not self._accept_some(listener, handlers):
                await trio.sleep(_PAUSE_S)

    def _accept_some(self, listener: socket.socket, handlers: trio.Nursery) -> bool:
        """Accept waiting connections, up to a number. Returns False if a pause is needed before the next."""
        has_accepted = False
        for _ in range(_ACCEPTED_BETWEEN_TURNS):
            if len(self._open) >= self._most + _MOST_SURPLUS:
                return False
            try:
                self._take(*listener.accept(), handlers)
            except BlockingIOError:
                return True
            except OSError as error:
                is_single = error.errno in _SINGLE_CONNECTION_ERRORS
                what = "a connection failed" if is_single else "no room for another connection"
                self._client_errors.warn(what, error=error.strerror or str(error), open=len(self._open))
                if not is_single:
                    # No file descriptors, no memory, or an unknown error. New connections wait in the
                    # kernel's queue.
                    return False
            else:
                has_accepted = True
        # If all of them failed, the first in the queue may fail again and again: pause.
        return has_accepted

    def accept_the_last_from(self, listener: socket.socket, handlers: trio.Nursery) -> None:
        """Accept the connections in the kernel's queue, then close the listener, which would reset them."""
        self._carrier.say_farewell()
        with listener:
            for _ in range(_BACKLOG):
                try:
                    self._take(*listener.accept(), handlers)
                except OSError as error:
                    if error.errno not in _SINGLE_CONNECTION_ERRORS:
                        return

    async def end(self, grace_s: float, handlers: trio.CancelScope) -> None:
        """End every connection: after its next response, when it has no request, or after `grace_s`."""
        farewell_s = min(FAREWELL_S, grace_s / 2)
        await trio.sleep(farewell_s)
        await self._carrier.end_silent_connections()
        await trio.sleep(grace_s - farewell_s)
        log.warning("the grace time is over: connections are cut", open=len(self._open))
        handlers.cancel()
        self.cut()

    async def all_ended(self) -> None:
        """Wait until no connection is open. Most have no task that could be waited for."""
        self._has_ended = trio.Event()
        if self._open:
            await self._has_ended.wait()

    def cut(self) -> None:
        """Close every connection at once.

        Hypercorn shields its sends, so cancelling does not end a connection whose client does not read.
        """
        for transport in list(self._open):
            transport.close()

    def _take(self, accepted: socket.socket, address: object, handlers: trio.Nursery) -> None:
        """Begin to serve an accepted connection, or close it if its address has far too many."""
        with Supervised("accepting a connection", accepted.close):
            peer = str(address[0]) if isinstance(address, tuple) else ""
            excess = self._shares.excess_with_another(peer)
            if excess:
                self._client_errors.warn(
                    "one address holds as many connections as it may", address=peer, open=len(self._open)
                )
                if excess > _MOST_SURPLUS_PER_ADDRESS:
                    accepted.close()
                    return
            is_surplus = len(self._open) >= self._most
            if is_surplus and not self._is_full:
                log.warning("all connections are taken: new ones get 503", most=self._most)
            self._is_full = is_surplus
            try:
                transport = PlainTransport(accepted, peer, self._reactor, self._on_end)
            except OSError as error:
                self._client_errors.warn(
                    "the kernel cannot watch a connection",
                    error=error.strerror or str(error),
                    open=len(self._open),
                )
                accepted.close()
                return
            self._shares.take(peer)
            self._open.add(transport)
            self._count.value = len(self._open)
            with Supervised("accepting a connection", transport.close):
                self._carrier.serve(transport, handlers, is_surplus=is_surplus or excess > 0)

    def _end_of(self, transport: PlainTransport) -> None:
        self._open.discard(transport)
        self._count.value = len(self._open)
        self._shares.give_back(transport.peer)
        if self._has_ended is not None and not self._open:
            self._has_ended.set()
