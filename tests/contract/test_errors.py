"""Errors: the envelope, every code of the table, and what belongs to every answer."""

import re
import socket
from collections.abc import Callable
from urllib.parse import urlsplit

import httpx
import pytest
import redis

from tests.contract.conftest import Stranded
from tests.contract.helpers import (
    activity_call,
    assert_refused,
    enqueue_path,
    enter,
    open_queue,
    seconds_of,
    session_call,
    stats_of,
    terminate,
    waiting,
)
from tests.support.site import BASE, Site, error_code, new_address
from wr.store.key_names import KeyNames


def cancelled_heartbeat(site: Site) -> httpx.Response:
    queue_id = site.make_queue(status="paused")
    token = waiting(site, queue_id)
    site.call("DELETE", f"/queues/{queue_id}/position", token)
    return site.heartbeat(queue_id, token)


def ended_session(site: Site) -> httpx.Response:
    visit = enter(site, open_queue(site))
    terminate(site, visit.session_id)
    return session_call(site, visit)


def one_join_too_many(site: Site) -> httpx.Response:
    queue_id, address = site.make_queue(status="paused"), new_address()
    return [site.join(queue_id, address=address) for _ in range(11)][-1]


def full_queue(site: Site) -> httpx.Response:
    queue_id = site.make_queue(status="paused", max_queue_size=1)
    waiting(site, queue_id)
    return site.join(queue_id)


# Each row of the table «Error Codes» but INTERNAL_ERROR, which needs something broken.
CODES: list[tuple[str, int, Callable[[Site], httpx.Response]]] = [
    ("INVALID_REQUEST", 400, lambda site: site.join(site.make_queue(), {"priority": 4})),
    ("UNAUTHORIZED", 401, lambda site: site.call("GET", f"/queues/{site.make_queue()}/status")),
    ("FORBIDDEN", 403, lambda site: site.call("GET", "/admin/queues")),
    ("NOT_FOUND", 404, lambda site: site.join("no-such-queue")),
    ("POSITION_EXPIRED", 410, cancelled_heartbeat),
    ("SESSION_EXPIRED", 410, ended_session),
    ("RATE_LIMITED", 429, one_join_too_many),
    ("QUEUE_FULL", 503, full_queue),
    ("MAINTENANCE_MODE", 503, lambda site: site.join(site.make_queue(status="maintenance"))),
]


@pytest.mark.parametrize(("code", "status", "provoke"), CODES, ids=[row[0] for row in CODES])
def test_each_error_code_of_the_contract_comes_with_its_status_in_the_envelope(
    site: Site, code: str, status: int, provoke: Callable[[Site], httpx.Response]
) -> None:
    response = provoke(site)
    assert_refused(response, status, code)
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_a_failure_on_our_side_is_500_internal_error_and_tells_nothing_of_it(
    site: Site, store: redis.Redis
) -> None:
    queue_id = site.make_queue(status="paused")
    # An admission pass over an empty line would mend the key.
    site.join(queue_id)
    (broken,) = KeyNames(site.prefix).queue(queue_id, "addresses")
    store.delete(broken)
    store.set(broken, "not what a script expects here")
    response = site.join(queue_id)
    assert assert_refused(response, 500, "INTERNAL_ERROR") == {}
    assert not re.search(r"WRONGTYPE|redis|lua|wr/|\.py", response.text, re.IGNORECASE)
    store.delete(broken)
    assert site.join(queue_id).status_code == 201, "the next one is served as ever"


def test_an_expired_position_is_told_as_in_the_contracts_example(site: Site) -> None:
    queue_id = site.make_queue(status="paused")
    joined = site.join(queue_id).json()
    site.admin("POST", f"/queues/{queue_id}/flush")
    body = site.status(queue_id, joined["token"]).json()
    assert set(body) == {"error", "request_id"}
    assert body["error"]["code"] == "POSITION_EXPIRED"
    assert body["error"]["message"] == "Your position in the queue has expired"
    details = body["error"]["details"]
    assert details["position_id"] == joined["position_id"]
    assert site.clock() // 1000 - 10 <= seconds_of(details["expired_at"]) <= site.clock() // 1000


