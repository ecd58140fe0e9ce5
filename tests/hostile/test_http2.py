"""HTTP/2 from hostile clients: it is spoken only where the operator wants it, and bounded where it is."""

import contextlib
import json
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from tests.support import plain_http
from tests.support.certificate import make_certificate
from tests.support.http2 import (
    ENHANCE_YOUR_CALM,
    INITIAL_WINDOW_SIZE,
    MAX_CONCURRENT_STREAMS,
    PREFACE,
    REFUSED_STREAM,
    Http2Client,
    http2,
    raw_frame,
)
from tests.support.processes import ServerProcess, eventually, running_server_process
from tests.support.server import running_server
from tests.support.site import BASE

LARGE = "/wr-assets/swagger-ui-bundle.js"
MIB = 2**20
SETTINGS_FRAME = SettingsFrame(0).serialize()
LANES = pytest.mark.parametrize("fast_lane", ["on", "off"])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server in the clear that speaks HTTP/2, in a process of its own."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("WR_HTTP2", "on")
        environment.setenv("WR_DEMO_QUEUE", "yes")
        with running_server_process(tmp_path_factory.mktemp("http2")) as running:
            yield running


@pytest.fixture
def client(server: ServerProcess) -> Iterator[Http2Client]:
    with http2(server.address) as client:
        yield client


@contextlib.contextmanager
def served(folder: Path, **settings: str) -> Iterator[tuple[str, int]]:
    """Run a server in this process; gives its address."""
    with running_server(None, data_dir=str(folder / "data"), grace="0.2", **settings) as ready:
        url = httpx.URL(ready.url)
        yield url.host, url.port or 0


def everything_from(client: socket.socket) -> bytes:
    """All that comes until the server closes, in whatever way."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while data := client.recv(65_536):
            received += data
    return received


def assert_refused(answer: bytes) -> None:
    """It is HTTP/1.1 and the API's own form."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 "), answer
    told = json.loads(body)
    assert told["error"]["code"] == "INVALID_REQUEST"
    assert f"x-request-id: {told['request_id']}" in head.decode().lower()


def assert_others_are_served(server: ServerProcess) -> None:
    began = time.monotonic()
    assert plain_http.get(f"{server.url}/health", timeout=5).status_code == 200
    assert time.monotonic() - began < 1
    assert server.process.poll() is None, server.log


# Where it is spoken.


@LANES
@pytest.mark.parametrize("setting", [{}, {"http2": "off"}, {"http2": "tls"}], ids=["default", "off", "tls"])
def test_prior_knowledge_in_the_clear_is_refused_unless_the_operator_wants_it(
    tmp_path: Path, fast_lane: str, setting: dict[str, str]
) -> None:
    with served(tmp_path, fast_lane=fast_lane, **setting) as address:
        for first in (len(PREFACE), 1, 5, 16):
            with socket.create_connection(address, timeout=20) as client:
                client.sendall(PREFACE[:first])
                with contextlib.suppress(OSError):
                    client.sendall(PREFACE[first:] + SETTINGS_FRAME)
                assert_refused(everything_from(client))


@LANES
def test_prior_knowledge_may_come_in_two_pieces(tmp_path: Path, fast_lane: str) -> None:
    with served(tmp_path, fast_lane=fast_lane, http2="on") as address:
        for cut in (1, 3, 5, 17, 23):
            with socket.create_connection(address, timeout=20) as plain:
                plain.sendall(PREFACE[:cut])
                time.sleep(0.02)  # The second piece is to come by itself.
                plain.sendall(PREFACE[cut:] + SETTINGS_FRAME)
                assert Http2Client(plain).ask(1, "/health")[0] == 200


@LANES
def test_http_1_is_spoken_beside_it(tmp_path: Path, fast_lane: str) -> None:
    with served(tmp_path, fast_lane=fast_lane, http2="on") as address:
        answer = plain_http.get(f"http://{address[0]}:{address[1]}/health")
        assert (answer.status_code, answer.http_version) == (200, "HTTP/1.1")


