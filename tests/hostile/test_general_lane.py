"""HTTP/1.1 from hostile clients: what two servers could read differently is refused in the API's form."""

import contextlib
import json
import socket
from collections.abc import Iterator

import httpx
import pytest

from tests.support.byte_streams import FORM, HEALTH, HOST, KEY, chunked, get, post
from tests.support.server import running_server

LANES = ("on", "off")

REFUSED = {
    **{
        f"the version {version!r}": get(version=version)
        for version in (
            b"HTTP/1.2",
            b"HTTP/1.9",
            b"HTTP/0.9",
            b"HTTP/2.0",
            b"HTTP/3.0",
            b"HTTP/1",
            b"http/1.1",
        )
    },
    "bare line feeds": HEALTH.replace(b"\r\n", b"\n"),
    "a bare line feed behind the first line": HEALTH.replace(b"\r\n", b"\n", 1),
    "a bare line feed behind a header": get(b"/health", b"X-A: a\nX-B: b"),
    "a bare line feed at the end of the head": HEALTH[:-2] + b"\n",
    "a bare return in the first line": get(b"/health\r"),
    "a bare return in a value": get(b"/health", b"X-A: a\rb"),
    "two returns": get(b"/health", b"X-A: a\r"),
    "a folded header": get(b"/health", b"X-A: a\r\n b"),
    "a header folded with a tab": get(b"/health", b"X-A: a\r\n\tb"),
    "a header folded into nothing": get(b"/health", b"X-A: a\r\n "),
    "a length, folded": post(FORM).replace(b": 17", b":\r\n 17"),
    "a space before a colon": get(b"/health", b"X-A : a"),
    "a tab before a colon": get(b"/health", b"X-A\t: a"),
    "a space before a header": get(b"/health", b" X-A: a"),
    **{
        f"the byte {byte:#04x} in a value": get(b"/health", b"X-A: a%cb" % byte)
        for byte in (0x00, 0x01, 0x08, 0x0B, 0x0C, 0x1B, 0x1F, 0x7F)
    },
    "a control byte at the end of a value": get(b"/health", b"X-A: a\x0c"),
    "a control byte in a name": get(b"/health", b"X\x01A: a"),
    "a header without a colon": get(b"/health", b"X-A"),
    "no name": get(b"/health", b": a"),
    "two lengths": post(FORM, b"Content-Length: 5"),
    "no host": b"GET /health HTTP/1.1\r\n\r\n",
    "garbage": b"GARBAGE\r\n\r\n",
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a bare line feed behind the chunks": chunked(FORM, end=b"0\r\n\n"),
    "a bare line feed in what follows the chunks": chunked(FORM, end=b"0\r\nX-A: b\n\r\n"),
    "a folded header behind the chunks": chunked(FORM, end=b"0\r\nX-A: b\r\n c\r\n\r\n"),
    "a control byte behind the chunks": chunked(FORM, end=b"0\r\nX-A: b\x01\r\n\r\n"),
    "a size that is none": chunked(end=b"ZZ\r\n\r\n"),
    "a WebSocket without a key": get(
        b"/ws/queues/demo", b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13"
    ),
    "a WebSocket and a frame before the answer": get(
        b"/ws/nothing", b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13, 8"
    )[:-2]
    + KEY
    + b"\r\n\x81\x00",
}
"""What is answered with 400."""


@pytest.fixture(scope="module", params=LANES)
def address(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, int]]:
    """A server with the fast lane, and one without."""
    settings = {"fast_lane": request.param, "head_timeout": "1", "limit_enqueue": "0", "demo_queue": "yes"}
    folder = str(tmp_path_factory.mktemp("strict"))
    with running_server(None, data_dir=folder, grace="0.2", **settings) as ready:
        url = httpx.URL(ready.url)
        yield url.host, url.port or 0


def say(address: tuple[str, int], data: bytes) -> bytes:
    """Send, and read until the server closes."""
    received = b""
    with socket.create_connection(address, timeout=20) as client, contextlib.suppress(ConnectionResetError):
        client.sendall(data)
        while more := client.recv(65_536):
            received += more
    return received


def assert_refused(answer: bytes, status: int) -> None:
    """It is one answer, in the API's form, and the connection's last."""
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode().lower().split("\r\n")
    assert lines[0].startswith(f"http/1.1 {status} "), answer
    told = json.loads(body)
    assert told["error"]["code"] == "INVALID_REQUEST"
    assert told["error"]["message"]
    for line in (
        f"x-request-id: {told['request_id']}",
        "content-type: application/json",
        f"content-length: {len(body)}",
        "connection: close",
    ):
        assert line in lines


@pytest.mark.parametrize("name", REFUSED)
def test_what_two_servers_could_read_differently_is_refused(address: tuple[str, int], name: str) -> None:
    assert_refused(say(address, REFUSED[name]), 400)


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_wherever_it_is_cut(address: tuple[str, int], name: str) -> None:
    stream = REFUSED[name]
    with socket.create_connection(address, timeout=20) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        received = b""
        with contextlib.suppress(OSError):
            for start in range(0, len(stream), 7):
                client.sendall(stream[start : start + 7])
        with contextlib.suppress(ConnectionResetError):
            while more := client.recv(65_536):
                received += more
    # Of an answer that came while the client was still sending, the kernel may lose the end.
    assert received.startswith(b"HTTP/1.1 400 ") or received == b"", received


@pytest.mark.parametrize("behind", [b"", b"\r\n" + HEALTH])
def test_a_head_that_is_too_long_is_refused(address: tuple[str, int], behind: bytes) -> None:
    head = b"GET /health HTTP/1.1\r\n" + HOST + b"X-A: " + b"a" * 16_384
    assert_refused(say(address, head + behind), 431)


@pytest.mark.parametrize("coding", [b"gzip", b"gzip, chunked", b"identity"])
def test_a_transfer_coding_that_is_not_known_is_refused(address: tuple[str, int], coding: bytes) -> None:
    request = get(b"/api/v1/queues/demo/enqueue", b"Transfer-Encoding: " + coding, method=b"POST")
    assert_refused(say(address, request), 501)


def test_a_head_that_does_not_arrive_is_refused(address: tuple[str, int]) -> None:
    # Chunks bring the connection to the general lane.
    for beginning in (HEALTH[:-2], chunked(FORM) + HEALTH[:-2]):
        answer = say(address, beginning)
        assert_refused(answer[answer.rindex(b"HTTP/1.1") :], 408)


def test_an_answer_to_head_that_is_refused_in_the_middle_has_no_body(address: tuple[str, int]) -> None:
    request = get(b"/health", b"Transfer-Encoding: chunked", method=b"HEAD") + b"ZZ\r\n"
    head, _, body = say(address, request).partition(b"\r\n\r\n")
    assert (head.split(b" ")[1], body) == (b"400", b"")


@pytest.mark.parametrize(
    "request_",
    [
        HEALTH,
        get(version=b"HTTP/1.0"),
        get(b"/health", b"X-A: \xe9\x80\xff"),
        get(b"/health", b"X-A: a \t b\t"),
        get(b"/health", b"X-A:"),
        chunked(FORM, end=b"0;a=b\r\nX-A: b\r\n\r\n"),
    ],
    ids=["plain", "HTTP/1.0", "bytes that are no ASCII", "spaces and tabs", "an empty value", "chunks"],
)
def test_what_is_sound_is_answered(address: tuple[str, int], request_: bytes) -> None:
    last = request_.replace(HOST, HOST + b"Connection: close\r\n").replace(b"queues/line", b"queues/demo")
    assert say(address, last).split(b" ")[1] in (b"200", b"201")
