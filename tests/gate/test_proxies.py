"""Each example, run for real in its own proxy: who gets to the site, and who to the waiting page."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.contract.helpers import terminate, wait_until
from tests.gate.conftest import Gated, running_gated, running_shop
from tests.gate.proxies import ORIGIN_KEY, PROXIES, running_proxy
from tests.support import plain_http
from tests.support.engines import free_port


@pytest.fixture(scope="module", params=PROXIES)
def proxy(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory, proxy: str) -> Iterator[Gated]:
    """One gate for each proxy."""
    with running_gated(tmp_path_factory.mktemp("gate"), proxy) as running:
        yield running


@pytest.fixture
def gated(gate: Gated) -> Gated:
    """The gate, with a queue that no test has used."""
    gate.begin_anew()
    return gate


@contextmanager
def visitor(gated: Gated, **headers: str) -> Iterator[httpx.Client]:
    """A browser, with these headers in all it asks."""
    way = plain_http.transport(local_address=gated.visitor)
    sent = {"Accept": "text/html", **{name.replace("_", "-"): value for name, value in headers.items()}}
    with plain_http.client(base_url=gated.url, transport=way, headers=sent, timeout=20) as client:
        yield client


def hold(gated: Gated) -> None:
    """Have somebody stand in line, so that nobody walks in."""
    gated.room.admin("PATCH", "/queues/demo", {"status": "paused", "unique_by": "none"})
    gated.room.join("demo")
    wait_until(lambda: gated.room.call("GET", "/queues/demo").json()["queue_length"] == 1)


def walk_in(browser: httpx.Client, path: str = "/tickets?row=1") -> None:
    """An empty line, a free room."""
    response = browser.get(path)
    assert (response.status_code, response.headers["Location"]) == (303, path)
    arrived = browser.get(path)
    assert (arrived.status_code, "The shop" in arrived.text) == (200, True)


@contextmanager
def frozen_store(gated: Gated) -> Iterator[None]:
    """Freeze the embedded store for a while: killed, it would be started again."""
    (pid,) = [
        int(each.name)
        for each in Path("/proc").iterdir()
        if each.name.isdecimal() and str(gated.data_dir / "store.sock") in _command(each)
    ]
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def _command(process: Path) -> str:
    try:
        return (process / "cmdline").read_text()
    except OSError:
        return ""


def test_who_waited_comes_back_to_what_was_asked_for_and_nobody_else_gets_to_the_site(gated: Gated) -> None:
    hold(gated)
    gated.room.admin("PATCH", "/queues/demo", {"target_url": f"{gated.url}/"})
    with visitor(gated) as browser:
        refused = browser.get("/tickets?row=1")
        assert refused.status_code == 303
        waits = refused.headers["Location"]
        assert waits == "/wait/demo?return=%2Ftickets%3Frow%3D1"
        page = browser.get(waits)
        assert (page.status_code, "You are" in page.text) == (200, True)
        assert browser.get(f"{waits}&plain=1").status_code == 200
        assert browser.post("/buy", content=b"a=1").status_code == 303
        assert gated.shop.seen == []
        gated.room.admin("PATCH", "/queues/demo", {"status": "active"})
        wait_until(lambda: browser.get("/wait/demo?plain=1").status_code == 303)
        entered = browser.get("/wait/demo?plain=1").headers["Location"]
        assert entered.startswith(f"{gated.url}/tickets?row=1&wr_token=")
        arrives = browser.get(entered)
        assert (arrives.status_code, arrives.headers["Location"]) == (303, "/tickets?row=1")
        assert "The shop" in browser.get("/tickets?row=1").text
    assert [path for path, _ in gated.shop.seen] == ["/tickets?row=1"]
    assert "wr_token" not in str(gated.shop.seen)


def test_who_walks_in_is_known_to_the_site_and_out_within_two_seconds_of_being_terminated(
    gated: Gated,
) -> None:
    with visitor(gated) as browser:
        walk_in(browser)
        for _ in range(5):
            assert browser.get("/more").status_code == 200
        (session,) = {session for _, session in gated.shop.seen}
        assert session
        hold(gated)
        terminate(gated.room, session)
        wait_until(lambda: browser.get("/tickets").status_code == 303, seconds=2)
        assert urlsplit(browser.get("/tickets").headers["Location"]).path == "/wait/demo"


@pytest.mark.parametrize("proxy", ["nginx", "envoy"], indirect=True, scope="module")
def test_the_site_ends_a_session_with_a_header_of_its_answer(gated: Gated) -> None:
    with visitor(gated) as browser:
        walk_in(browser)
        hold(gated)
        gated.shop.command = "end"
        assert browser.get("/thanks").status_code == 200
        wait_until(lambda: browser.get("/tickets").status_code == 303, seconds=3)


@pytest.mark.parametrize(
    "path", ["/admin", "/api/v1/admin/queues", "/api/v1/gate/demo", "/api/v1/gate-commands/demo"]
)
def test_what_is_not_for_visitors_is_not_reached_through_the_proxy(gated: Gated, path: str) -> None:
    hold(gated)
    with visitor(gated, X_Admin_Key=gated.room.admin_key, X_WR_Origin_Key=ORIGIN_KEY) as attacker:
        for answer in (attacker.get(path), attacker.post(path)):
            assert (answer.status_code, answer.headers["Location"][:10]) == (303, "/wait/demo")


def test_no_header_of_a_visitor_makes_another_path_of_what_was_asked_for(gated: Gated) -> None:
    hold(gated)
    gated.room.admin("PATCH", "/queues/demo", {"open_paths": "/robots.txt /assets/*"})
    for header in (
        "X-Original-URI",
        "X-Forwarded-Uri",
        "X-Original-URL",
        "X-Forwarded-Path",
        "X-Rewrite-URL",
    ):
        with visitor(gated, **{header: "/robots.txt"}) as attacker:
            assert attacker.get("/tickets").status_code == 303, header
    assert gated.shop.seen == []
    with visitor(gated) as anybody:
        assert anybody.get("/robots.txt").status_code == 200
        # The waiting room's own files stand elsewhere, so these are the site's.
        assert "The shop" in anybody.get("/assets/site.css").text


def test_live_updates_come_through_the_proxy_as_they_happen(gated: Gated) -> None:
    hold(gated)
    token = gated.room.join("demo").json()["token"]
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    key = {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Authorization": f"Bearer {token}"}
    with (
        visitor(gated) as browser,
        browser.stream("GET", "/ws/queues/demo", headers={**upgrade, **key}) as socket,
        browser.stream(
            "GET", "/api/v1/queues/demo/events", headers={"Authorization": f"Bearer {token}"}
        ) as events,
    ):
        assert socket.status_code == 101
        assert b"position_update" in socket.extensions["network_stream"].read(65_536, timeout=5)
        assert "position_update" in next(events.iter_text())


def test_nobody_says_where_they_come_from_or_whose_session_they_have(gated: Gated) -> None:
    hold(gated)
    changes = {"open_addresses": "10.0.0.0/8", "open_paths": "/robots.txt"}
    gated.room.admin("PATCH", "/queues/demo", changes)
    forged = {"X-Forwarded-For": "10.1.2.3", "X-Real-Ip": "10.1.2.3", "Forwarded": "for=10.1.2.3"}
    with visitor(gated, **forged, **{"X-WR-Session": "somebody-elses", "X-WR-Queue": "demo"}) as attacker:
        assert attacker.get("/tickets").status_code == 303
        assert attacker.get("/robots.txt").status_code == 200
        for path in ("//robots.txt", "/robots.txt;/../tickets", "/%2e/robots.txt", "/x/%2e%2e/robots.txt"):
            attacker.get(httpx.URL(gated.url).copy_with(raw_path=path.encode()))
    # Some proxies mend a path before they ask and before they pass it on, which is as good.
    assert set(gated.shop.seen) == {("/robots.txt", "")}
    gated.room.admin("PATCH", "/queues/demo", {"open_addresses": f"{gated.visitor}/32"})
    with visitor(gated) as checker:
        assert checker.get("/tickets").status_code == 200


def test_while_the_store_is_away_who_is_in_stays_in_and_the_policy_decides_on_others(
    gated: Gated,
) -> None:
    policies = {"outage_policy": "budget", "outage_grace_seconds": 0, "outage_rate": 0.001}
    gated.room.admin("PATCH", "/queues/demo", policies)
    with visitor(gated) as inside, visitor(gated) as lucky, visitor(gated) as stranger:
        walk_in(inside)
        hold(gated)
        with frozen_store(gated):
            wait_until(lambda: "wr_outage-demo" in lucky.get("/a").headers.get("Set-Cookie", ""), seconds=20)
            # On the budget of this server, with all that belongs to the page; the next has to wait.
            assert [lucky.get(path).status_code for path in ("/a", "/a.css", "/a.js")] == [200, 200, 200]
            wait_until(lambda: stranger.get("/b").status_code == 503, seconds=20)
            away = stranger.get("/b")
            assert "Just a moment" in away.text
            assert int(away.headers["Retry-After"]) > 0
            assert inside.get("/tickets").status_code == 200


def test_while_the_waiting_room_itself_is_away_nobody_gets_to_the_site(proxy: str, tmp_path: Path) -> None:
    with (
        running_shop() as shop,
        running_proxy(proxy, tmp_path, free_port(), shop.port, is_room_there=False) as url,
    ):
        wait_until(lambda: plain_http.get(f"{url}/tickets", timeout=20).status_code >= 500, seconds=20)
        assert plain_http.post(f"{url}/buy", timeout=20).status_code >= 500
        assert shop.seen == []
