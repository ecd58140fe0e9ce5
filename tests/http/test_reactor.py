"""The reactor: each connection gets one turn at a time, and none holds up or ends the others."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
import trio
import trio.testing

from wr.http.reactor import Reactor, Readable


class Reader:
    """Owns a socket, reads what comes, and does on each call what a test wants."""

    def __init__(self, reactor: Reactor) -> None:
        self.there, self.here = socket.socketpair()
        self.here.setblocking(False)
        self.calls = 0
        self.received = b""
        self.is_greedy = False
        self.is_broken = False
        self.is_closed = False
        self.readable = Readable(reactor, self.here)
        self.readable.owner = self

    def on_readable(self) -> None:
        self.calls += 1
        if self.is_broken:
            raise ZeroDivisionError
        if self.readable.is_ready:
            try:
                self.received += self.here.recv(4)
            except BlockingIOError:
                self.readable.is_ready = False
            else:
                self.readable.look_again()
        if self.is_greedy:
            self.readable.look_again()
            self.readable.look_again()

    def on_closed(self) -> None:
        """Nothing to forget."""

    def close(self) -> None:
        if not self.is_closed:
            self.is_closed = True
            self.readable.stop()
            self.here.close()
            self.there.close()


@asynccontextmanager
async def reading(count: int) -> AsyncIterator[list[Reader]]:
    reactor = Reactor()
    readers = [Reader(reactor) for _ in range(count)]
    try:
        with trio.fail_after(10):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(reactor.run)
                yield readers
                nursery.cancel_scope.cancel()
    finally:
        for reader in readers:
            reader.close()
        reactor.close()


async def test_what_has_come_is_read_to_the_end_though_the_kernel_reports_it_once() -> None:
    async with reading(1) as (reader,):
        reader.there.sendall(b"0123456789")
        await trio.testing.wait_all_tasks_blocked()
        while len(reader.received) < 10:
            await trio.lowlevel.checkpoint()
        assert reader.received == b"0123456789"


async def test_a_connection_that_asks_for_many_turns_gets_one_at_a_time() -> None:
    async with reading(2) as (greedy, modest):
        greedy.is_greedy = True
        greedy.there.sendall(b"x")
        turns = 0
        while greedy.calls < 50:
            await trio.lowlevel.checkpoint()
            turns += 1
        # Without a bound, its calls would double in each turn.
        assert turns >= 20
        modest.there.sendall(b"y")
        while not modest.received:
            await trio.lowlevel.checkpoint()


async def test_a_connection_that_wakes_while_the_reactor_waits_is_looked_at_again() -> None:
    async with reading(1) as (reader,):
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert reader.calls == 0
        reader.readable.look_again()
        while not reader.calls:
            await trio.lowlevel.checkpoint()


async def test_an_owner_that_fails_ends_its_own_connection_alone() -> None:
    with structlog.testing.capture_logs() as logs:
        async with reading(2) as (broken, other):
            broken.is_broken = True
            broken.there.sendall(b"x")
            other.there.sendall(b"y")
            while not (broken.is_closed and other.received):
                await trio.lowlevel.checkpoint()
    assert [entry["log_level"] for entry in logs] == ["error"]
