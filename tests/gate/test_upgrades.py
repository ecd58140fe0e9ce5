"""Through each proxy with its example: an upgrade leads to a WebSocket, and nowhere else."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from tests.contract.helpers import wait_until
from tests.gate.conftest import Gated, running_gated
from tests.gate.proxies import PROXIES
from tests.support.http2 import PREFACE, Http2Client

UPGRADES = [
    "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA",
    "Connection: Upgrade\r\nUpgrade: h2c",
    "Connection: Upgrade\r\nUpgrade: H2C",
    "Connection: Upgrade\r\nUpgrade: websocket, h2c",
    "Connection: Upgrade\r\nUpgrade: h2c, websocket",
    "Connection: Upgrade\r\nUpgrade: anything",
    "Connection: Upgrade\r\nUpgrade: h2c\r\nUpgrade: websocket",
    "Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c",
]
VISITOR = "127.0.0.2"


@pytest.fixture(scope="module", params=PROXIES)
def gated(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gated]:
    """One gate for each proxy: no test here leaves anything behind but visitors in line."""
    with running_gated(tmp_path_factory.mktemp("gated"), request.param) as running:
        yield running


@contextmanager
def connection(gated: Gated) -> Iterator[socket.socket]:
    url = httpx.URL(gated.url)
    with socket.create_connection((url.host, url.port or 0), 20, (VISITOR, 0)) as client:
        yield client


def head_of_answer(client: socket.socket) -> bytes:
    """Read a head, and none of what follows it."""
    received = b""
    while not received.endswith(b"\r\n\r\n"):
        byte = client.recv(1)
        if not byte:
            break
        received += byte
    return received


@pytest.mark.parametrize("lines", UPGRADES)
@pytest.mark.parametrize("path", ["/wait/demo", "/api/v1/queues/demo", "/tickets"])
def test_an_upgrade_to_anything_but_a_websocket_leads_nowhere(gated: Gated, path: str, lines: str) -> None:
    gated.room.admin(
        "PATCH", "/queues/demo", {"status": "paused", "unique_by": "none", "open_paths": "/tickets"}
    )
    gated.shop.upgrades.clear()
    with connection(gated) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: shop\r\nAccept: text/html\r\n{lines}\r\n\r\n".encode())
        head = head_of_answer(client).lower()
        assert head.startswith(b"http/1.1 "), head
        assert b" 101 " not in head
        assert b"upgrade: h2c" not in head
    for seen in gated.shop.upgrades:
        assert seen.lower() in ("", "websocket")


def test_no_visitor_speaks_http_2_with_the_server_in_the_name_of_the_proxy(gated: Gated) -> None:
    upgrade = UPGRADES[0]
    with connection(gated) as client:
        client.sendall(f"GET /api/v1/queues/demo HTTP/1.1\r\nHost: shop\r\n{upgrade}\r\n\r\n".encode())
        assert b" 101 " not in head_of_answer(client)
        visitor = Http2Client(client)
        visitor.send_bytes(PREFACE)
        forged = [("x-forwarded-for", "203.0.113.9"), ("x-admin-key", gated.room.admin_key)]
        for number, path in enumerate(("/metrics", "/api/v1/admin/queues")):
            visitor.send(visitor.headers(1 + 2 * number, path, *forged))
        answered = b""
        try:
            while more := client.recv(65_536):
                answered += more
        except OSError:
            pass
        assert b"wr_http_requests_total" not in answered
        assert b"max_active_users" not in answered
        assert b" 101 " not in answered


def test_a_websocket_still_opens(gated: Gated) -> None:
    gated.room.admin("PATCH", "/queues/demo", {"status": "paused", "unique_by": "none"})
    token = gated.room.join("demo").json()["token"]
    wait_until(lambda: gated.room.status("demo", token).status_code == 200)
    for spelled in ("websocket", "WebSocket"):
        with connection(gated) as client:
            client.sendall(
                f"GET /ws/queues/demo HTTP/1.1\r\nHost: shop\r\nConnection: Upgrade\r\nUpgrade: {spelled}\r\n"
                "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                f"Authorization: Bearer {token}\r\n\r\n".encode()
            )
            assert head_of_answer(client).startswith(b"HTTP/1.1 101 ")
            assert b"position_update" in client.recv(65_536)
