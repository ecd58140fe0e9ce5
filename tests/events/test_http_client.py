"""Posting: over connections that are kept, to addresses that may be called, with failures in clear words."""

import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import trio
import trio.testing

from tests.events.test_dns_cache import Clock, until
from tests.support.certificate import make_certificate
from tests.support.engines import free_port
from tests.support.webhook_receiver import receiving
from wr.events.dns_cache import Address, DnsCache
from wr.events.happy_eyeballs import NoConnection, connect, open_one
from wr.events.http_client import REST_S, HttpClient
from wr.events.requesting import RequestFailure
from wr.model.client_address import parse_networks

BODY = b'{"type": "queue.created", "data": {}}'


@asynccontextmanager
async def posting(
    *,
    forbidden: str = "",
    timeout_s: float = 5,
    dns_cache: DnsCache | None = None,
    clock_s: Callable[[], float] = trio.current_time,
    rest_s: float = REST_S,
) -> AsyncIterator[HttpClient]:
    """A poster that keeps its connections."""
    poster = HttpClient(
        parse_networks(forbidden), timeout_s=timeout_s, dns_cache=dns_cache, clock_s=clock_s, rest_s=rest_s
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(poster.keep)
        await trio.testing.wait_all_tasks_blocked()
        yield poster
        nursery.cancel_scope.cancel()


def leading_to(*hosts: str, clock_s: Callable[[], float] = trio.current_time) -> DnsCache:
    """Every name leads to these addresses, one after the other at each look-up."""
    left = list(hosts)

    def look_up(_host: str, port: int, **_how: Any) -> list[tuple[Any, ...]]:
        host = left.pop(0) if len(left) > 1 else left[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port))]

    return DnsCache(look_up, clock_s=clock_s)


