"""Whatever a client sends, and whenever it goes, is its own affair: the server and everyone else go on."""

import contextlib
import resource
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import ServerProcess, eventually, running_server_process, unread_by
from tests.support.server import running_server
from tests.support.site import BASE, Site

HOST = b"Host: wr\r\n"
WEBSOCKET = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
UPGRADE = b"GET /health HTTP/1.1\r\n" + HOST + WEBSOCKET + b"Sec-WebSocket-Version: 13\r\n\r\n"
HTTP2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
JOIN = f"POST {BASE}/queues/line/enqueue HTTP/1.1\r\n".encode() + HOST

RUDE = {
    "nothing": b"",
    "a request": b"GET /health HTTP/1.1\r\n" + HOST + b"\r\n",
    "no HTTP": b"GARBAGE\r\n\r\n",
    "TLS": bytes.fromhex("16030102000100"),
    "a head without end": b"GET /health HTTP/1.1\r\nA: " + b"x" * 100_000,
    "half a head": b"GET /health HTTP/1.1\r\nHo",
    "half a body": JOIN + b'Content-Length: 500\r\n\r\n{"priority"',
    "a body of odd chunks": JOIN + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n",
    "a body longer than allowed": JOIN + b"Content-Length: 100000000\r\n\r\n" + b" " * 200_000,
    "an upgrade to HTTP/2 with settings that are none": b"GET /health HTTP/1.1\r\n"
    + HOST
    + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: A\r\n\r\n",
    "two lengths": JOIN + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\n{}  ",
    "an upgrade to WebSocket and garbage": UPGRADE + b"\xff\xff\xff\xff",
    "an upgrade to WebSocket without a key": UPGRADE.replace(b"Sec-WebSocket-Key", b"X-Key") + b"\xff" * 9,
    "an upgrade to HTTP/2 and garbage": b"GET /health HTTP/1.1\r\n"
    + HOST
    + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: !!\r\n\r\n"
    + b"\xff" * 60,
    "HTTP/2 and garbage": HTTP2 + b"\xff" * 60,
    "HTTP/2 with a frame of no kind": HTTP2 + bytes(9) + b"\x00\x00\x04\xff\x00\x00\x00\x00\x01abcd",
    "many requests and no wish to read": (b"GET /health HTTP/1.1\r\n" + HOST + b"\r\n") * 200,
    "a request after one that is to be the last": (
        b"GET /health HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"
    )
    * 2,
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with running_server_process(tmp_path_factory.mktemp("rude"), http2="on") as running:
        with running.site() as site:
            site.make_queue(id="line", status="paused")
        yield running


@pytest.fixture
def site(server: ServerProcess) -> Iterator[Site]:
    with server.site() as visitor:
        yield visitor


def say(server: ServerProcess, data: bytes, *, reset: bool) -> socket.socket:
    """Send, and go away: politely, or with a reset."""
    client = socket.create_connection(server.address, timeout=10)
    if reset:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with contextlib.suppress(OSError):  # it may have closed already, which is its right
        client.sendall(data)
    return client


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("name", RUDE)
def test_no_client_can_end_the_server(server: ServerProcess, site: Site, name: str, reset: bool) -> None:
    for _ in range(5):
        say(server, RUDE[name], reset=reset).close()
    lingering = say(server, RUDE[name], reset=reset)
    with lingering:
        assert site.http.get("/health").status_code == 200
        waiting = site.join("line")
        assert waiting.status_code == 201, waiting.text
    assert server.process.poll() is None, server.log
    site.http.close()
    eventually(lambda: server.open_connections() == 0, "the connections of those who have gone are gone")


def test_who_ends_with_the_request_is_answered_and_not_kept(server: ServerProcess) -> None:
    for _ in range(50):
        with say(server, RUDE["a request"], reset=False) as client:
            client.shutdown(socket.SHUT_WR)
            assert client.makefile("rb").read().startswith(b"HTTP/1.1 200")
    eventually(lambda: server.open_connections() == 0, "no connection is kept for those who have gone")


def test_who_goes_away_in_the_middle_of_a_request_leaves_the_others_their_answers(
    server: ServerProcess, site: Site
) -> None:
    request = JOIN + b"Content-Length: 0\r\n\r\n"
    before = site.admin("GET", "/queues/line/stats").json()["total_enqueued_today"]
    for _ in range(50):
        say(server, request, reset=True).close()
        assert site.join("line").status_code == 201
    after = site.admin("GET", "/queues/line/stats").json()["total_enqueued_today"]
    assert after - before >= 50


LANES = pytest.mark.parametrize("fast_lane", ["on", "off"])


@LANES
def test_a_body_that_does_not_arrive_is_not_waited_for_for_ever(tmp_path: Path, fast_lane: str) -> None:
    with running_server(None, data_dir=str(tmp_path), body_timeout="0.2", fast_lane=fast_lane) as ready:
        host, _, port = ready.url.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port)), timeout=30) as client:
            client.sendall(RUDE["half a body"])
            answer = client.makefile("rb").read()
        assert answer.startswith(b"HTTP/1.1 408")
        assert b"INVALID_REQUEST" in answer
        assert b"connection: close" in answer.lower()


@LANES
def test_a_client_that_does_not_read_is_not_waited_for_for_ever(tmp_path: Path, fast_lane: str) -> None:
    settings = {"data_dir": str(tmp_path), "send_timeout": "0.2", "fast_lane": fast_lane}
    with running_server(None, **settings) as ready, socket.socket() as client:
        host, _, port = ready.url.removeprefix("http://").partition(":")
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect((host, int(port)))
        client.sendall(f"GET {BASE}/openapi.json HTTP/1.1\r\nHost: wr\r\n\r\n".encode() * 1000)
        eventually(lambda: unread_by(client) is None, "the server has let it go")


def test_a_server_takes_all_connections_it_may_and_when_it_may_no_more_newcomers_wait(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 256), hard))
    with contextlib.ExitStack() as places:
        places.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        crowded = places.enter_context(running_server_process(tmp_path))
        site = places.enter_context(crowded.site())
        assert resource.prlimit(crowded.process.pid, resource.RLIMIT_NOFILE) == (hard, hard)
        queue_id = site.make_queue(status="paused")
        token = site.join(queue_id).json()["token"]
        resource.prlimit(crowded.process.pid, resource.RLIMIT_NOFILE, (64, hard))
        with contextlib.ExitStack() as crowd:
            for _ in range(100):
                crowd.enter_context(say(crowded, b"", reset=False))
            eventually(lambda: "no room for another connection" in crowded.log, "it has no room")
            assert site.status(queue_id, token).json()["position"] == 1, "who is connected is served"
        site.http.close()
        newcomer = places.enter_context(crowded.site())
        assert newcomer.status(queue_id, token).json()["position"] == 1
        assert "Traceback" not in crowded.log


def test_the_log_of_a_server_with_rude_clients_holds_no_traceback(server: ServerProcess, site: Site) -> None:
    for data in RUDE.values():
        say(server, data, reset=True).close()
    eventually(lambda: site.http.get("/health").status_code == 200, "the server answers")
    assert "Traceback" not in server.log, server.log
