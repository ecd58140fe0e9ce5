"""Slow and greedy clients: each has so much time and room, is told when it was too much, and harms nobody."""

import contextlib
import json
import select
import selectors
import socket
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support import plain_http
from tests.support.processes import ServerProcess, eventually, running_server_process
from tests.support.server import running_server

LANES = pytest.mark.parametrize("fast_lane", ["on", "off"])
HEALTH = b"GET /health HTTP/1.1\r\nHost: wr\r\n\r\n"
SHORT, LONG = "0.2", "60"
PATIENT = {"head_timeout": LONG, "body_timeout": LONG, "idle_timeout": LONG}
MOST_SURPLUS = 256


@contextmanager
def address_of(folder: Path, **settings: str) -> Iterator[tuple[str, int]]:
    """Where a server with these settings serves."""
    with running_server(None, data_dir=str(folder), grace=SHORT, **settings) as ready:
        host, _, port = ready.url.removeprefix("http://").partition(":")
        yield host, int(port)


def connect(address: tuple[str, int], data: bytes = b"") -> socket.socket:
    client = socket.create_connection(address, timeout=30)
    client.sendall(data)
    return client


def everything_from(client: socket.socket) -> bytes:
    """All that comes until the server closes."""
    with client.makefile("rb") as answers:
        return answers.read()


def one_answer(client: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """Read one answer."""
    with client.makefile("rb", buffering=0) as answers:
        status = int(answers.readline().split(b" ")[1])
        headers = {}
        while line := answers.readline().strip():
            name, _, value = line.decode().partition(": ")
            headers[name.lower()] = value
        length, body = int(headers["content-length"]), b""
        while len(body) < length:
            body += answers.read(length - len(body)) or b""
    return status, headers, body


def assert_told_and_closed(answer: bytes) -> None:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408"), answer
    assert b"connection: close" in head.lower()
    assert json.loads(body)["error"]["code"] == "INVALID_REQUEST"


@LANES
@pytest.mark.parametrize("head", [HEALTH[:-2], b"G", HEALTH + HEALTH[:9]], ids=["first", "letter", "second"])
def test_a_head_that_does_not_arrive_is_answered_with_408(
    tmp_path: Path, fast_lane: str, head: bytes
) -> None:
    settings = {**PATIENT, "head_timeout": SHORT}
    with address_of(tmp_path, fast_lane=fast_lane, **settings) as address, connect(address, head) as client:
        if head.startswith(HEALTH):
            assert one_answer(client)[0] == 200
        assert_told_and_closed(everything_from(client))


@LANES
def test_drops_of_a_head_do_not_win_time(tmp_path: Path, fast_lane: str) -> None:
    settings = {**PATIENT, "head_timeout": "0.5"}
    with address_of(tmp_path, fast_lane=fast_lane, **settings) as address, connect(address) as client:
        client.setblocking(False)
        began = time.monotonic()
        answer = b""
        with contextlib.suppress(OSError):
            for _ in range(1000):
                client.send(b"G")
                with contextlib.suppress(BlockingIOError):
                    answer = client.recv(4096)
                    break
                select.select([client], [], [], 0.02)
            client.setblocking(True)
            # It may come in pieces.
            answer += everything_from(client)
        assert_told_and_closed(answer)
        assert time.monotonic() - began < 15


@LANES
def test_a_body_that_does_not_arrive_is_answered_with_408(tmp_path: Path, fast_lane: str) -> None:
    join = b"POST /api/v1/queues/any/enqueue HTTP/1.1\r\nHost: wr\r\nContent-Length: 50\r\n\r\n{"
    settings = {**PATIENT, "body_timeout": SHORT}
    with address_of(tmp_path, fast_lane=fast_lane, **settings) as address, connect(address, join) as client:
        assert_told_and_closed(everything_from(client))


@LANES
def test_a_connection_that_was_used_may_rest_for_so_long_and_no_longer(
    tmp_path: Path, fast_lane: str
) -> None:
    settings = {**PATIENT, "idle_timeout": "0.5"}
    with address_of(tmp_path, fast_lane=fast_lane, **settings) as address, connect(address, HEALTH) as client:
        assert one_answer(client)[0] == 200
        assert everything_from(client) == b""


@pytest.mark.parametrize(("fast_lane", "patience"), [("on", "head_timeout"), ("off", "idle_timeout")])
def test_a_connection_that_says_nothing_is_closed_without_a_word(
    tmp_path: Path, fast_lane: str, patience: str
) -> None:
    settings = {**PATIENT, patience: SHORT}
    with address_of(tmp_path, fast_lane=fast_lane, **settings) as address, connect(address) as client:
        assert everything_from(client) == b""


@LANES
def test_the_last_request_that_a_connection_may_bring_is_answered_as_such(
    tmp_path: Path, fast_lane: str
) -> None:
    settings = {**PATIENT, "requests_per_connection": "3"}
    with address_of(tmp_path, fast_lane=fast_lane, **settings) as address, connect(address) as client:
        told = []
        for _ in range(3):
            client.sendall(HEALTH)
            status, headers, _ = one_answer(client)
            told.append((status, headers.get("connection")))
        assert told == [(200, None), (200, None), (200, "close")]
        assert everything_from(client) == b""


@LANES
def test_a_connection_too_many_is_told_to_come_back_and_served_when_another_has_gone(
    tmp_path: Path, fast_lane: str
) -> None:
    with address_of(tmp_path, fast_lane=fast_lane, max_connections="2", **PATIENT) as address:
        places = [connect(address, HEALTH) for _ in range(2)]
        assert [one_answer(place)[0] for place in places] == [200, 200]
        for _ in range(3):
            with connect(address, HEALTH) as surplus:
                status, headers, body = one_answer(surplus)
                assert (status, headers["connection"]) == (503, "close")
                assert int(headers["retry-after"]) > 0
                assert json.loads(body)["error"]["code"] == "SERVICE_UNAVAILABLE"
                assert everything_from(surplus) == b""
        places[1].sendall(HEALTH)
        assert one_answer(places[1])[0] == 200, "those who are served are not disturbed"
        places[0].close()

        def is_served() -> bool:
            with connect(address, HEALTH) as newcomer:
                return one_answer(newcomer)[0] == 200

        assert eventually(is_served, "there is room again")
        places[1].close()


@LANES
def test_when_there_are_too_many_even_to_be_told_they_wait_to_be_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fast_lane: str
) -> None:
    monkeypatch.setenv("WR_FAST_LANE", fast_lane)
    settings = {**PATIENT, "max_connections": "1"}
    with running_server_process(tmp_path, **settings) as server, contextlib.ExitStack() as crowd:
        place = crowd.enter_context(connect(server.address, HEALTH))
        assert one_answer(place)[0] == 200
        # Nobody of them asks for anything, so that nobody can be told; after two seconds each is let go, and
        # another takes its place.
        surplus = [crowd.enter_context(connect(server.address)) for _ in range(5 * MOST_SURPLUS)]
        eventually(lambda: server.open_connections() == 1 + MOST_SURPLUS, "as many are accepted as may be")
        for client in surplus:
            client.close()
        place.sendall(HEALTH)
        assert one_answer(place)[0] == 200, "who has a place is served meanwhile"
        place.close()

        def is_served() -> bool:
            with connect(server.address, HEALTH) as newcomer:
                return one_answer(newcomer)[0] == 200

        assert eventually(is_served, "the next is served")


