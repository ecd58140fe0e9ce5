"""The WebSocket of a visitor: it opens, hears, answers pings, and says at once that it is refused or lost."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, WebSocketRequest, serve_websocket

from wr.rehearse.client import open_client, parse_origin
from wr.rehearse.websocket import Refused, WebSocket, upgrade

Raw = Callable[[trio.SocketStream], Awaitable[None]]
Talk = Callable[[WebSocketConnection], Awaitable[None]]


@asynccontextmanager
async def raw_server(answer: Raw) -> AsyncIterator[trio.SocketStream]:
    """A connection to a server that reads a head, answers it as told, and closes."""

    async def serve(stream: trio.SocketStream) -> None:
        async with stream:
            await stream.receive_some()
            await answer(stream)

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, host="127.0.0.1"), serve, 0)
        async with await trio.open_tcp_stream(*listeners[0].socket.getsockname()) as stream:
            yield stream
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def talking(talk: Talk) -> AsyncIterator[WebSocket]:
    """A WebSocket to a server that talks as told and then closes."""

    async def serve(request: WebSocketRequest) -> None:
        await talk(await request.accept())

    async with trio.open_nursery() as nursery:
        server = await nursery.start(partial(serve_websocket, serve, "127.0.0.1", 0, ssl_context=None))
        stream = await trio.open_tcp_stream("127.0.0.1", server.port)
        with trio.fail_after(10):
            websocket = await upgrade(nursery, stream, b"wr", b"/", [])
            yield websocket
        await websocket.aclose()
        nursery.cancel_scope.cancel()


def says(answer: bytes) -> Raw:
    async def say(stream: trio.SocketStream) -> None:
        await stream.send_all(answer)

    return say


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (b"", 0),
        (b"HTTP/1.1 101 Switching", 0),
        (b"220 smtp.example.com\r\n\r\n", 0),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", 0),
        (b"HTTP/1.1 410 Gone\r\nContent-Length: 2\r\n\r\n{}", 410),
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", 503),
    ],
    ids=["nothing", "half a head", "no HTTP", "no proof of WebSocket", "gone", "busy"],
)
async def test_what_does_not_open_is_refused_at_once(answer: bytes, status: int) -> None:
    async with raw_server(says(answer)) as stream, trio.open_nursery() as nursery:
        with trio.fail_after(10), pytest.raises(Refused) as refused:
            await upgrade(nursery, stream, b"wr", b"/", [])
        assert refused.value.status == status
        with pytest.raises(trio.ClosedResourceError):
            await stream.send_all(b"x")


async def test_a_server_that_does_not_answer_is_given_up_and_its_connection_closed() -> None:
    async def hang(_stream: trio.SocketStream) -> None:
        await trio.sleep_forever()

    async with raw_server(hang) as stream, trio.open_nursery() as nursery:
        with trio.move_on_after(0.2) as scope:
            await upgrade(nursery, stream, b"wr", b"/", [])
        assert scope.cancelled_caught
        assert stream.socket.fileno() == -1


async def test_messages_come_in_order_and_the_code_at_the_end() -> None:
    async def talk(connection: WebSocketConnection) -> None:
        for number in range(50):
            await connection.send_message(f'{{"number": {number}}}')
        await connection.send_message("[1]")
        await connection.send_message("no JSON")
        await connection.aclose(1012)

    async with talking(talk) as websocket:
        assert websocket.close_code is None
        assert [await websocket.message() for _ in range(50)] == [{"number": number} for number in range(50)]
        assert [await websocket.message() for _ in range(3)] == [{}, {}, None]
        assert websocket.close_code == 1012


async def test_a_ping_is_answered_and_heard_though_no_message_is_read() -> None:
    looked_at, answered = trio.Event(), trio.Event()

    async def talk(connection: WebSocketConnection) -> None:
        await looked_at.wait()
        await connection.ping()
        answered.set()
        await trio.sleep_forever()

    async with talking(talk) as websocket:
        opened_s = websocket.heard_s
        looked_at.set()
        await answered.wait()
        assert websocket.heard_s > opened_s


async def test_a_stream_that_is_dropped_ends_without_a_closing_handshake() -> None:
    codes: list[int] = []
    ended = trio.Event()

    async def talk(connection: WebSocketConnection) -> None:
        try:
            await connection.get_message()
        except ConnectionClosed as closed:
            codes.append(closed.reason.code)
        ended.set()

    async with talking(talk) as websocket:
        await websocket.aclose()
        assert await websocket.message() is None
        assert websocket.close_code is None
        await ended.wait()
    assert codes == [1006]


async def test_one_refused_stream_ends_neither_the_client_nor_its_other_streams() -> None:
    async def serve(request: WebSocketRequest) -> None:
        if request.path != "/base/open":
            await request.reject(404, body=b"{}")
            return
        connection = await request.accept()
        await connection.send_message('{"type": "first"}')
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        server = await nursery.start(partial(serve_websocket, serve, "127.0.0.1", 0, ssl_context=None))
        origin = parse_origin(f"http://127.0.0.1:{server.port}/base")
        async with open_client(origin, most_connections=1, patience_s=5, clock=trio.current_time) as client:
            opened = await client.open_websocket(b"/open")
            with pytest.raises(Refused, match="404"):
                await client.open_websocket(b"/closed")
            assert await opened.message() == {"type": "first"}
            await opened.aclose()
        nursery.cancel_scope.cancel()
