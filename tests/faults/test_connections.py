"""Connections end alone when they fail, and all of them when the server does: soon, and not too soon."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
import trio
from hypercorn.events import RawData

import wr.http.general_connections
import wr.http.listener
from tests.support.crowd import until
from tests.support.processes import unread_by
from tests.support.raw_http import CutOff, connected
from wr.http.connection_limits import ConnectionLimits
from wr.http.general_connections import GeneralLane
from wr.http.http2_lane import Http2Lane
from wr.http.listener import serve_connections, start_listening
from wr.http.strict_http1 import GeneralConfig
from wr.http.transports import PlainTransport
from wr.model.address_shares import AddressShares
from wr.supervision.connections import start_supervised

LONG_S = 60.0
LONG_ANSWER = b"x" * 20_000_000


async def hello(scope: Any, receive: Any, send: Any) -> None:
    """An application that says hello, or at `/never` nothing, or at `/long` more than any buffer holds."""
    if scope["path"] == "/never":
        await trio.sleep_forever()
    body = LONG_ANSWER if scope["path"] == "/long" else b"hello"
    length = str(len(body)).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
    await send({"type": "http.response.body", "body": body})


class OnlyGeneral(GeneralLane):
    """The general lane alone, serving what is accepted over HTTP/1.1 to an application of these tests."""

    def __init__(self, app: Any) -> None:
        no_api: Any = None
        config = GeneralConfig()
        config.head_patience_s = LONG_S
        http2 = Http2Lane(no_api, ConnectionLimits(most_connections=100, most_per_address=100))
        super().__init__(app, config, http2, takes_prior_knowledge=False, send_patience_s=30)


class Carrier:
    """Gives all connections to a general lane."""

    def __init__(self, lane: GeneralLane) -> None:
        self.say_farewell = lane.say_farewell
        self.end_silent_connections = lane.end_silent_connections
        self._lane = lane

    def serve(self, transport: PlainTransport, nursery: trio.Nursery, *, is_surplus: bool) -> None:
        assert not is_surplus
        start_supervised(nursery, partial(self._serve, transport), what="a test", close=transport.close)

    async def _serve(self, transport: PlainTransport) -> None:
        try:
            await self._lane.serve(transport)
        finally:
            transport.close()


@asynccontextmanager
async def serving(app: Any, grace_s: float, stop: trio.Event | None = None) -> AsyncIterator[tuple[str, int]]:
    """Serve an application until the block ends, and then as long as its shutdown takes."""
    stop = trio.Event() if stop is None else stop
    with socket.socket() as listener, trio.fail_after(LONG_S):
        listener.bind(("127.0.0.1", 0))
        address = listener.getsockname()
        start_listening(listener)
        async with trio.open_nursery() as nursery:

            async def serve(task_status: trio.TaskStatus[None]) -> None:
                await serve_connections(
                    Carrier(OnlyGeneral(app)),
                    listener,
                    most=100,
                    shares=AddressShares(100),
                    grace_s=grace_s,
                    until=stop.wait,
                    task_status=task_status,
                )

            await nursery.start(serve)
            yield address
            stop.set()


async def test_a_connection_that_fails_in_a_way_nobody_foresaw_ends_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Failing(wr.http.general_connections.TCPServer):
        async def _read_data(self) -> None:
            data = await self.stream.receive_some()
            if b"/fail" in data:
                raise ZeroDivisionError("a mistake in the protocol")
            await self.protocol.handle(RawData(bytes(data)))
            await super()._read_data()

    monkeypatch.setattr(wr.http.general_connections, "TCPServer", Failing)
    async with serving(hello, grace_s=5) as address, connected(address) as other:
        async with connected(address) as failing:
            with pytest.raises(CutOff):
                await failing.request("GET", "/fail")
        assert (await other.request("GET", "/")).body == b"hello"


async def test_a_request_that_never_gets_its_answer_ends_with_the_grace_whatever_comes_after_it() -> None:
    never = b"GET /never HTTP/1.1\r\nHost: wr\r\n\r\n"
    async with serving(hello, grace_s=0.2) as address:
        client = await trio.open_tcp_stream(*address)
        # With a second request behind it, the server does not read, and so does not see the connection close.
        await client.send_all(never + never)
        async with connected(address) as other:
            assert (await other.request("GET", "/")).body == b"hello"
    await client.aclose()


async def test_an_idle_connection_does_not_hold_up_the_end() -> None:
    async with serving(hello, grace_s=10 * LONG_S) as address:
        client = await trio.open_tcp_stream(*address)
        await client.send_all(b"GET / HTTP/1.1\r\nHost: wr\r\n\r\n")
        assert await client.receive_some()
    await client.aclose()


async def test_an_idle_connection_may_still_bring_a_request_and_is_told_that_it_is_the_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(wr.http.listener, "FAREWELL_S", LONG_S / 2)
    stop = trio.Event()
    async with serving(hello, grace_s=LONG_S, stop=stop) as address, connected(address) as client:
        assert "connection" not in (await client.request("GET", "/")).headers
        stop.set()
        assert (await client.request("GET", "/")).headers["connection"] == "close"


async def test_half_a_request_is_cut_when_the_grace_is_over() -> None:
    async with serving(hello, grace_s=0.2) as address:
        client = await trio.open_tcp_stream(*address)
        await client.send_all(b"POST /never HTTP/1.1\r\nHost: wr\r\nContent-Length: 9\r\n\r\nhalf")
    await client.aclose()


async def test_a_client_that_does_not_read_is_cut_when_the_grace_is_over() -> None:
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        async with serving(hello, grace_s=0.2) as address:
            client.connect(address)
            client.sendall(b"GET /long HTTP/1.1\r\nHost: wr\r\n\r\n")
            await until(lambda: unread_by(client), "the server has begun to answer")
