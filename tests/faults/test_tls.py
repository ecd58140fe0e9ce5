"""TLS: both lanes speak it, ALPN decides which, and whoever gets it wrong ends alone."""

import json
import os
import queue
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from httpx_sse import connect_sse

from tests.support.certificate import make_certificate
from tests.support.clock import HandClock
from tests.support.engines import Engine
from tests.support.processes import serve_command
from tests.support.server import running_server
from tests.support.site import BASE, Site
from wr.rehearse.websocket import upgrade

HEALTH = b"GET /health HTTP/1.1\r\nHost: wr\r\n\r\n"
SETTINGS = {"admission_interval": "0.05", "live_interval": "0.1", "limit_admin": "0", "head_timeout": "1"}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that vouches for itself, and its key."""
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def trust(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    """What a client needs to believe the server."""
    return ssl.create_default_context(cafile=str(certificate[0]))


@pytest.fixture(scope="module", params=["on", "off"])
def site(
    request: pytest.FixtureRequest,
    certificate: tuple[Path, Path],
    trust: ssl.SSLContext,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    """A server with TLS: with the fast lane, and without."""
    settings = {
        **SETTINGS,
        "data_dir": str(tmp_path_factory.mktemp("data")),
        "tls_certificate_file": str(certificate[0]),
        "tls_key_file": str(certificate[1]),
        "fast_lane": request.param,
        "http2": "tls",
    }
    with running_server(None, **settings) as ready:
        site = Site(ready.url, ready.admin_key, HandClock(), Engine("embedded", ""), "wr")
        site.http.close()
        with httpx.Client(base_url=ready.url, verify=trust) as site.http:
            yield site


def address_of(site: Site) -> tuple[str, int]:
    url = httpx.URL(site.url)
    return url.host, url.port or 0


def over_tls(site: Site, trust: ssl.SSLContext) -> ssl.SSLSocket:
    plain = socket.create_connection(address_of(site), timeout=30)
    return trust.wrap_socket(plain, server_hostname="127.0.0.1")


def test_a_server_with_a_certificate_says_that_it_is_reached_by_https(site: Site) -> None:
    assert site.url.startswith("https://127.0.0.1:")


def test_http_1_works_over_tls_request_after_request(site: Site) -> None:
    queue_id = site.make_queue(status="paused")
    token = site.join(queue_id).json()["token"]
    for _ in range(3):
        answer = site.status(queue_id, token)
        assert (answer.status_code, answer.json()["position"]) == (200, 1)
        assert answer.http_version == "HTTP/1.1"
    assert site.http.get(f"{BASE}/openapi.json").json()["openapi"], "more than one record of TLS is read"


def test_what_is_odd_about_a_request_over_tls_the_general_lane_answers(
    site: Site, trust: ssl.SSLContext
) -> None:
    odd = (
        f"POST {BASE}/queues/none/enqueue HTTP/1.1\r\nHost: wr\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    )
    with over_tls(site, trust) as client:
        for request, status in ((HEALTH, b"200"), (odd.encode(), b"404"), (HEALTH, b"200")):
            client.sendall(request)
            answer = client.recv(65536)
            while not answer.endswith(b"}"):
                answer += client.recv(65536)
            assert answer.split(b" ")[1] == status, answer


def test_http_2_is_agreed_on_by_alpn(site: Site, trust: ssl.SSLContext) -> None:
    queue_id = site.make_queue(status="paused")
    with httpx.Client(base_url=site.url, verify=trust, http2=True) as client:
        joined = client.post(f"{BASE}/queues/{queue_id}/enqueue")
        assert (joined.status_code, joined.http_version) == (201, "HTTP/2")
        token = {"Authorization": f"Bearer {joined.json()['token']}"}
        assert client.get(f"{BASE}/queues/{queue_id}/status", headers=token).json()["position"] == 1


def follow_events(
    site: Site, trust: ssl.SSLContext, queue_id: str, token: str, told: "queue.Queue[Any]"
) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    path = f"{BASE}/queues/{queue_id}/events"
    with connect_sse(site.http, "GET", path, headers=headers, timeout=30) as stream:
        for event in stream.iter_sse():
            told.put(json.loads(event.data))
    told.put(None)


def follow_websocket(
    site: Site, trust: ssl.SSLContext, queue_id: str, token: str, told: "queue.Queue[Any]"
) -> None:
    async def follow() -> None:
        plain = await trio.open_tcp_stream(*address_of(site))
        stream = trio.SSLStream(plain, trust, server_hostname="127.0.0.1", https_compatible=True)
        headers = [(b"Authorization", b"Bearer " + token.encode())]
        with trio.fail_after(30):
            async with trio.open_nursery() as nursery:
                path = f"/ws/queues/{queue_id}".encode()
                websocket = await upgrade(nursery, stream, b"wr", path, headers)
                while (message := await websocket.message()) is not None:
                    told.put(message)
                await websocket.aclose()
        told.put(None)

    trio.run(follow)


@pytest.mark.parametrize("follow", [follow_events, follow_websocket])
def test_a_live_stream_over_tls_brings_updates_the_way_in_and_its_end(
    site: Site, trust: ssl.SSLContext, follow: Any
) -> None:
    queue_id = site.make_queue(status="paused")
    ahead, token = (site.join(queue_id).json()["token"] for _ in range(2))
    told: queue.Queue[Any] = queue.Queue()
    follower = threading.Thread(target=follow, args=(site, trust, queue_id, token, told))
    follower.start()
    assert told.get(timeout=30)["data"]["position"] == 2
    site.call("DELETE", f"/queues/{queue_id}/position", ahead)
    assert told.get(timeout=30)["data"]["position"] == 1
    site.admin("PATCH", f"/queues/{queue_id}", {"status": "active"})
    # That the line goes on is news too; a fast pass comes before it.
    while (message := told.get(timeout=30))["type"] == "position_update":
        assert message["data"]["position"] == 1
    assert message["type"] == "admitted"
    assert told.get(timeout=30) is None
    follower.join(30)


def all_from(client: socket.socket) -> bytes:
    """What comes until the server closes, in whatever way."""
    received = b""
    try:
        while data := client.recv(65536):
            received += data
    except ConnectionResetError:
        pass
    return received


def test_who_speaks_plain_http_to_a_server_with_tls_ends_alone(site: Site) -> None:
    with socket.create_connection(address_of(site), timeout=30) as client:
        client.sendall(HEALTH)
        assert b"HTTP" not in all_from(client)
    assert site.http.get("/health").status_code == 200


def test_a_handshake_that_stops_half_way_is_not_waited_for_for_ever(
    site: Site, trust: ssl.SSLContext
) -> None:
    hello = ssl.MemoryBIO()
    half = trust.wrap_bio(ssl.MemoryBIO(), hello, server_hostname="127.0.0.1")
    with pytest.raises(ssl.SSLWantReadError):
        half.do_handshake()
    greeting = hello.read()
    for beginning in (b"", greeting[:40], greeting):
        with socket.create_connection(address_of(site), timeout=30) as client:
            client.sendall(beginning)
            assert site.http.get("/health").status_code == 200, "nobody else waits for it"
            all_from(client)


def test_a_client_that_hangs_up_without_a_farewell_is_nothing_special(
    site: Site, trust: ssl.SSLContext
) -> None:
    for _ in range(3):
        client = over_tls(site, trust)
        client.sendall(HEALTH)
        assert client.recv(65536)
        os.close(client.detach())
    assert site.http.get("/health").status_code == 200


@pytest.mark.parametrize("wrong", ["missing", "garbage", "key_of_another", "no_key"])
def test_wrong_certificate_files_are_one_line_at_the_start(
    certificate: tuple[Path, Path], tmp_path: Path, wrong: str
) -> None:
    certificate_file, key_file = map(str, certificate)
    garbage, other = tmp_path / "garbage.pem", tmp_path / "other.pem"
    garbage.write_text("nothing of the kind")
    other.write_bytes(
        ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    files = {
        "missing": {"tls_certificate_file": str(tmp_path / "none.pem"), "tls_key_file": key_file},
        "garbage": {"tls_certificate_file": str(garbage), "tls_key_file": key_file},
        "key_of_another": {"tls_certificate_file": certificate_file, "tls_key_file": str(other)},
        "no_key": {"tls_certificate_file": certificate_file},
    }[wrong]
    command = serve_command(bind="127.0.0.1:0", data_dir=str(tmp_path / "data"), **files)
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    (line,) = ended.stderr.strip().splitlines()
    assert f"tls_certificate_file {files['tls_certificate_file']}" in line
