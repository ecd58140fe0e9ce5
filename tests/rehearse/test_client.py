"""The client: keep-alive, measured, and never waiting for ever."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import trio

from wr.rehearse.client import HttpClient, Unanswered, open_client, parse_origin

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
Serve = Callable[[trio.SocketStream, bytes], Awaitable[bool]]


class Server:
    """Hands each request to `serve`, which answers and says whether the connection stays open."""

    def __init__(self, serve: Serve) -> None:
        self._serve = serve
        self.connections = 0
        self.requests: list[bytes] = []
        self._scope = trio.CancelScope()
        self._is_gone = trio.Event()

    async def run(self, task_status: trio.TaskStatus[list[trio.SocketListener]]) -> None:
        with self._scope:
            await trio.serve_tcp(self.talk, 0, host="127.0.0.1", task_status=task_status)
        self._is_gone.set()

    async def go_away(self) -> None:
        self._scope.cancel()
        await self._is_gone.wait()

    async def talk(self, stream: trio.SocketStream) -> None:
        self.connections += 1
        async with stream:
            while request := await stream.receive_some():
                self.requests.append(bytes(request))
                if not await self._serve(stream, request):
                    return


@asynccontextmanager
async def serving(
    serve: Serve, *, most_connections: int = 10, patience_s: float = 5.0
) -> AsyncIterator[tuple[Server, HttpClient]]:
    server = Server(serve)
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(server.run)
        port = listeners[0].socket.getsockname()[1]
        async with open_client(
            parse_origin(f"http://127.0.0.1:{port}/base"),
            most_connections=most_connections,
            patience_s=patience_s,
            clock=trio.current_time,
        ) as client:
            yield server, client
        await server.go_away()


async def answer(stream: trio.SocketStream, _request: bytes) -> bool:
    await stream.send_all(OK)
    return True


async def test_requests_one_after_the_other_share_a_connection() -> None:
    async with serving(answer) as (server, client):
        request = client.make(b"POST", b"/x", [(b"A", b"b")], b"body")
        for _ in range(5):
            response = await client.send(request)
            assert (response.status, response.body) == (200, b"ok")
            assert response.sent_s < response.received_s
        assert server.connections == 1
        head, _, body = server.requests[0].partition(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        assert lines[0] == b"post /base/x http/1.1"
        assert {b"a: b", b"content-type: application/json", b"content-length: 4"} < set(lines)
        assert body == b"body"


async def test_no_more_connections_are_opened_than_allowed() -> None:
    async with serving(answer, most_connections=3) as (server, client), trio.open_nursery() as nursery:
        for _ in range(30):
            nursery.start_soon(client.send, client.make(b"GET", b"/"))
    assert server.connections <= 3
    assert len(server.requests) == 30


async def test_a_connection_that_was_closed_between_two_requests_is_replaced_unnoticed() -> None:
    async def once(stream: trio.SocketStream, request: bytes) -> bool:
        # Kept open by what is said, closed all the same.
        return await answer(stream, request) and False

    async with serving(once) as (server, client):
        for _ in range(3):
            assert (await client.send(client.make(b"GET", b"/"))).status == 200
        assert server.connections == 3


async def test_a_server_that_goes_away_between_two_requests_is_said_to() -> None:
    async with serving(answer) as (server, client):
        await client.send(client.make(b"GET", b"/"))
        await server.go_away()
        with pytest.raises(Unanswered, match="Connection refused"):
            await client.send(client.make(b"GET", b"/"))


async def test_a_connection_that_the_server_says_it_closes_is_not_used_again() -> None:
    async def last(stream: trio.SocketStream, _request: bytes) -> bool:
        await stream.send_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        return True

    async with serving(last) as (server, client):
        for _ in range(2):
            assert (await client.send(client.make(b"GET", b"/"))).status == 204
        assert server.connections == 2


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nok",
        b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK,
    ],
    ids=["chunked", "until the end of the connection", "after a hint"],
)
async def test_a_body_may_come_in_any_form_of_http(reply: bytes) -> None:
    async def other(stream: trio.SocketStream, _request: bytes) -> bool:
        await stream.send_all(reply)
        return False

    async with serving(other) as (_, client):
        assert (await client.send(client.make(b"GET", b"/"))).body == b"ok"


async def test_when_to_ask_again_is_passed_on() -> None:
    async def busy(stream: trio.SocketStream, _request: bytes) -> bool:
        await stream.send_all(b"HTTP/1.1 503 Busy\r\nRetry-After: 2\r\nContent-Length: 0\r\n\r\n")
        return True

    async with serving(busy) as (_, client):
        response = await client.send(client.make(b"GET", b"/"))
        assert (response.status, response.retry_after) == (503, b"2")


async def no_answer(_stream: trio.SocketStream, _request: bytes) -> bool:
    return False


async def nonsense(stream: trio.SocketStream, _request: bytes) -> bool:
    await stream.send_all(b"220 smtp.example.com\r\n\r\n")
    return False


async def half(stream: trio.SocketStream, _request: bytes) -> bool:
    await stream.send_all(OK[:-1])
    return False


async def too_much(stream: trio.SocketStream, _request: bytes) -> bool:
    await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n" + b"x" * 2_000_000)
    return False


async def too_slow(_stream: trio.SocketStream, _request: bytes) -> bool:
    await trio.sleep_forever()
    return False


@pytest.mark.parametrize(
    ("serve", "why"),
    [
        (no_answer, "the connection was closed"),
        (nonsense, "not HTTP"),
        (half, "not HTTP"),
        (too_much, "longer than 1 MiB"),
        (too_slow, "no answer within 0.2 s"),
    ],
)
async def test_what_is_no_answer_is_said_with_its_reason(serve: Serve, why: str) -> None:
    async with serving(serve, patience_s=0.2 if serve is too_slow else 5.0) as (server, client):
        with pytest.raises(Unanswered, match=why) as caught:
            await client.send(client.make(b"GET", b"/"))
        assert caught.value.sent_s <= caught.value.given_up_s
        assert server.connections == 1


async def test_a_server_that_is_not_there_is_said_to_refuse() -> None:
    async with open_client(
        parse_origin("http://127.0.0.1:1"), most_connections=1, patience_s=5, clock=trio.current_time
    ) as client:
        for _ in range(2):
            with pytest.raises(Unanswered, match="Connection refused"):
                await client.send(client.make(b"GET", b"/"))


@pytest.mark.parametrize("url", ["ftp://x", "http://", "x", "", "http://x?y", "http://é"])
def test_what_is_no_url_of_a_server_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="not a URL"):
        parse_origin(url)


def test_a_url_says_where_the_server_is() -> None:
    origin = parse_origin("https://user@example.com/rooms/")
    assert (origin.host, origin.port, origin.is_tls) == ("example.com", 443, True)
    assert (origin.authority, origin.prefix) == (b"example.com", b"/rooms")
    assert parse_origin("http://[::1]:8080").host == "::1"