@pytest.mark.parametrize(
    ("setting", "agreed"),
    [({}, None), ({"http2": "off"}, None), ({"http2": "tls"}, "h2"), ({"http2": "on"}, "h2")],
    ids=["default", "off", "tls", "on"],
)
def test_over_tls_it_is_agreed_on_only_where_the_operator_wants_it(
    tmp_path: Path, setting: dict[str, str], agreed: str | None
) -> None:
    certificate, key = make_certificate(tmp_path)
    files = {"tls_certificate_file": str(certificate), "tls_key_file": str(key)}
    offers_both, offers_none = (ssl.create_default_context(cafile=str(certificate)) for _ in range(2))
    offers_both.set_alpn_protocols(["h2", "http/1.1"])
    with served(tmp_path, **files, **setting) as address:
        with http2(address, trust=offers_both) as client:
            assert isinstance(client.socket, ssl.SSLSocket)
            assert (client.socket.selected_alpn_protocol() == "h2") is (agreed == "h2")
            if agreed:
                assert client.ask(1, "/health")[0] == 200
            else:
                assert_refused(everything_from(client.socket))
        with http2(address, trust=offers_none) as client:
            if setting == {"http2": "on"}:
                assert client.ask(1, "/health")[0] == 200
            else:
                assert_refused(everything_from(client.socket))


@LANES
@pytest.mark.parametrize("setting", ["off", "on"])
@pytest.mark.parametrize(
    "lines",
    [
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA",
        "Connection: Upgrade\r\nUpgrade: h2c",
        "Upgrade: h2c",
        "Connection: upgrade\r\nUpgrade: H2C",
        "Connection: Upgrade\r\nUpgrade: websocket, h2c\r\nHTTP2-Settings: AAMAAABk",
        "Connection: Upgrade\r\nUpgrade: h2c, websocket",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c",
        "Connection: Upgrade\r\nUpgrade:\t h2c \t",
    ],
)
def test_an_upgrade_to_http_2_is_answered_as_if_it_were_not_there(
    upgrade_servers: dict[tuple[str, str], tuple[str, int]], fast_lane: str, setting: str, lines: str
) -> None:
    request = f"GET /health HTTP/1.1\r\nHost: wr\r\n{lines}\r\n\r\n".encode()
    with socket.create_connection(upgrade_servers[fast_lane, setting], timeout=20) as client:
        client.sendall(request)
        assert client.recv(65_536).startswith(b"HTTP/1.1 200 ")
        client.sendall(PREFACE + SETTINGS_FRAME)
        assert b"HTTP/1.1 400 " in everything_from(client)


@pytest.fixture(scope="module")
def upgrade_servers(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[tuple[str, str], tuple[str, int]]]:
    """A server for each lane and setting."""
    with contextlib.ExitStack() as servers:
        yield {
            (lane, setting): servers.enter_context(
                served(tmp_path_factory.mktemp("upgrade"), fast_lane=lane, http2=setting)
            )
            for lane in ("on", "off")
            for setting in ("off", "on")
        }


# A client that reads nothing.


def memory_bytes(server: ServerProcess) -> int:
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) * 1024


@pytest.mark.alone
def test_clients_that_read_nothing_make_the_server_hold_little(server: ServerProcess) -> None:
    # What is loaded with the first request over HTTP/2 is not counted.
    with http2(server.address) as client:
        assert client.ask(1, "/health")[0] == 200
    before = memory_bytes(server)
    with contextlib.ExitStack() as crowd:
        for _ in range(20):
            client = crowd.enter_context(http2(server.address, {INITIAL_WINDOW_SIZE: 0}))
            client.send(*(client.headers(1 + 2 * number, LARGE) for number in range(100)))
        for _ in range(10):
            assert_others_are_served(server)
            assert memory_bytes(server) - before < 100 * MIB
            time.sleep(0.2)  # Time in which it could grow.


def test_a_stream_whose_client_does_not_read_is_reset_and_the_others_go_on(tmp_path: Path) -> None:
    with (
        served(tmp_path, http2="on", send_timeout="0.3") as address,
        http2(address, {INITIAL_WINDOW_SIZE: 0}) as client,
    ):
        client.send(client.headers(1, LARGE))
        assert any(
            isinstance(frame, RstStreamFrame) and frame.stream_id == 1
            for frame in client.frames()
            if not isinstance(frame, DataFrame)
        )
        client.send(SettingsFrame(0, settings={INITIAL_WINDOW_SIZE: 65_535}))
        assert client.ask(3, "/health")[0] == 200