@contextmanager
def answering(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """A URL where each connection is given to the function, one after the other, and then closed."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection, suppress(OSError):
                    answer(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


async def test_events_go_over_one_connection_one_after_the_other() -> None:
    with receiving() as receiver:
        async with posting() as poster:
            for _ in range(50):
                assert await poster(receiver.url, [], BODY) == 204
        assert (len(receiver.came), len(receiver.connections)) == (50, 1)


async def test_a_connection_that_the_receiver_closed_meanwhile_is_no_failure() -> None:
    with receiving() as receiver:
        async with posting() as poster:
            for number in range(1, 4):
                assert await poster(receiver.url, [], BODY) == 204
                assert len(receiver.connections) == number
                receiver.hang_up()
        assert len(receiver.came) == 3


async def test_one_new_try_is_all_that_a_closed_connection_brings() -> None:
    made: list[int] = []

    def hang_up(connection: socket.socket) -> None:
        connection.recv(65536)
        made.append(1)
        if len(made) == 1:
            connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
            connection.recv(65536)

    with answering(hang_up) as url:
        async with posting() as poster:
            assert await poster(url, [], BODY) == 204
            with pytest.raises(RequestFailure, match="the connection was closed without an answer"):
                await poster(url, [], BODY)
    assert len(made) == 2


async def test_a_connection_is_given_up_after_a_minute_though_it_works() -> None:
    clock = Clock()
    with receiving() as receiver:
        async with posting(clock_s=clock) as poster:
            for now_s, connections in ((0.0, 1), (59.9, 1), (60.0, 2), (119.0, 2)):
                clock.now_s = now_s
                await poster(receiver.url, [], BODY)
                assert len(receiver.connections) == connections


async def test_a_name_that_leads_to_a_forbidden_address_later_is_not_called_there() -> None:
    clock = Clock()
    dns_cache = leading_to("127.0.0.1", "127.0.0.2", clock_s=clock)
    with receiving() as receiver:
        url = receiver.url.replace("127.0.0.1", "hooks.example.com")
        async with posting(forbidden="127.0.0.2", dns_cache=dns_cache, clock_s=clock) as poster:
            for now_s in (0.0, 30.0):
                clock.now_s = now_s
                assert await poster(url, [], BODY) == 204
            clock.now_s = 61.0
            with pytest.raises(
                RequestFailure, match=r"hooks\.example\.com is at 127\.0\.0\.2, which must not"
            ):
                await poster(url, [], BODY)
        assert len(receiver.connections) == 1


async def test_a_connection_is_used_for_the_name_that_it_was_made_for_and_no_other() -> None:
    with receiving() as receiver:
        async with posting(dns_cache=leading_to("127.0.0.1")) as poster:
            for host in ("one.example", "other.example", "one.example"):
                await poster(receiver.url.replace("127.0.0.1", host), [], BODY)
        assert len(receiver.connections) == 2
        port = urlsplit(receiver.url).port
        assert [came.headers["Host"] for came in receiver.came] == [
            f"{host}.example:{port}" for host in ("one", "other", "one")
        ]


async def test_a_kept_connection_spares_setting_up_tls_for_every_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = make_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))

    async def cost_of(poster: HttpClient, url: str) -> float:
        await poster(url, [], BODY)
        # Of this thread alone: the receiver works in others.
        began_s = time.thread_time()
        for _ in range(100):
            assert await poster(url, [], BODY) == 204
        return time.thread_time() - began_s

    with receiving(certificate=certificate) as receiver:
        anew_s = await cost_of(HttpClient((), timeout_s=5), receiver.url)
        assert len(receiver.connections) == 101
        async with posting() as poster:
            kept_s = await cost_of(poster, receiver.url)
        assert len(receiver.connections) == 102
    # Four to five times as much, on the machine that this was written on.
    assert anew_s > 2 * kept_s


async def test_a_certificate_for_another_name_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = make_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    with receiving(certificate=certificate) as receiver:
        assert await HttpClient((), timeout_s=5)(receiver.url, [], BODY) == 204
        poster = HttpClient((), timeout_s=5, dns_cache=leading_to("127.0.0.1"))
        url = receiver.url.replace("127.0.0.1", "hooks.example.com")
        with pytest.raises(RequestFailure, match=r"Hostname mismatch.*hooks\.example\.com"):
            await poster(url, [], BODY)
    assert len(receiver.came) == 1


async def test_what_an_answer_says_beside_its_status_fails_nothing_and_is_read_up_to_a_bound() -> None:
    made: list[int] = []

    def answer(connection: socket.socket) -> None:
        connection.recv(65536)
        made.append(1)
        # More than is read, and then nothing for ever.
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n" + b"x" * 100_000)
        connection.recv(1)

    with answering(answer) as url:
        async with posting(timeout_s=0.5) as poster:
            assert await poster(url, [], BODY) == 200
            assert await poster(url, [], BODY) == 200
    assert len(made) == 2


async def test_nothing_is_left_open_once_posting_has_ended() -> None:
    with receiving() as receiver:
        async with posting() as poster:
            await poster(receiver.url, [], BODY)
        (connection,) = receiver.connections
        await until(lambda: connection.fileno() == -1)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"", "the connection was closed without an answer"),
        (b"HTTP/1.1 200", "the connection was closed without an answer"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "illegal status line"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 200_000, "the answer is too long"),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n" * 10_000, "the answer is too long"),
    ],
)
async def test_what_went_wrong_is_said_in_clear_words(answer: bytes, words: str) -> None:
    def reply(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(answer)

    with answering(reply) as url, pytest.raises(RequestFailure, match=words):
        await HttpClient((), timeout_s=5)(url, [], BODY)


async def test_a_refused_connection_is_called_that() -> None:
    with pytest.raises(RequestFailure, match=r"^Connection refused$"):
        await HttpClient((), timeout_s=5)(f"http://127.0.0.1:{free_port()}/", [], BODY)


@pytest.mark.parametrize("url", ["http://h:notaport/", "http://h:99999/", "ftp://h/", "http:///x"])
async def test_a_url_that_cannot_be_called_is_a_failure_and_no_fault(url: str) -> None:
    with pytest.raises(RequestFailure):
        await HttpClient((), timeout_s=5)(url, [], BODY)


@contextmanager
def silent(host: str) -> Iterator[int]:
    """A port that takes no connection and refuses none: its queue is full."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket(family))
        listener.bind((host, 0))
        listener.listen(0)
        for _ in range(8):
            filling = stack.enter_context(socket.socket(family))
            filling.setblocking(False)
            filling.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


async def test_an_address_that_is_silent_does_not_hide_another_that_answers() -> None:
    with silent("127.0.0.1") as port, socket.create_server(("127.0.0.1", 0)) as listener:
        places = [
            Address(socket.AF_INET, ("127.0.0.1", port)),
            Address(socket.AF_INET, listener.getsockname()),
        ]
        with trio.fail_after(3):
            stream = await connect(places)
        assert stream.socket.getpeername() == listener.getsockname()
        stream.socket.close()


async def test_many_silent_addresses_of_one_family_do_not_hide_the_other_family() -> None:
    with silent("::1") as port, socket.create_server(("127.0.0.1", 0)) as listener:
        # They differ in what IPv6 calls a flow, and are the same place.
        places = [Address(socket.AF_INET6, ("::1", port, flow, 0)) for flow in range(20)]
        with trio.fail_after(1):
            stream = await connect([*places, Address(socket.AF_INET, listener.getsockname())])
        stream.socket.close()


async def test_why_none_of_the_addresses_could_be_reached_is_said_once() -> None:
    places = [Address(socket.AF_INET, ("127.0.0.1", free_port())) for _ in range(3)]
    with pytest.raises(NoConnection, match=r"^Connection refused$"):
        await connect(places)


async def test_a_connection_that_is_won_when_it_is_not_wanted_any_more_is_closed() -> None:
    won: list[trio.SocketStream] = []

    async def open_too_late(address: Address) -> trio.SocketStream:
        won.append(await open_one(address))
        scope.cancel()
        return won[-1]

    with socket.create_server(("127.0.0.1", 0)) as listener:
        with trio.CancelScope() as scope:
            await connect([Address(socket.AF_INET, listener.getsockname())], open_too_late)
        assert scope.cancelled_caught
        assert [stream.socket.fileno() for stream in won] == [-1]


@pytest.mark.parametrize("is_at_once", [False, True])
async def test_what_a_receiver_says_unasked_is_no_answer_to_the_next_event(is_at_once: bool) -> None:
    made: list[int] = []
    may_part, has_parted = threading.Semaphore(0), threading.Semaphore(0)
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    parting = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

    def part(connection: socket.socket) -> None:
        connection.recv(65536)
        made.append(1)
        if is_at_once:
            connection.sendall(answer + parting)
        else:
            connection.sendall(answer)
            may_part.acquire(timeout=10)
            connection.sendall(parting)
        has_parted.release()
        connection.recv(1)

    with answering(part) as url:
        async with posting() as poster:
            for number in range(1, 4):
                assert await poster(url, [], BODY) == 200
                assert len(made) == number
                may_part.release()
                await until(lambda: has_parted.acquire(blocking=False))


async def test_no_event_follows_an_answer_that_came_with_a_part_of_another() -> None:
    made: list[int] = []
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

    def answer_and_more(connection: socket.socket) -> None:
        made.append(1)
        connection.recv(65536)
        connection.sendall(answer + answer[:20])
        if connection.recv(65536):
            connection.sendall(answer[20:])

    with answering(answer_and_more) as url:
        async with posting() as poster:
            for number in range(1, 4):
                assert await poster(url, [], BODY) == 200
                assert len(made) == number, "the rest of an answer was taken for the answer to this event"


@pytest.mark.parametrize("requests", [1, 2])
async def test_an_answer_counts_once_its_status_is_known_though_its_rest_never_comes(requests: int) -> None:
    made: list[int] = []

    def trickle(connection: socket.socket) -> None:
        connection.recv(65536)
        made.append(1)
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
        connection.recv(1)

    with answering(trickle) as url:
        # The answer waits for no rest, and the next request only for a while.
        async with posting(rest_s=3_600 if requests == 1 else REST_S) as poster:
            with trio.fail_after(10):
                for _ in range(requests):
                    assert await poster(url, [], BODY) == 200
    assert len(made) == requests


async def test_a_connection_is_used_again_though_the_rest_of_an_answer_comes_behind_its_head() -> None:
    made: list[int] = []

    def answer(connection: socket.socket) -> None:
        made.append(1)
        while connection.recv(65536):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
            connection.sendall(b"ok")

    with answering(answer) as url:
        async with posting(rest_s=30) as poster:
            for _ in range(10):
                assert await poster(url, [], BODY) == 200
    assert len(made) == 1


async def test_a_connection_that_the_receiver_is_about_to_close_is_not_kept() -> None:
    has_left = threading.Event()

    def answer(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n")
        with suppress(ConnectionResetError):
            connection.recv(1)
        has_left.set()

    with answering(answer) as url:
        async with posting() as poster:
            assert await poster(url, [], BODY) == 200
            await until(has_left.is_set)
