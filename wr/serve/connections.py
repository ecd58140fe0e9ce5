"""Connections: accepted as fast as they can be served, kept apart from each other, ended in order."""

import errno
import socket
from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog
import trio

from wr.measures.instruments import Level
from wr.serve.readiness import Readiness
from wr.serve.transport import PlainTransport

log = structlog.get_logger("wr.connections")

FAREWELL_S = 1.0
"""How long an open connection may bring one more request after the server was told to stop."""
_BACKLOG = 4096
_ACCEPTED_BETWEEN_TURNS = 64
"""Connections taken in a row before those already there have their turn."""
_MOST_SURPLUS = 256
"""Connections too many that are told so; any more wait in the kernel's line."""
_NO_ROOM = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS}
_NO_ROOM_PAUSE_S = 0.1


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
    listener.listen(_BACKLOG)


async def serve_connections(
    carrier: Carrier,
    listener: socket.socket,
    *,
    most: int,
    grace_s: float,
    until: Callable[[], Awaitable[None]],
    is_open: Level | None = None,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve on a listening socket, `most` connections at once, until `until` returns; says when it accepts.

    Then nobody new is accepted, what is under way has `grace_s` seconds to be answered, each answer tells its
    client that the connection ends, and a connection that stays silent is closed after a second. `is_open`
    holds how many connections are.
    """
    with listener:
        readiness = Readiness()
        connections = _Connections(carrier, most, readiness, is_open or Level())
        async with trio.open_nursery() as shutdown:
            shutdown.start_soon(readiness.run)
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

    def __init__(self, carrier: Carrier, most: int, readiness: Readiness, is_open: Level) -> None:
        self._count = is_open
        self._carrier = carrier
        self._readiness = readiness
        self._most = most
        self._open: set[PlainTransport] = set()
        self._is_full = False

    async def accept_from(self, listener: socket.socket, handlers: trio.Nursery) -> None:
        """Accept connections, for ever."""
        while True:
            await trio.lowlevel.wait_readable(listener)
            try:
                for _ in range(_ACCEPTED_BETWEEN_TURNS):
                    if len(self._open) >= self._most + _MOST_SURPLUS:
                        await trio.sleep(_NO_ROOM_PAUSE_S)
                        break
                    self._take(*listener.accept(), handlers)
            except (BlockingIOError, ConnectionAbortedError):
                continue
            except OSError as error:
                if error.errno not in _NO_ROOM:
                    raise
                # Those who want in wait in the kernel's line until some connection ends.
                log.warning("no room for another connection", error=error.strerror, open=len(self._open))
                await trio.sleep(_NO_ROOM_PAUSE_S)

    def accept_the_last_from(self, listener: socket.socket, handlers: trio.Nursery) -> None:
        """Listen no more, after taking in who is connected already: closing would reset them."""
        self._carrier.say_farewell()
        with listener:
            for _ in range(_BACKLOG):
                try:
                    accepted, address = listener.accept()
                except OSError:
                    return
                self._take(accepted, address, handlers)

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
        peer = str(address[0]) if isinstance(address, tuple) else ""
        transport = PlainTransport(accepted, peer, self._readiness)
        is_surplus = len(self._open) >= self._most
        if is_surplus and not self._is_full:
            log.warning("all connections are taken: newcomers are told to come back", most=self._most)
        self._is_full = is_surplus
        self._open.add(transport)
        self._count.value = len(self._open)
        handlers.start_soon(self._serve, transport, is_surplus)

    async def _serve(self, transport: PlainTransport, is_surplus: bool) -> None:
        try:
            await self._carrier.serve(transport, is_surplus=is_surplus)
        except Exception:
            # One connection's trouble is nobody else's.
            log.exception("a connection was ended by an error")
        finally:
            self._open.discard(transport)
            self._count.value = len(self._open)
            transport.close()
