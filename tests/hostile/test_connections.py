"""One connection can end nothing but itself, and one address can hold no more than its share."""

import contextlib
import json
import select
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.processes import ServerProcess, eventually, running_server_process
from tests.support.site import Site
from tests.support.websocket_bytes import (
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    events_head,
    everything_from,
    frame,
    opened,
    websocket_head,
)

LANES = pytest.mark.parametrize("fast_lane", ["on", "off"])
HEALTH = b"GET /health HTTP/1.1\r\nHost: wr\r\n\r\n"
SMALL_BUFFER = 4096
SERVED_WITHIN_S = 1.0
FLOOD_S = 3.0
MOST_SURPLUS_PER_ADDRESS = 8


@pytest.fixture(params=["on", "off"])
def server(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    """A server of either lane."""
    with running_server_process(tmp_path, fast_lane=request.param) as running:
        yield running


@contextmanager
def place_in_line(server: ServerProcess) -> Iterator[tuple[Site, str, str]]:
    """Join a line that does not move; returns the site, the queue and the token."""
    with server.site() as site:
        queue_id = site.make_queue(status="paused", heartbeat_timeout_seconds=600)
        yield site, queue_id, str(site.join(queue_id).json()["token"])


def flood(client: socket.socket, data: bytes, seconds: float = FLOOD_S) -> None:
    """Send bytes again and again and read nothing, until the server ends that or the time is over."""
    client.setblocking(False)
    until = time.monotonic() + seconds
    with contextlib.suppress(ConnectionError):
        while time.monotonic() < until:
            if select.select([], [client], [], 0.1)[1]:
                client.send(data)


@contextmanager
def meanwhile(work: Callable[[], None]) -> Iterator[threading.Thread]:
    """Have something done by another thread while the block runs."""
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield thread
    finally:
        thread.join()


def assert_others_are_served(server: ServerProcess, site: Site, queue_id: str) -> None:
    began = time.monotonic()
    assert site.join(queue_id).status_code == 201
    assert time.monotonic() - began < SERVED_WITHIN_S
    assert server.process.poll() is None, server.log
    assert "Traceback" not in server.log


def test_a_client_that_sends_pings_and_reads_nothing_ends_its_own_connection_only(
    server: ServerProcess,
) -> None:
    with (
        place_in_line(server) as (site, queue_id, token),
        opened(server, websocket_head(queue_id, token), receive_buffer=SMALL_BUFFER) as client,
    ):
        pings = frame(PING, b"x" * 125) * 100
        with meanwhile(lambda: flood(client, pings)) as flooding:
            while flooding.is_alive():
                assert_others_are_served(server, site, queue_id)
                time.sleep(0.05)
        assert_others_are_served(server, site, queue_id)


FLOODS = {
    "pings": frame(PING, b"x") * 1000,
    "pongs": frame(PONG) * 1000,
    "parts of a message": frame(TEXT, is_final=False) + frame(CONTINUATION, is_final=False) * 1000,
}


@pytest.mark.parametrize("name", FLOODS)
def test_a_client_that_floods_a_websocket_with_small_frames_is_closed_with_1008(
    server: ServerProcess, name: str
) -> None:
    with (
        place_in_line(server) as (site, queue_id, token),
        opened(server, websocket_head(queue_id, token)) as client,
    ):
        client.sendall(FLOODS[name])
        assert everything_from(client).endswith(b"\x88\x11\x03\xf0too many frames")
        assert_others_are_served(server, site, queue_id)


def test_a_client_that_sends_without_end_into_server_sent_events_is_let_go(server: ServerProcess) -> None:
    with (
        place_in_line(server) as (site, queue_id, token),
        opened(server, events_head(queue_id, token)) as client,
    ):
        with meanwhile(lambda: flood(client, b"x" * 100_000)):
            assert_others_are_served(server, site, queue_id)
        client.settimeout(5)
        everything_from(client)


@LANES
def test_a_server_with_thousands_of_connections_stops_without_an_error(
    tmp_path: Path, fast_lane: str
) -> None:
    with (
        running_server_process(tmp_path, fast_lane=fast_lane, grace="1") as server,
        place_in_line(server) as (_, queue_id, token),
        contextlib.ExitStack() as crowd,
    ):
        heads = (b"", HEALTH, HEALTH[:20], websocket_head(queue_id, token), events_head(queue_id, token))
        for number in range(2000):
            client = crowd.enter_context(socket.create_connection(server.address, timeout=20))
            client.sendall(heads[number % len(heads)] if number < 200 else HEALTH)
        eventually(lambda: server.open_connections() >= 1900, "they are accepted")
        server.send(signal.SIGTERM)
        assert server.ended() == 0
        assert "Traceback" not in server.log
        assert "[error" not in server.log


def request_from(server: ServerProcess, address: str, data: bytes = HEALTH) -> socket.socket:
    """Connect from an address of this machine and send a request."""
    client = socket.create_connection(server.address, timeout=20, source_address=(address, 0))
    with contextlib.suppress(ConnectionError):  # The server may have closed already.
        client.sendall(data)
    return client


def answer_to(client: socket.socket) -> tuple[int, bytes, bytes]:
    """Read one answer, of a stream its head: status, head and body; 0 if the connection ended without one."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while b"\r\n\r\n" not in received and (data := client.recv(65_536)):
            received += data
        head, _, body = received.partition(b"\r\n\r\n")
        _, _, length = head.lower().partition(b"\r\ncontent-length: ")
        while len(body) < int(length.split(b"\r")[0] or b"0"):
            body += client.recv(65_536)
        return int(head[9:12] or b"0"), head.lower(), body
    return 0, b"", b""


def status_of(client: socket.socket) -> int:
    """Read one answer, and return its status."""
    return answer_to(client)[0]


SHARE = 5
PROXY, GREEDY, OTHER = "127.0.0.9", "127.0.0.1", "127.0.0.2"
SHARED = {"trusted_proxies": PROXY, "connections_per_address": str(SHARE)}


@LANES
def test_an_address_that_has_its_share_of_connections_is_told_so_and_others_are_served(
    tmp_path: Path, fast_lane: str
) -> None:
    with (
        running_server_process(tmp_path, fast_lane=fast_lane, **SHARED) as server,
        contextlib.ExitStack() as crowd,
    ):
        held = [crowd.enter_context(request_from(server, GREEDY)) for _ in range(SHARE)]
        assert [status_of(client) for client in held] == [200] * SHARE
        with request_from(server, GREEDY) as surplus:
            status, head, body = answer_to(surplus)
            assert status == 503
            assert b"\r\nretry-after: " in head
            assert json.loads(body)["error"]["code"] == "SERVICE_UNAVAILABLE"
        held[0].sendall(HEALTH)
        assert status_of(held[0]) == 200, "what the address holds already is served as before"
        for _ in range(SHARE):
            assert status_of(crowd.enter_context(request_from(server, OTHER))) == 200
        for _ in range(3 * SHARE):
            assert status_of(crowd.enter_context(request_from(server, PROXY))) == 200
        # What was held is counted exactly, whatever became of it: no connection is counted for ever.
        for _ in range(3):
            while held:
                held.pop().close()

            def has_room() -> bool:
                with request_from(server, GREEDY) as client:
                    return status_of(client) == 200

            eventually(has_room, "the address is served again")
            eventually(lambda: server.open_connections() == 4 * SHARE, "only the others are open")
            held = [crowd.enter_context(request_from(server, GREEDY)) for _ in range(SHARE)]
            assert [status_of(client) for client in held] == [200] * SHARE


@LANES
def test_of_connections_beyond_the_share_few_are_told_so_and_the_others_are_closed_at_once(
    tmp_path: Path, fast_lane: str
) -> None:
    with (
        running_server_process(tmp_path, fast_lane=fast_lane, **SHARED) as server,
        contextlib.ExitStack() as crowd,
    ):
        held = [crowd.enter_context(request_from(server, GREEDY)) for _ in range(SHARE)]
        assert [status_of(client) for client in held] == [200] * SHARE
        began = time.monotonic()
        silent = [crowd.enter_context(request_from(server, GREEDY, b"")) for _ in range(100)]
        assert status_of(crowd.enter_context(request_from(server, OTHER))) == 200
        assert server.open_connections() <= SHARE + MOST_SURPLUS_PER_ADDRESS + 1
        # A byte now and then wins such a connection no time.
        while any(_is_open(client) for client in silent):
            for client in silent:
                with contextlib.suppress(OSError):
                    client.send(b"G")
            assert time.monotonic() - began < 10
            time.sleep(0.1)


def _is_open(client: socket.socket) -> bool:
    with contextlib.suppress(OSError):
        return not select.select([client], [], [], 0)[0] or bool(client.recv(1, socket.MSG_PEEK))
    return False


ODD = {
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9),
    "HTTP/1.0": b"GET /health HTTP/1.0\r\n\r\n",
    "chunks": b"POST /health HTTP/1.1\r\nHost: wr\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("name", ODD)
def test_a_connection_beyond_the_share_is_not_served_by_the_general_lane_either(
    tmp_path: Path, name: str
) -> None:
    with running_server_process(tmp_path, **SHARED) as server, contextlib.ExitStack() as crowd:
        held = [crowd.enter_context(request_from(server, GREEDY)) for _ in range(SHARE)]
        assert [status_of(client) for client in held] == [200] * SHARE
        with request_from(server, GREEDY, ODD[name]) as surplus:
            assert everything_from(surplus).startswith(b"HTTP/1.1 503")


HEADS = pytest.mark.parametrize("head", [websocket_head, events_head], ids=["WebSocket", "events"])


@LANES
@HEADS
def test_a_client_behind_a_proxy_that_has_its_share_of_streams_is_refused_another_with_429(
    tmp_path: Path, fast_lane: str, head: Callable[[str, str, str], bytes]
) -> None:
    settings = {"fast_lane": fast_lane, "connections_per_address": str(SHARE)}
    with (
        running_server_process(tmp_path, **settings) as server,
        place_in_line(server) as (_, queue_id, token),
        contextlib.ExitStack() as crowd,
    ):

        def stream(address: str) -> socket.socket:
            return crowd.enter_context(opened(server, head(queue_id, token, address)))

        # Two addresses of one /64 are one client.
        held = [stream(f"2001:db8::{number}") for number in range(SHARE)]
        opens = (101, 200)
        assert all(status_of(client) in opens for client in held)
        status, answer, body = answer_to(stream("2001:db8::ffff"))
        assert status == 429
        assert b"\r\nretry-after: " in answer
        assert json.loads(body)["error"]["code"] == "RATE_LIMITED"
        assert status_of(stream("2001:db8:0:1::1")) in opens, "another client is served"
        for _ in range(3):
            while held:
                held.pop().close()

            def has_room() -> bool:
                client = stream("2001:db8::1")
                if status_of(client) in opens:
                    held.append(client)
                return len(held) == SHARE

            eventually(has_room, "the client has its whole share again")
            assert status_of(stream("2001:db8::1")) == 429


@LANES
def test_a_client_that_asks_for_much_and_reads_nothing_is_cut_off_in_time(
    tmp_path: Path, fast_lane: str
) -> None:
    settings = {"fast_lane": fast_lane, "send_timeout": "0.5", "idle_timeout": "60"}
    with running_server_process(tmp_path, **settings) as server, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
        client.connect(server.address)
        client.settimeout(20)
        client.sendall(b"GET /api/v1/openapi.json HTTP/1.1\r\nHost: wr\r\n\r\n" * 100)
        eventually(lambda: server.open_connections() == 1, "it is accepted")
        eventually(lambda: server.open_connections() == 0, "it is cut off")
        assert "Traceback" not in server.log
