"""What every route answers, whatever it is for: the headers of the contract, and the refusals that any gives.

Each answer is read from the socket, so that no client library comes between, and held against the document.
"""

import re
import socket
from collections.abc import Iterator, Sequence
from typing import Any

import httpx
import pytest

from tests.conftest import TEST_SETTINGS
from tests.contract.conftest import running_site
from tests.contract.helpers import LIMIT_HEADERS
from tests.support.site import BASE, Site
from wr.api.http_messages import UNCOUNTED, WEBSOCKET
from wr.api.openapi import openapi_document
from wr.api.route import ANY
from wr.api.routes import ROUTES

DOCUMENT = openapi_document()
PLENTY = {name.lower(): value for name, value in UNCOUNTED}
HEAD_PATIENCE_S = 0.5
ASKED = [
    ("GET" if route.method in (ANY, WEBSOCKET) else route.method, re.sub(r"\{\w+\*?\}", "x", route.path))
    for route in ROUTES
]
"""Method and path of each route, with some value for each parameter."""


@pytest.fixture(scope="module")
def hasty(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server on the store of the usual one that waits for half a head only half a second."""
    settings = {**TEST_SETTINGS, "head_timeout": str(HEAD_PATIENCE_S)}
    with running_site(site.engine, site.prefix, site.clock, tmp_path_factory, **settings) as running:
        yield running


def connect(site: Site) -> socket.socket:
    url = httpx.URL(site.url)
    return socket.create_connection((url.host, url.port or 80), timeout=10)


def answer(connection: socket.socket) -> httpx.Response:
    """Read an answer up to the end of the connection."""
    with connection, connection.makefile("rb") as received:
        head, _, body = received.read().partition(b"\r\n\r\n")
    line, *lines = head.decode("latin-1").split("\r\n")
    headers = [(name, value) for name, _, value in (line.partition(": ") for line in lines)]
    return httpx.Response(int(line.split(" ")[1]), headers=headers, content=body)


def sent(site: Site, request: bytes) -> httpx.Response:
    connection = connect(site)
    connection.sendall(request)
    return answer(connection)


def head(method: str, path: str, *lines: str) -> bytes:
    return "\r\n".join(
        [f"{method} {path} HTTP/1.1", "Host: wr", "Connection: close", *lines, "", ""]
    ).encode()


def documented(method: str, path: str) -> dict[str, Any] | None:
    """The answers that the document has for a route; None for pages, which it leaves out."""
    for template, item in DOCUMENT["paths"].items():
        base = "" if "servers" in item else BASE
        shape = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(base + template))
        if re.fullmatch(shape, path) and method.lower() in item:
            responses: dict[str, Any] = item[method.lower()]["responses"]
            return responses
    return None


def assert_as_documented(response: httpx.Response, method: str, path: str) -> None:
    names = {name for name in ("X-Request-Id", *LIMIT_HEADERS) if name not in response.headers}
    assert not names, f"{method} {path}: {response.status_code} without {names}"
    responses = documented(method, path)
    if responses is not None:
        described = responses[str(response.status_code)]
        missing = [name for name in described["headers"] if name not in response.headers]
        assert not missing, f"{method} {path}: {response.status_code} without {missing}"


BROKEN: dict[int, Sequence[str]] = {
    431: [f"X-Many-{number}: 1" for number in range(101)],
    400: ["X-Broken: a\nb"],
    501: ["Transfer-Encoding: gzip, chunked"],
}


@pytest.mark.parametrize("status", BROKEN)
def test_every_route_refuses_what_is_no_sound_request_as_its_document_says(site: Site, status: int) -> None:
    for method, path in ASKED:
        response = sent(site, head(method, path, *BROKEN[status]))
        assert response.status_code == status, (method, path)
        assert_as_documented(response, method, path)
        assert response.json()["error"]["code"] == "INVALID_REQUEST"


def test_every_route_answers_405_to_a_method_that_its_path_does_not_have(site: Site) -> None:
    for (method, path), route in zip(ASKED, ROUTES, strict=True):
        response = sent(site, head("BREW", path))
        if route.method == ANY:
            assert response.status_code != 405
        elif route.method == WEBSOCKET:
            assert response.status_code == 426
        else:
            assert response.status_code == 405
            assert method in response.headers["Allow"].split(", ")
        assert_as_documented(response, method, path)


def test_every_route_answers_408_when_its_head_does_not_arrive_in_time(hasty: Site) -> None:
    begun = []
    for method, path in ASKED:
        connection = connect(hasty)
        connection.sendall(f"{method} {path} HTTP/1.1\r\nHost: ".encode())
        begun.append(connection)
    for (method, path), connection in zip(ASKED, begun, strict=True):
        response = answer(connection)
        assert response.status_code == 408
        assert_as_documented(response, method, path)


@pytest.mark.parametrize("asked", ["as it is", "HEAD", "OPTIONS"])
def test_every_answer_of_every_route_has_an_id_and_the_three_headers(site: Site, asked: str) -> None:
    for method, path in ASKED:
        response = sent(site, head(method if asked == "as it is" else asked, path))
        if asked == "as it is":
            assert_as_documented(response, method, path)
        else:
            names = {name for name in ("X-Request-Id", *LIMIT_HEADERS) if name not in response.headers}
            assert not names, (asked, path)


@pytest.mark.parametrize(
    "path", ["/health", f"{BASE}/health", "/admin", "/wr.js", "/nothing", "/favicon.ico"]
)
def test_where_nothing_is_counted_a_client_reads_that_plenty_is_left(site: Site, path: str) -> None:
    response = sent(site, head("GET", path))
    assert {name: response.headers[name] for name in PLENTY} == PLENTY
    # As a client that keeps to the headers would reckon: nothing to wait for, and much to spend.
    assert int(response.headers["X-RateLimit-Remaining"]) > 0
    assert int(response.headers["X-RateLimit-Reset"]) <= site.clock() // 1000


def test_what_is_counted_is_told_as_it_is(site: Site) -> None:
    queue_id = site.make_queue(status="paused")
    told = site.join(queue_id).headers
    assert told["X-RateLimit-Limit"] != PLENTY["x-ratelimit-limit"]
    assert told["X-RateLimit-Reset"] != PLENTY["x-ratelimit-reset"]


def test_a_websocket_is_accepted_with_the_same_headers(site: Site) -> None:
    queue_id = site.make_queue(status="paused")
    token = site.join(queue_id).json()["token"]
    upgrade = (
        *("Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="),
        f"Authorization: Bearer {token}",
    )
    request = head("GET", f"/ws/queues/{queue_id}", *upgrade).replace(
        b"Connection: close", b"Connection: Upgrade"
    )
    with connect(site) as connection:
        connection.sendall(request)
        received = b""
        while b"\r\n\r\n" not in received:
            received += connection.recv(4096)
    assert received.startswith(b"HTTP/1.1 101 ")
    for name in ("x-request-id", *LIMIT_HEADERS):
        assert f"\r\n{name.lower()}: ".encode() in received.lower()