AWAY: list[tuple[str, Callable[[Stranded], httpx.Response]]] = [
    ("enqueue", lambda s: s.site.join(s.queue_id)),
    ("status", lambda s: s.site.status(s.queue_id, s.token)),
    ("heartbeat", lambda s: s.site.heartbeat(s.queue_id, s.token)),
    ("cancel", lambda s: s.site.call("DELETE", f"/queues/{s.queue_id}/position", s.token)),
    ("session", lambda s: session_call(s.site, s.visit)),
    ("activity", lambda s: activity_call(s.site, s.visit)),
    (
        "create",
        lambda s: s.site.admin("POST", "/queues", {"id": "new", "target_url": "https://shop.example"}),
    ),
    ("list", lambda s: s.site.admin("GET", "/queues")),
    ("show", lambda s: s.site.admin("GET", f"/queues/{s.queue_id}")),
    ("update", lambda s: s.site.admin("PATCH", f"/queues/{s.queue_id}", {})),
    ("delete", lambda s: s.site.admin("DELETE", f"/queues/{s.queue_id}")),
    ("stats", lambda s: s.site.admin("GET", f"/queues/{s.queue_id}/stats")),
    ("flush", lambda s: s.site.admin("POST", f"/queues/{s.queue_id}/flush")),
    ("terminate", lambda s: terminate(s.site, s.visit.session_id)),
    ("keys", lambda s: s.site.admin("GET", "/keys")),
    ("rotate", lambda s: s.site.admin("POST", "/keys/rotate")),
]


@pytest.mark.parametrize("ask", [row[1] for row in AWAY], ids=[row[0] for row in AWAY])
def test_while_the_store_is_away_every_route_is_503_and_says_when_to_ask_again(
    stranded: Stranded, ask: Callable[[Stranded], httpx.Response]
) -> None:
    response = ask(stranded)
    assert assert_refused(response, 503, "SERVICE_UNAVAILABLE") == {}
    assert int(response.headers["Retry-After"]) > 0


def test_what_is_refused_without_the_store_is_refused_as_ever_while_it_is_away(stranded: Stranded) -> None:
    site, queue_id = stranded.site, stranded.queue_id
    assert_refused(site.join(queue_id, {"priority": 4}), 400, "INVALID_REQUEST")
    assert_refused(site.call("GET", f"/queues/{queue_id}/status"), 401, "UNAUTHORIZED")
    assert_refused(site.call("GET", "/admin/queues"), 403, "FORBIDDEN")
    assert_refused(site.http.get("/nowhere"), 404, "NOT_FOUND")


@pytest.mark.parametrize("path", ["/.well-known/jwks.json", f"{BASE}/openapi.json"])
def test_what_needs_no_store_is_served_while_it_is_away(stranded: Stranded, path: str) -> None:
    assert stranded.site.http.get(path).status_code == 200


UNKNOWN_PATHS = [
    "/api",
    "/api/v1",
    "/api/v1/",
    "/api/v2/health",
    "/api/v1/queues",
    "/api/v1/queues/x",
    "/api/v1/queues//enqueue",
    "/api/v1/queues/x/enqueue/",
    "/api/v1/queues/a%2Fb/enqueue",
    "/api/v1/queues/a/b/enqueue",
    "/api/v1/health/",
    "/api/v1//health",
    "//health",
    "/Health",
    "/api/v1/sessions",
    "/api/v1/sessions/",
    "/api/v1/admin",
    "/api/v1/admin/queues/",
    "/.well-known/",
    "/static/x",
    "/etc/passwd",
    "/%00",
    "/%0A",
    "/%ff%fe",
    "/api/v1/queues/a%0Ab/position/x",
    "/" + "x" * 5000,
]


