"""Keys: of the site, whose passes a server checks; and those that open a server to whoever guesses them."""

import json
import secrets
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.contract.conftest import running_site
from tests.contract.helpers import assert_refused, fresh_minute
from tests.support.clock import HandClock
from tests.support.engines import Engine
from tests.support.passes import site_pass
from tests.support.processes import ADMIN_KEY, running_server_process
from tests.support.site import BASE, Site, new_address


@dataclass
class KeySet:
    """A key set that a site publishes; `is_away` has it answer with errors."""

    url: str = ""
    is_away: bool = False
    asked: int = 0

    def __post_init__(self) -> None:
        self.keys: dict[str, Any] = {}

    def add(self, kid: str) -> Any:
        """Publish one more key; returns what signs with it."""
        self.keys[kid] = ec.generate_private_key(ec.SECP256R1())
        return self.keys[kid]

    def spelled(self) -> bytes:
        published = []
        for kid, private in self.keys.items():
            key = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(private.public_key()))
            published.append({**key, "kid": kid, "alg": "ES256", "use": "sig"})
        shared = {
            "kty": "oct",
            "kid": "shared",
            "alg": "HS256",
            "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTEyMzQ1",
        }
        return json.dumps({"keys": [*published, shared]}).encode()


@contextmanager
def published() -> Iterator[KeySet]:
    """Publish a key set on a port of this machine."""
    found = KeySet()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.asked += 1
            body = b"{}" if found.is_away else found.spelled()
            self.send_response(503 if found.is_away else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_address[1]}/jwks.json"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def key_set() -> Iterator[KeySet]:
    with published() as found:
        yield found


@pytest.fixture
def room(engine: Engine, key_set: KeySet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server that checks passes with a key set that the site publishes."""
    prefix = f"wr-hostile-{secrets.token_hex(4)}"
    with running_site(engine, prefix, HandClock(), tmp_path_factory, pass_key=key_set.url) as site:
        fresh_minute(site.clock)
        yield site


def join(
    site: Site, queue_id: str, private: Any, kid: str | None, subject: str, **more: Any
) -> httpx.Response:
    headers = {} if kid is None else {"kid": kid}
    algorithm = more.pop("algorithm", "ES256")
    token = site_pass(site.clock(), queue_id, subject, secret=private, algorithm=algorithm, headers=headers)
    return site.join(queue_id, headers={"X-WR-Pass": token}, **more)


def test_passes_are_checked_with_the_keys_that_the_site_publishes(room: Site, key_set: KeySet) -> None:
    queue_id, private = room.make_queue(status="paused"), key_set.add("one")
    assert join(room, queue_id, private, "one", "ada").status_code == 201
    assert join(room, queue_id, private, "one", "eve").status_code == 201
    assert key_set.asked == 1


def test_a_pass_of_a_key_that_is_not_published_is_refused(room: Site, key_set: KeySet) -> None:
    queue_id = room.make_queue(status="paused")
    key_set.add("one")
    stranger = ec.generate_private_key(ec.SECP256R1())
    assert join(room, queue_id, stranger, "one", "eve").status_code == 403
    assert_refused(join(room, queue_id, stranger, None, "eve"), 403, "PASS_INVALID")
    # Whether that key is published will be known when the set is fetched again, five seconds later.
    assert_refused(join(room, queue_id, stranger, "two", "eve"), 503, "SERVICE_UNAVAILABLE")


def test_a_shared_secret_that_is_published_checks_nothing(room: Site, key_set: KeySet) -> None:
    queue_id = room.make_queue(status="paused")
    key_set.add("one")
    known_to_all = "secret-secret-secret-secret-12345"
    refused = join(room, queue_id, known_to_all, "shared", "eve", algorithm="HS256")
    assert_refused(refused, 403, "PASS_INVALID")


def test_made_up_key_names_make_the_server_fetch_no_more_than_once_in_five_seconds(
    room: Site, key_set: KeySet
) -> None:
    queue_id = room.make_queue(status="paused")
    join(room, queue_id, key_set.add("one"), "one", "ada")
    asked, stranger = key_set.asked, ec.generate_private_key(ec.SECP256R1())
    for number in range(20):
        join(room, queue_id, stranger, f"made-up-{number}", "eve", address=new_address())
    assert key_set.asked <= asked + 1


def test_while_the_keys_cannot_be_fetched_a_pass_is_neither_good_nor_false_and_no_guess(
    room: Site, key_set: KeySet
) -> None:
    queue_id, private, address = room.make_queue(status="paused"), key_set.add("one"), new_address()
    key_set.is_away = True
    answers = [join(room, queue_id, private, "one", "ada", address=address) for _ in range(12)]
    # The last ones are beyond what one address may join in a minute.
    assert {answer.status_code for answer in answers[:10]} == {503}
    assert room.join(queue_id, address=new_address()).status_code == 201


def test_a_key_that_could_be_guessed_is_warned_of_at_the_start(tmp_path: Path) -> None:
    keys = {"admin_key": "tiny-key", "origin_key": "x" * 16, "metrics_token": "y" * 15}
    with running_server_process(tmp_path, **keys) as server:
        told = server.log + server.output.read_text()
    warned = [line for line in told.splitlines() if "so short that it can be guessed" in line]
    assert [name for name in keys for line in warned if name in line] == ["admin_key", "metrics_token"]
    assert "tiny-key" not in told


def test_two_servers_count_the_guesses_of_an_address_together(
    engine: Engine, tmp_path_factory: pytest.TempPathFactory
) -> None:
    prefix, clock, address = f"wr-hostile-{secrets.token_hex(4)}", HandClock(), new_address()
    with (
        running_site(engine, prefix, clock, tmp_path_factory) as one,
        running_site(engine, prefix, clock, tmp_path_factory) as two,
    ):
        fresh_minute(clock)

        def guess(site: Site, key: str) -> int:
            headers = {"X-Admin-Key": key, "X-Forwarded-For": address}
            return site.http.get(f"{BASE}/admin/queues", headers=headers).status_code

        assert [guess(one, f"wrong-{number}") for number in range(10)] == [403] * 10
        # The other hears of them with the first guess that it counts itself.
        assert [guess(two, f"wrong-{number}") for number in range(3)] == [403, 429, 429]
        assert guess(two, two.admin_key) == 429


def test_of_many_keys_that_arrive_at_the_same_moment_no_more_are_compared_than_are_allowed(
    tmp_path: Path,
) -> None:
    with running_server_process(tmp_path / "data", limit_guess="10/3600") as server:
        path = f"{BASE}/waiting-queue/status?userId=1&concertId=1"

        def asking(key: str) -> bytes:
            return f"GET {path} HTTP/1.1\r\nHost: wr\r\nX-Admin-Key: {key}\r\n\r\n".encode()

        keys = [*(f"wrong-key-{number}" for number in range(39)), ADMIN_KEY]
        sockets = [socket.create_connection(server.address) for _ in keys]
        try:
            # While it is stopped, all of them arrive.
            server.send(signal.SIGSTOP)
            for connection, key in zip(sockets, keys, strict=True):
                connection.sendall(asking(key))
            server.send(signal.SIGCONT)
            statuses = [int(connection.recv(65_536).split(b" ")[1]) for connection in sockets]
        finally:
            for connection in sockets:
                connection.close()
    assert statuses.count(403) == 10
    assert statuses.count(429) == 30, "among them the one with the right key"
