"""Accepting connections: whatever the kernel says of one of them, the others are accepted and served."""

import contextlib
import errno
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

import pytest
import structlog
import trio
import trio.testing

import wr.http.listener
from wr.http.listener import serve_connections, start_listening
from wr.http.reactor import Reactor, Readable
from wr.http.transports import PlainTransport
from wr.model.address_shares import AddressShares
from wr.supervision.connections import start_supervised

OF_ONE_CONNECTION = (
    *("EPERM", "ECONNABORTED", "ECONNRESET", "EPROTO", "ENETDOWN", "ENOPROTOOPT", "EHOSTDOWN", "ENONET"),
    *(
        "EHOSTUNREACH",
        "EOPNOTSUPP",
        "ENETUNREACH",
        "ENOSR",
        "ESOCKTNOSUPPORT",
        "EPROTONOSUPPORT",
        "ETIMEDOUT",
    ),
)
OF_THE_SERVER = ("EMFILE", "ENFILE", "ENOMEM", "ENOBUFS", "EIO", "EINVAL")
LONG_S = 30.0


class Echo:
    """Sends back what it receives; a connection that is one too many is closed."""

    def __init__(self) -> None:
        self.served = 0

    def serve(self, transport: PlainTransport, nursery: trio.Nursery, *, is_surplus: bool) -> None:
        self.served += 1
        work = partial(self._echo, transport, is_surplus=is_surplus)
        start_supervised(nursery, work, what="a connection", close=transport.close)

    async def _echo(self, transport: PlainTransport, *, is_surplus: bool) -> None:
        try:
            while not is_surplus and (data := await transport.receive()):
                if data == b"fail":
                    raise ZeroDivisionError
                await transport.send(data)
        finally:
            transport.close()

    def say_farewell(self) -> None:
        """This server says nothing."""

    async def end_silent_connections(self) -> None:
        """They are cut when the grace is over."""


class OddListener(socket.socket):
    """A real listener, whose kernel has something else to say at times."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0
        self.failure: Callable[[int], int | None] = lambda _: None

    def accept(self) -> tuple[socket.socket, object]:
        self.calls += 1
        number = self.failure(self.calls)
        if number is not None:
            raise OSError(number, os.strerror(number))
        return super().accept()


@asynccontextmanager
async def accepting(
    listener: OddListener, *, most: int = 5000, shares: AddressShares | None = None
) -> AsyncIterator[tuple[str, int]]:
    """Serve on a listener until the block ends, and then at once no longer."""
    listener.bind(("127.0.0.1", 0))
    start_listening(listener)
    with trio.fail_after(LONG_S):
        async with trio.open_nursery() as nursery:

            async def serve(task_status: trio.TaskStatus[None]) -> None:
                await serve_connections(
                    Echo(),
                    listener,
                    most=most,
                    shares=shares or AddressShares(5000),
                    grace_s=1.0,
                    until=trio.sleep_forever,
                    task_status=task_status,
                )

            await nursery.start(serve)
            yield listener.getsockname()
            nursery.cancel_scope.cancel()


async def assert_served(address: tuple[str, int]) -> None:
    async with await trio.open_tcp_stream(*address) as client:
        await client.send_all(b"hello")
        assert await client.receive_some() == b"hello"


@pytest.mark.parametrize("name", [*OF_ONE_CONNECTION, *OF_THE_SERVER])
async def test_an_error_of_accept_ends_nothing(name: str) -> None:
    with OddListener() as listener:
        listener.failure = lambda call: getattr(errno, name) if call == 1 else None
        async with accepting(listener) as address:
            await assert_served(address)
        assert listener.calls > 1


@pytest.mark.parametrize("name", ["EPERM", "EMFILE"])
async def test_an_error_of_accept_that_stays_costs_no_more_than_a_few_looks(name: str) -> None:
    with OddListener() as listener:
        is_over = False
        listener.failure = lambda _: None if is_over else getattr(errno, name)
        with structlog.testing.capture_logs() as logs:
            async with accepting(listener) as address, trio.open_nursery() as nursery:
                nursery.start_soon(assert_served, address)
                await trio.sleep(0.35)
                assert 1 < listener.calls <= 64 * 5
                is_over = True
        assert [entry["log_level"] for entry in logs] == ["warning"], "one complaint a second at most"


async def test_a_connection_that_the_kernel_cannot_watch_is_closed_and_the_next_is_served(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Full(Reactor):
        """A reactor whose user watches as many sockets as it may, once."""

        is_full = True

        def add(self, fd: int, readable: Readable) -> None:
            if self.is_full:
                self.is_full = False
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            super().add(fd, readable)

    monkeypatch.setattr(wr.http.listener, "Reactor", Full)
    with OddListener() as listener:
        async with accepting(listener) as address:
            async with await trio.open_tcp_stream(*address) as unlucky:
                assert await unlucky.receive_some() == b""
            await assert_served(address)


async def test_a_connection_whose_handler_fails_ends_alone_and_is_logged_once() -> None:
    with OddListener() as listener:
        async with accepting(listener) as address, await trio.open_tcp_stream(*address) as other:
            await other.send_all(b"first")
            assert await other.receive_some() == b"first"
            with structlog.testing.capture_logs() as logs:
                async with await trio.open_tcp_stream(*address) as client:
                    await client.send_all(b"fail")
                    assert await client.receive_some() == b""
            assert [(entry["event"], entry["what"]) for entry in logs] == [
                ("a connection was ended by an error", "a connection")
            ]
            await other.send_all(b"second")
            assert await other.receive_some() == b"second"


async def test_thousands_of_connections_that_are_cancelled_at_once_end_without_an_error() -> None:
    shares = AddressShares(5000)
    with (
        OddListener() as listener,
        contextlib.ExitStack() as crowd,
        structlog.testing.capture_logs() as logs,
    ):
        async with accepting(listener, shares=shares) as address:
            for number in range(2000):
                client = crowd.enter_context(socket.create_connection(address))
                if number % 100 == 0:
                    await trio.testing.wait_all_tasks_blocked()
            await trio.testing.wait_all_tasks_blocked()
            assert shares.holders == 1
        assert client.recv(1) == b""
        assert shares.holders == 0, "every connection was given back"
        assert logs == []


async def test_a_connection_whose_client_acknowledges_nothing_is_ended_by_the_kernel_in_a_minute() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        start_listening(listener)
        with socket.create_connection(listener.getsockname()):
            await trio.lowlevel.wait_readable(listener)
            with listener.accept()[0] as accepted:
                assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 60_000