def raw_request(site: Site, method: str, path: str) -> httpx.Response:
    """Send a path as it stands: the client's own tidying is left out."""
    where = urlsplit(site.url)
    url = httpx.URL(scheme="http", host=where.hostname or "", port=where.port, raw_path=path.encode())
    return site.http.request(method, url)


@pytest.mark.parametrize("path", UNKNOWN_PATHS)
def test_an_unknown_path_is_404(site: Site, path: str) -> None:
    assert_refused(raw_request(site, "GET", path), 404, "NOT_FOUND")


@pytest.mark.parametrize("method", ["POST", "DELETE", "OPTIONS", "PROPFIND", "BREW"])
@pytest.mark.parametrize("path", ["/nowhere", "/api/v1/queues/a%0Ab/position/x"])
def test_an_unknown_path_is_404_whatever_the_method(site: Site, path: str, method: str) -> None:
    assert_refused(raw_request(site, method, path), 404, "NOT_FOUND")


WRONG_METHODS = [
    ("/health", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"], "GET, HEAD"),
    ("/api/v1/health", ["POST", "BREW"], "GET, HEAD"),
    ("/.well-known/jwks.json", ["POST"], "GET, HEAD"),
    ("/api/v1/openapi.json", ["DELETE"], "GET, HEAD"),
    ("/api/v1/queues/x/enqueue", ["GET", "HEAD", "PUT", "DELETE", "PROPFIND"], "POST"),
    ("/api/v1/queues/x/status", ["POST", "PATCH"], "GET, HEAD"),
    ("/api/v1/queues/x/heartbeat", ["GET"], "POST"),
    ("/api/v1/queues/x/position", ["GET", "POST"], "DELETE"),
    ("/api/v1/sessions/x", ["POST", "PUT"], "DELETE, GET, HEAD"),
    ("/api/v1/sessions/x/activity", ["GET"], "POST"),
    ("/api/v1/admin/queues", ["PUT", "PATCH", "DELETE"], "GET, HEAD, POST"),
    ("/api/v1/admin/queues/x", ["POST", "PUT"], "DELETE, GET, HEAD, PATCH"),
    ("/api/v1/admin/queues/x/stats", ["POST", "DELETE"], "GET, HEAD"),
    ("/api/v1/admin/queues/x/flush", ["GET"], "POST"),
    ("/api/v1/admin/sessions/x", ["PUT", "POST"], "DELETE, GET, HEAD"),
    ("/api/v1/admin/positions/x", ["DELETE", "POST"], "GET, HEAD"),
    ("/api/v1/admin/keys", ["POST"], "GET, HEAD"),
    ("/api/v1/admin/keys/rotate", ["GET"], "POST"),
]


@pytest.mark.parametrize(
    ("path", "method", "allowed"),
    [(path, method, allowed) for path, methods, allowed in WRONG_METHODS for method in methods],
)
def test_a_method_that_a_path_does_not_have_is_405_and_allow_lists_those_it_has(
    site: Site, path: str, method: str, allowed: str
) -> None:
    response = site.http.request(method, path)
    assert response.headers["Allow"] == allowed
    if method == "HEAD":
        assert (response.status_code, response.content) == (405, b"")
    else:
        assert_refused(response, 405, "METHOD_NOT_ALLOWED")


def test_every_method_that_allow_lists_is_indeed_served(site: Site) -> None:
    for path, methods, allowed in WRONG_METHODS:
        for method in allowed.split(", "):
            response = site.http.request(method, path)
            assert response.status_code != 405, (method, path, methods)


@pytest.mark.parametrize("path", ["/health", f"{BASE}/openapi.json", f"{BASE}/nowhere"])
def test_head_is_get_without_the_body(site: Site, path: str) -> None:
    head, get = site.http.head(path), site.http.get(path)
    assert head.content == b""
    assert head.status_code == get.status_code
    assert abs(int(head.headers["Content-Length"]) - len(get.content)) <= 2, "an uptime may gain a digit"
    assert head.headers["Content-Type"] == get.headers["Content-Type"]


@pytest.mark.parametrize(
    "given", ["req-abc123", "a", "0" * 64, "trace.01_A-b", "550e8400-e29b-41d4-a716-446655440000"]
)
def test_a_callers_request_id_comes_back_in_header_and_envelope(site: Site, given: str) -> None:
    headers = {"X-Request-Id": given}
    assert site.http.get("/health", headers=headers).headers["X-Request-Id"] == given
    refused = site.join("no-such-queue", headers=headers)
    assert refused.headers["X-Request-Id"] == given
    assert error_code(refused) == "NOT_FOUND"
    assert refused.json()["request_id"] == given


@pytest.mark.parametrize(
    "given", ["", "a b", "0" * 65, "<script>", "a\tb", "ä".encode(), 'x","y":"', "{}", "a,b", "../x"]
)
def test_a_request_id_that_could_do_harm_is_replaced(site: Site, given: str | bytes) -> None:
    response = site.http.get(
        "/nowhere", headers=[(b"X-Request-Id", given if isinstance(given, bytes) else given.encode())]
    )
    assert_refused(response, 404, "NOT_FOUND")
    assert re.fullmatch(r"req-[0-9a-f]{16}", response.headers["X-Request-Id"])


def test_every_request_without_an_id_gets_one_of_its_own(site: Site) -> None:
    ids = {site.http.get("/health").headers["X-Request-Id"] for _ in range(20)}
    assert len(ids) == 20
    assert all(re.fullmatch(r"req-[0-9a-f]{16}", given) for given in ids)


def exchange(site: Site, request: bytes, *, is_last: bool = False) -> bytes:
    """Send bytes on a connection of their own; returns everything until the server closes it."""
    where = urlsplit(site.url)
    with socket.create_connection((where.hostname, where.port), timeout=5) as connection:
        connection.sendall(request)
        if is_last:
            connection.shutdown(socket.SHUT_WR)
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
        return received


@pytest.mark.parametrize(
    "request_line", [b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close", b"GET /health HTTP/1.0"]
)
def test_the_connection_of_a_client_that_wants_no_other_request_is_closed_after_the_answer(
    site: Site, request_line: bytes
) -> None:
    received = exchange(site, request_line + b"\r\n\r\n")
    assert received.startswith(b"HTTP/1.1 200 ")
    assert b'"status":"healthy"' in received


def test_a_body_that_is_too_long_ends_the_connection_and_says_so(site: Site) -> None:
    head = f"POST {enqueue_path('x')} HTTP/1.1\r\nHost: x\r\nContent-Length: 20000\r\n\r\n"
    received = exchange(site, head.encode() + b" " * 20_000)
    assert received.startswith(b"HTTP/1.1 413 ")
    assert b"\r\nconnection: close\r\n" in received.lower()
    assert b'"INVALID_REQUEST"' in received


def test_a_request_to_upgrade_what_is_no_stream_is_answered_as_a_plain_one(site: Site) -> None:
    def upgrade(path: str) -> bytes:
        return exchange(
            site,
            f"GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode(),
        )

    assert upgrade("/health").startswith(b"HTTP/1.1 200 ")
    refused = upgrade("/nowhere")
    assert refused.startswith(b"HTTP/1.1 404 ")
    assert b'"NOT_FOUND"' in refused
    assert b"<html" not in refused


def test_a_queue_survives_a_storm_of_nonsense(site: Site) -> None:
    queue_id = site.make_queue(status="paused")
    token = waiting(site, queue_id)
    for request in (
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /health HTTP/9.9\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 200_000 + b"\r\n\r\n",
        b"\x00" * 1000 + b"\r\n\r\n",
    ):
        assert not exchange(site, request, is_last=True).startswith(b"HTTP/1.1 5")
    assert site.status(queue_id, token).json()["position"] == 1
    assert stats_of(site, queue_id)["current_waiting"] == 1