def test_a_client_that_takes_drops_of_an_answer_wins_no_time(tmp_path: Path) -> None:
    with (
        served(tmp_path, http2="on", send_timeout="0.5") as address,
        http2(address, {INITIAL_WINDOW_SIZE: 0}) as client,
    ):
        client.send(client.headers(1, LARGE))
        began = time.monotonic()
        for frame in client.frames():
            if isinstance(frame, RstStreamFrame):
                break
            client.send(WindowUpdateFrame(1, window_increment=10))
            time.sleep(0.05)
        assert not client.has_ended
        assert time.monotonic() - began < 10


def test_a_client_that_reads_gets_all_of_a_large_answer(server: ServerProcess) -> None:
    with plain_http.client(base_url=server.url, http1=False, http2=True) as http:
        answer = http.get(LARGE)
    assert answer.http_version == "HTTP/2"
    assert answer.content == plain_http.get(f"{server.url}{LARGE}").content


def test_requests_beyond_those_at_once_are_refused_for_the_client_to_try_again(client: Http2Client) -> None:
    client.send(SettingsFrame(0, settings={INITIAL_WINDOW_SIZE: 0}))
    client.send(*(client.headers(1 + 2 * number, LARGE) for number in range(60)))
    allowed, refused = [], set()
    for frame in client.frames():
        if isinstance(frame, SettingsFrame):
            allowed.append(frame.settings.get(MAX_CONCURRENT_STREAMS))
        if isinstance(frame, RstStreamFrame):
            assert frame.error_code == REFUSED_STREAM
            refused.add(frame.stream_id)
        if len(refused) == 28:
            break
    assert 32 in allowed
    assert min(refused) == 1 + 2 * 32
    client.send(SettingsFrame(0, settings={INITIAL_WINDOW_SIZE: 65_535}), RstStreamFrame(1))
    assert client.is_answered()


# A client that says nothing.


@LANES
@pytest.mark.parametrize("beginning", [PREFACE, PREFACE + SETTINGS_FRAME], ids=["preface", "settings"])
def test_a_client_that_only_begins_is_not_waited_for(
    tmp_path: Path, fast_lane: str, beginning: bytes
) -> None:
    settings = {"http2": "on", "head_timeout": "0.3", "idle_timeout": "0.3"}
    with (
        served(tmp_path, fast_lane=fast_lane, **settings) as address,
        socket.create_connection(address, timeout=20) as client,
    ):
        client.sendall(beginning)
        assert Http2Client(client).last_error(10) == 0


def test_a_connection_on_which_nothing_is_asked_any_more_is_ended(tmp_path: Path) -> None:
    settings = {"http2": "on", "idle_timeout": "0.3"}
    with served(tmp_path, **settings) as address:
        with http2(address) as answered:
            assert answered.ask(1, "/health")[0] == 200
            assert answered.last_error(10) == 0
        with http2(address, {INITIAL_WINDOW_SIZE: 0}) as reset:
            reset.send(reset.headers(1, LARGE))
            next(frame for frame in reset.frames() if isinstance(frame, HeadersFrame))
            reset.send(RstStreamFrame(1))
            assert reset.last_error(10) == 0


def test_pings_do_not_keep_a_connection(tmp_path: Path) -> None:
    settings = {"http2": "on", "head_timeout": "0.5"}
    with served(tmp_path, **settings) as address, http2(address) as client:
        began = time.monotonic()
        for frame in client.frames():
            if isinstance(frame, GoAwayFrame):
                break
            time.sleep(0.1)
            client.send(PingFrame(0, b"12345678"))
        assert time.monotonic() - began < 5


def test_a_head_that_never_ends_is_not_waited_for(tmp_path: Path) -> None:
    settings = {"http2": "on", "head_timeout": "0.3", "idle_timeout": "0.3"}
    with served(tmp_path, **settings) as address, http2(address) as client:
        client.send_bytes(raw_frame(HeadersFrame.type, 0, 1, b"\x82"))
        assert client.last_error(10) == 0


