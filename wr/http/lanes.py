"""Both lanes together: decides on which lane a connection begins, and hands it from one to the other."""

import socket
import ssl
import time
from collections.abc import Awaitable, Callable
from functools import partial
from importlib import import_module
from typing import Protocol

import trio

from wr.api.dispatch import Api
from wr.http.connection_limits import ConnectionLimits
from wr.http.connection_timeouts import ConnectionTimeouts
from wr.http.fast_lane import FastLane
from wr.http.listener import serve_connections, start_listening
from wr.http.response_writer import ResponseWriter
from wr.http.stream_hub import StreamHub
from wr.http.transports import PlainTransport, Transport, shake_hands
from wr.metrics.instruments import Level
from wr.model.address_shares import AddressShares
from wr.supervision.connections import start_supervised
from wr.supervision.loops import keep_running

_LONGEST_WATCH_INTERVAL_S = 1.0


class General(Protocol):
    """The interface of the general lane. It is a protocol because its module is imported only when needed."""

    async def serve(self, transport: Transport, received: bytes = b"", protocol: str = "http/1.1") -> None:
        """Serve a connection until it ends."""
        ...

    def say_farewell(self) -> None:
        """From now on, announce in each response that the connection closes."""
        ...

    async def end_silent_connections(self) -> None:
        """Close every connection that has no request in progress."""
        ...


class Lanes:
    """Both lanes. The general lane is created when the first connection needs it.

    Its frameworks take a sixth of a server's memory and a third of its start time, and many servers never
    need them.
    """

    def __init__(
        self,
        api: Api,
        limits: ConnectionLimits,
        *,
        ping_s: float,
        is_fast: bool,
        tls: ssl.SSLContext | None,
        takes_prior_knowledge: bool,
    ) -> None:
        self._api = api
        self._limits = limits
        self._ping_s = ping_s
        self._is_fast = is_fast
        self._tls = tls
        self._takes_prior_knowledge = takes_prior_knowledge
        self._writer = ResponseWriter()
        self._hub = StreamHub(limits.send_patience_s)
        interval_s = min(_LONGEST_WATCH_INTERVAL_S, limits.shortest_patience_s / 4, ping_s / 4)
        self._watch = ConnectionTimeouts(interval_s, self._keep_up)
        self._fast = FastLane(
            api,
            self._watch,
            self._writer,
            self._hub,
            limits,
            give_away=self._give_away,
            ping_s=ping_s,
        )
        self._general: General | None = None
        self._making = trio.Lock()
        self._is_ending = False

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run the background work of the lanes for ever. Signals when connections can be served."""
        # Before the first connection, because deadlines are computed from the time of the last check.
        self._watch.look()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(keep_running, "watch over connections", lambda _status: self._watch.keep())
            nursery.start_soon(self._hub.run)
            if not self._is_fast:
                await self._general_lane()
            task_status.started()

    def serve(self, transport: PlainTransport, nursery: trio.Nursery, *, is_surplus: bool) -> None:
        """Begin to serve a connection. A surplus connection only gets one 503."""
        if self._tls is None and (self._is_fast or is_surplus):
            self._fast.serve(transport, nursery, is_surplus=is_surplus)
        else:
            work = partial(self._serve_in_task, transport, nursery, is_surplus=is_surplus)
            start_supervised(nursery, work, what="a connection", close=transport.close)

    async def _serve_in_task(
        self, transport: PlainTransport, nursery: trio.Nursery, *, is_surplus: bool
    ) -> None:
        """Serve a connection that the reactor cannot read: one with TLS, or one for the general lane."""
        try:
            connection: Transport = transport
            if self._tls is not None:
                connection, protocol = await shake_hands(transport, self._tls, self._limits.head_patience_s)
                if protocol == "h2" and not is_surplus:
                    await (await self._general_lane()).serve(connection, protocol=protocol)
                    return
            if self._is_fast or is_surplus:
                await self._fast.serve_in_task(connection, nursery, is_surplus=is_surplus)
            else:
                await self._give_away(connection, b"")
        finally:
            transport.close()

    def say_farewell(self) -> None:
        """From now on, announce in each response that the connection closes."""
        self._is_ending = self._fast.is_ending = True
        if self._general is not None:
            self._general.say_farewell()

    async def end_silent_connections(self) -> None:
        """Close every connection that has no request in progress."""
        self._fast.end_silent_connections()
        if self._general is not None:
            await self._general.end_silent_connections()

    async def _give_away(self, transport: Transport, received: bytes) -> None:
        await (await self._general_lane()).serve(transport, received)

    async def _general_lane(self) -> General:
        async with self._making:
            if self._general is None:
                # The import takes a quarter of a second. In a thread it does not block other connections.
                module = await trio.to_thread.run_sync(import_module, "wr.http.general_lane")
                self._general = general = module.make_general_lane(
                    self._api,
                    self._limits,
                    self._ping_s,
                    takes_prior_knowledge=self._takes_prior_knowledge,
                )
                if self._is_ending:
                    general.say_farewell()
            return self._general

    def _keep_up(self, now: float) -> None:
        """Do what is due at each check of the deadlines: update the `Date` header, and keep streams alive."""
        self._writer.tell_date(time.time())
        self._hub.keep_up(now)


async def serve_lanes(
    lanes: Lanes,
    listener: socket.socket,
    *,
    most: int,
    shares: AddressShares,
    grace_s: float,
    until: Callable[[], Awaitable[None]],
    is_open: Level | None = None,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve on a bound socket until `until` returns, then finish the requests in progress.

    Signals when it listens. The arguments are those of `serve_connections`.

    Raises:
        OSError: the socket cannot listen.
    """
    start_listening(listener)
    async with trio.open_nursery() as nursery:
        await nursery.start(lanes.run)
        await serve_connections(
            lanes,
            listener,
            most=most,
            shares=shares,
            grace_s=grace_s,
            until=until,
            is_open=is_open,
            task_status=task_status,
        )
        nursery.cancel_scope.cancel()
