"""`wr.gate`: middleware of a site without a proxy, against a real waiting room."""

import asyncio
import base64
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
import trio

from tests.contract.helpers import Visit, enter, open_queue, session_call, wait_until
from tests.gate.conftest import ORIGIN_KEY
from tests.gate.middleware_site import ask, saying
from tests.support import plain_http
from tests.support.clock import HandClock
from tests.support.engines import Engine
from tests.support.server import running_server
from tests.support.site import Site
from wr.gate import AsgiGate, Commands, PublishedKeys, WsgiGate
from wr.gate.decision import Passes


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A waiting room of its own."""
    folder = tmp_path_factory.mktemp("room")
    settings = {
        "data_dir": str(folder),
        "admission_interval": "0.05",
        "grace": "0.2",
        "origin_key": ORIGIN_KEY,
    }
    limits = {f"limit_{scope}": "0" for scope in ("enqueue", "status", "admin")}
    with running_server(None, **settings, **limits) as ready:
        store = Engine("embedded", f"unix://{folder / 'store.sock'}")
        site = Site(ready.url, ready.admin_key, HandClock(), store, "wr")
        with site.http:
            yield site


@pytest.fixture
def visit(room: Site) -> Visit:
    return enter(room, open_queue(room))


async def asgi_app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    headers = [(b"x-session", scope["wr.session"].session_id.encode()), (b"x-wr-command", b"end")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"inside"})


def asked(gate: AsgiGate, target: str = "/a?b=c", *, kind: str = "http", **headers: str) -> dict[str, Any]:
    """Ask an ASGI application once; what it sent, put together."""
    path, _, query = target.partition("?")
    scope = {
        "type": kind,
        "method": "GET",
        "scheme": "https",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
    }
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def ask() -> None:
        await gate(scope, receive, send)

    asyncio.run(ask())
    told = {"status": sent[0].get("status"), "code": sent[0].get("code")}
    return told | {name.decode(): value.decode() for name, value in sent[0].get("headers", [])}


def gate_of(room: Site, visit: Visit, commands: Commands | None = None) -> AsgiGate:
    return AsgiGate(asgi_app, server=room.url, queue=visit.queue_id, commands=commands)


def test_asgi_lets_a_session_through_by_cookie_and_by_bearer(room: Site, visit: Visit) -> None:
    gate = gate_of(room, visit)
    for headers in (
        {"Cookie": f"x=y; wr_session-{visit.queue_id}={visit.session_token}"},
        {"Authorization": f"Bearer {visit.session_token}"},
    ):
        assert asked(gate, **headers)["x-session"] == visit.session_id


def test_asgi_works_on_trio_too(room: Site, visit: Visit) -> None:
    gate = gate_of(room, visit)
    sent: list[Any] = []

    async def keep(message: Any) -> None:
        sent.append(message)

    async def ask() -> None:
        cookie = f"wr_session-{visit.queue_id}={visit.session_token}".encode()
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/",
            "query_string": b"",
            "headers": [(b"cookie", cookie)],
        }
        await gate(scope, trio.sleep_forever, keep)

    trio.run(ask)
    assert sent[0]["status"] == 200


def test_asgi_sends_everybody_else_to_the_waiting_page(room: Site, visit: Visit) -> None:
    gate = gate_of(room, visit)
    other = enter(room, open_queue(room))
    for headers in (
        {},
        {"Cookie": f"wr_session-{visit.queue_id}={other.session_token}"},
        {"Cookie": f"wr_session-{visit.queue_id}={visit.token}"},
        {"Authorization": "Bearer nonsense"},
        {"Authorization": f"Bearer {visit.session_token[:-4]}AAAA"},
    ):
        told = asked(gate, "/a?b=c", **headers)
        assert told["status"] == 303
        parts = urlsplit(told["location"])
        assert f"{parts.scheme}://{parts.netloc}{parts.path}" == f"{room.url}/wait/{visit.queue_id}"
        assert parse_qs(parts.query) == {"return": ["/a?b=c"]}
    assert asked(gate, kind="websocket")["code"] == 4401


def test_a_token_in_the_address_becomes_a_cookie_and_leaves_the_address(room: Site, visit: Visit) -> None:
    told = asked(gate_of(room, visit), f"//evil.example/a?b=c&wr_token={visit.session_token}")
    assert (told["status"], told["location"]) == (303, "/evil.example/a?b=c")
    assert told["set-cookie"] == (
        f"wr_session-{visit.queue_id}={visit.session_token}; Path=/; HttpOnly; SameSite=None; Secure"
    )


def test_what_the_site_says_of_a_session_reaches_the_waiting_room_and_nobody_else(
    room: Site, visit: Visit
) -> None:
    commands = Commands(room.url, ORIGIN_KEY)
    cookie = f"wr_session-{visit.queue_id}={visit.session_token}"
    told = asked(gate_of(room, visit, commands), Cookie=cookie)
    assert (told["status"], "x-wr-command" in told) == (200, False)
    commands.close()
    assert session_call(room, visit).status_code in (404, 410)


@pytest.mark.parametrize("on_trio", [False, True])
def test_more_time_from_the_site_keeps_a_browser_in(room: Site, visit: Visit, on_trio: bool) -> None:
    now = [time.time()]
    passes = Passes(room.url, visit.queue_id, now_s=lambda: now[0])
    commands = Commands(room.url, ORIGIN_KEY, patience_s=10)
    gate = AsgiGate(saying("extend=7200"), passes=passes, commands=commands)
    told = ask(gate, "/", ("cookie", f"{passes.cookie_name}={visit.session_token}"), on_trio=on_trio)
    commands.close()
    (renewed,) = (each.partition(";")[0] for each in told.all("set-cookie"))
    old = passes.read(visit.session_token)
    assert old is not None
    now[0] = old.expires_s + 60
    assert passes.read(visit.session_token) is None
    inside = ask(AsgiGate(saying(), passes=passes), "/", ("cookie", renewed))
    assert inside.status == 200


def test_keys_are_fetched_once_and_again_when_they_have_rotated(room: Site, visit: Visit) -> None:
    fetched: list[str] = []

    def fetch(url: str) -> dict[str, Any]:
        fetched.append(url)
        found: dict[str, Any] = plain_http.get(url).json()
        return found

    now = [0.0]
    keys = PublishedKeys(f"{room.url}/.well-known/jwks.json", fetch=fetch, clock_s=lambda: now[0])
    passes = Passes(room.url, visit.queue_id, keys)
    for _ in range(3):
        assert passes.read(visit.session_token) is not None
    assert len(fetched) == 1
    room.admin("POST", "/keys/rotate")
    wait_until(lambda: len(room.http.get("/.well-known/jwks.json").json()["keys"]) > 1)
    made_up = visit.session_token.split(".")
    header = base64.urlsafe_b64encode(json.dumps({"alg": "RS256", "kid": "made-up"}).encode()).decode()
    now[0] = 10
    for _ in range(40):
        now[0] += 0.1
        assert passes.read(".".join([header.rstrip("="), *made_up[1:]])) is None
    # Once when the first was seen, and no more often than every five seconds.
    assert len(fetched) == 2
    now[0] += 400
    assert passes.read(visit.session_token) is not None
    wait_until(lambda: len(fetched) == 3)


def test_while_the_waiting_room_is_away_the_keys_at_hand_stay_good(room: Site, visit: Visit) -> None:
    answers: list[Callable[[], dict[str, Any]]] = [
        lambda: plain_http.get(f"{room.url}/.well-known/jwks.json").json()
    ]
    now = [0.0]

    def fetch(_url: str) -> dict[str, Any]:
        return answers[-1]()

    def fail() -> dict[str, Any]:
        raise OSError("refused")

    passes = Passes(room.url, visit.queue_id, PublishedKeys("", fetch=fetch, clock_s=lambda: now[0]))
    assert passes.read(visit.session_token) is not None
    answers.append(fail)
    now[0] = 10_000
    assert passes.read(visit.session_token) is not None


def wsgi_app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-WR-Command", "revoke")])
    return [environ["wr.session"].session_id.encode()]


class Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        pass


def test_wsgi_does_the_same_behind_a_real_server(room: Site, visit: Visit) -> None:
    commands = Commands(room.url, ORIGIN_KEY)
    gate = WsgiGate(wsgi_app, server=room.url, queue=visit.queue_id, commands=commands)
    with make_server("127.0.0.1", 0, gate, handler_class=Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        with plain_http.client(base_url=f"http://127.0.0.1:{server.server_port}") as browser:
            shut = browser.get("/größe?b=c")
            assert shut.status_code == 303
            assert parse_qs(urlsplit(shut.headers["Location"]).query)["return"] == ["/gr%C3%B6%C3%9Fe?b=c"]
            arrives = browser.get(f"/a?wr_token={visit.session_token}")
            assert (arrives.status_code, arrives.headers["Location"]) == (303, "/a")
            inside = browser.get("/a")
            assert (inside.status_code, inside.text) == (200, visit.session_id)
            assert "X-WR-Command" not in inside.headers
        server.shutdown()
        thread.join()
    commands.close()
    assert session_call(room, visit).status_code in (404, 410)


def test_a_site_that_uses_it_loads_nothing_of_the_server() -> None:
    others = "m.split('.')[0] in ('trio', 'redis', 'wr') and m != 'wr' and not m.startswith('wr.gate')"
    code = f"import wr.gate, sys; print(sorted(m for m in sys.modules if {others}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert loaded.strip() == "[]"