def test_a_body_that_does_not_come_is_answered_with_408(tmp_path: Path) -> None:
    with served(tmp_path, http2="on", body_timeout="0.2") as address, http2(address) as client:
        client.send(client.headers(1, f"{BASE}/queues/any/enqueue", method="POST", ends=False))
        status, headers, body = client.answer(1)
        told = json.loads(body)
        assert (status, told["error"]["code"]) == (408, "INVALID_REQUEST")
        assert headers["x-request-id"] == told["request_id"]
        assert client.ask(3, "/health")[0] == 200


def test_a_body_that_is_too_long_is_refused_and_not_kept(client: Http2Client) -> None:
    client.send(client.headers(1, f"{BASE}/queues/demo/enqueue", method="POST", ends=False))
    client.send(*(DataFrame(1, bytes(16_000)) for _ in range(4)))
    status, _, body = client.answer(1)
    assert (status, json.loads(body)["error"]["code"]) == (413, "INVALID_REQUEST")
    assert client.ask(3, "/health")[0] == 200


# Floods.

FLOODS = {
    "resets of requests": lambda client, number: (
        client.headers(1 + 2 * number, "/health").serialize() + RstStreamFrame(1 + 2 * number).serialize()
    ),
    "pings": lambda _client, _number: PingFrame(0, b"12345678").serialize(),
    "settings": lambda _client, _number: SETTINGS_FRAME,
    "settings that change something": lambda _client, number: SettingsFrame(
        0, settings={INITIAL_WINDOW_SIZE: number, SettingsFrame.HEADER_TABLE_SIZE: number}
    ).serialize(),
    "priorities": lambda _client, number: PriorityFrame(3 + 2 * number, depends_on=0).serialize(),
    "windows": lambda _client, _number: WindowUpdateFrame(0, window_increment=1).serialize(),
    "frames of no kind": lambda _client, _number: raw_frame(0xEE, 0, 0, b"?"),
}
FRAMES = 2_000


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_of_frames_that_ask_for_nothing_ends_the_connection(
    server: ServerProcess, client: Http2Client, name: str
) -> None:
    flood = [FLOODS[name](client, number) for number in range(FRAMES)]
    for start in range(0, FRAMES, 50):
        client.send_bytes(b"".join(flood[start : start + 50]))
    assert client.last_error(10) in (ENHANCE_YOUR_CALM, None)
    assert "too many control frames" in server.log
    assert_others_are_served(server)


@pytest.mark.parametrize("payload", [b"", b"a"], ids=["nothing", "a letter"])
def test_a_flood_of_data_that_brings_nothing_ends_the_connection(
    server: ServerProcess, client: Http2Client, payload: bytes
) -> None:
    client.send(client.headers(1, f"{BASE}/queues/demo/enqueue", method="POST", ends=False))
    client.send_bytes(DataFrame(1, payload).serialize() * FRAMES)
    assert client.last_error(10) in (ENHANCE_YOUR_CALM, None)
    assert_others_are_served(server)


def test_a_flood_of_data_for_a_request_that_is_answered_ends_the_connection(
    server: ServerProcess, client: Http2Client
) -> None:
    assert client.ask(1, "/health")[0] == 200
    for _ in range(20):
        client.send_bytes(DataFrame(1, bytes(100)).serialize() * 100)
    assert client.last_error(10) is not None
    assert_others_are_served(server)


@pytest.mark.alone
@pytest.mark.parametrize("size", [0, 16_000], ids=["empty", "full"])
def test_a_flood_of_continued_heads_ends_the_connection(
    server: ServerProcess, client: Http2Client, size: int
) -> None:
    client.send(client.headers(1, "/health"), PingFrame(0, b"12345678"))
    client.send_bytes(raw_frame(HeadersFrame.type, 0x1, 3, b"\x82"))
    client.send_bytes(ContinuationFrame(3, bytes(size)).serialize() * FRAMES)
    client.last_error(10)
    assert_others_are_served(server)
    assert memory_bytes(server) < 200 * MIB


def test_a_head_that_unpacks_to_too_much_ends_the_connection(
    server: ServerProcess, client: Http2Client
) -> None:
    client.headers(1, "/health", ("x-long", "a" * 3_000))  # It is in the table from now on.
    client.send(client.headers(1, "/health", ("x-long", "b" * 3_000)))
    client.send(client.headers(3, "/health", *[("x-long", "b" * 3_000)] * 500))
    assert client.last_error(10) is not None
    assert_others_are_served(server)