def median_latency_s(server: ServerProcess, requests: int = 300) -> float:
    with plain_http.client(base_url=server.url) as http:
        latencies = []
        for _ in range(requests):
            began = time.perf_counter()
            assert http.get("/health").status_code == 200
            latencies.append(time.perf_counter() - began)
    return statistics.median(latencies)


@contextmanager
def slow_crowd(server: ServerProcess, number: int) -> Iterator[list[socket.socket]]:
    """Have clients send one byte a second each, of a head without end, for as long as the block lasts."""
    crowd = [connect(server.address, b"GET /health?") for _ in range(number)]
    is_over = threading.Event()

    def drip() -> None:
        while not is_over.is_set():
            for client in crowd:
                client.send(b"a")
                if is_over.wait(1 / number):
                    return

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        yield crowd
    finally:
        is_over.set()
        thread.join()
        for client in crowd:
            client.close()


@pytest.mark.alone
@LANES
def test_a_thousand_clients_that_send_a_byte_a_second_do_not_slow_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fast_lane: str
) -> None:
    monkeypatch.setenv("WR_FAST_LANE", fast_lane)
    with running_server_process(tmp_path, **PATIENT) as server:
        median_latency_s(server, 50)
        alone = median_latency_s(server)
        with slow_crowd(server, 1000) as crowd, selectors.DefaultSelector() as selector:
            eventually(lambda: server.open_connections() >= len(crowd), "the crowd is there")
            among_them = median_latency_s(server)
            for client in crowd:
                selector.register(client, selectors.EVENT_READ)
            assert selector.select(0) == [], "nobody of the crowd was answered or sent away"
        assert among_them < 5 * alone, (among_them, alone)