@pytest.mark.alone
def test_a_client_that_offers_room_for_compression_does_not_have_it_taken(server: ServerProcess) -> None:
    with http2(server.address, {SettingsFrame.HEADER_TABLE_SIZE: 2**31}) as client:
        client.send(WindowUpdateFrame(0, window_increment=2**30))
        before = memory_bytes(server)
        for number in range(2_000):
            assert client.ask(1 + 2 * number, "/health", ("x-request-id", f"{number:060d}"))[0] == 200
        assert memory_bytes(server) - before < 20 * MIB


def test_honest_clients_that_ask_for_much_are_not_taken_for_a_flood(server: ServerProcess) -> None:
    with plain_http.client(base_url=server.url, http1=False, http2=True) as http:
        for number in range(500):
            assert http.post(f"{BASE}/queues/demo/enqueue", json={"user_id": str(number)}).status_code < 500
        for _ in range(20):
            assert http.get(LARGE).status_code == 200


# What else is promised.


def test_the_last_request_on_a_connection_is_answered_and_the_client_told(tmp_path: Path) -> None:
    settings = {"http2": "on", "requests_per_connection": "3"}
    with served(tmp_path, **settings) as address, http2(address) as client:
        for stream_id in (1, 3):
            assert client.ask(stream_id, "/health")[0] == 200
        client.send(client.headers(5, "/health"))
        frames = list(client.frames(10))
        ended = [frame.stream_id for frame in frames if "END_STREAM" in frame.flags]
        assert ended == [5]
        assert [frame.last_stream_id for frame in frames if isinstance(frame, GoAwayFrame)] == [5, 5]


def test_a_server_that_stops_finishes_what_is_asked_and_says_goodbye(tmp_path: Path) -> None:
    with running_server_process(tmp_path, http2="on", grace="5") as server, http2(server.address) as client:
        assert client.ask(1, "/health")[0] == 200
        server.send(15)
        first = next(frame for frame in client.frames() if isinstance(frame, GoAwayFrame))
        assert (first.last_stream_id, first.error_code) == (2**31 - 1, 0)
        assert client.ask(3, "/health")[0] in (200, 503)
        assert client.last_error(10) == 0
        assert server.ended() == 0


def test_a_live_stream_comes_over_it_and_ends_with_its_client(server: ServerProcess) -> None:
    with server.site() as site, http2(server.address) as client:
        site.make_queue(id="live", status="paused")
        token = site.join("live").json()["token"]
        client.send(client.headers(1, f"{BASE}/queues/live/events", ("authorization", f"Bearer {token}")))
        data = next(frame.data for frame in client.frames() if isinstance(frame, DataFrame))
        assert b"position_update" in data
        streams = 'wr_live_streams{kind="events"}'
        assert f"{streams} 1" in site.http.get("/metrics").text
        client.send(RstStreamFrame(1))
        eventually(lambda: f"{streams} 0" in site.http.get("/metrics").text, "the stream has ended")
        assert client.ask(3, "/health")[0] == 200


@pytest.mark.parametrize("path", ["/he\x7falth", "/caf\xe9", "/a b"])
def test_a_target_that_http_1_could_not_bring_is_refused_in_the_apis_form(
    client: Http2Client, path: str
) -> None:
    status, headers, body = client.ask(1, path)
    told = json.loads(body)
    assert (status, told["error"]["code"]) == (400, "INVALID_REQUEST")
    assert headers["x-request-id"] == told["request_id"]


def test_cookies_in_fields_of_their_own_are_one_header(client: Http2Client, server: ServerProcess) -> None:
    with server.site() as site:
        site.make_queue(id="cookies", status="paused")
        joined = site.http.post(f"{BASE}/queues/cookies/enqueue", headers={"X-WR-Token": "cookie"})
        (name, value), *_ = joined.cookies.items()
    crumbs = [("cookie", "a=b"), ("cookie", f"{name}={value}"), ("cookie", "c=d"), ("x-wr-token", "cookie")]
    status, _, body = client.ask(1, f"{BASE}/queues/cookies/status", *crumbs)
    assert (status, json.loads(body).get("position")) == (200, 1), body
