"""What visitors, proxies and sites send most is answered without a task: each way and each set of headers."""

import secrets
from collections.abc import Callable, Iterator

import pytest
import redis

from tests.conftest import TEST_SETTINGS
from tests.contract.conftest import running_site
from tests.contract.gate import ask
from tests.contract.helpers import Visit, enter, open_queue, waiting
from tests.support.clock import HandClock
from tests.support.engines import Engine
from tests.support.scrape import scrape
from tests.support.site import BASE, Site, new_address

IN_TASKS = "wr_http_requests_in_tasks_total"
BROWSER = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/128.0.0.0",
    "Accept": "*/*",
    "Accept-Language": "en-US,en;q=0.9",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Referer": "http://127.0.0.1/wait/q",
    "sec-ch-ua": '"Chromium";v="128", "Not;A=Brand";v="24"',
    "sec-ch-ua-platform": '"Linux"',
    "sec-ch-ua-mobile": "?0",
    "Sec-Fetch-Site": "same-origin",
    "Sec-Fetch-Mode": "cors",
    "Sec-Fetch-Dest": "empty",
    "Connection": "keep-alive",
}
PROXIED = {
    "X-Forwarded-Proto": "https",
    "X-Real-IP": "203.0.113.9",
    "X-Request-Id": "edge-1",
    "Via": "1.1 edge",
}
CLIENTS = {"a library": {}, "a browser": BROWSER, "a browser behind a proxy": {**BROWSER, **PROXIED}}


@pytest.fixture(scope="module")
def quick(engine: Engine, store: redis.Redis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server with the fast lane, whatever the engine, that allows pages of another site."""
    prefix = f"wr-test-{secrets.token_hex(4)}"
    settings = {**TEST_SETTINGS, "fast_lane": "on", "allowed_origins": "https://shop.example"}
    with running_site(engine, prefix, HandClock(), tmp_path_factory, **settings) as running:
        yield running
    for key in store.scan_iter(match=f"{prefix}:*", count=1000):
        store.delete(key)


def in_tasks(site: Site) -> float:
    """How many requests needed a task so far, but those that ask this."""
    found = scrape(site.http)
    return found.total(IN_TASKS) - found.total(IN_TASKS, route="/metrics")


def assert_needs_no_task(site: Site, act: Callable[[], object]) -> None:
    before = in_tasks(site)
    act()
    assert in_tasks(site) == before


@pytest.mark.parametrize("client", CLIENTS)
def test_a_visitor_joins_asks_and_sends_heartbeats(quick: Site, client: str) -> None:
    queue_id = quick.make_queue(status="paused", unique_by="none")
    headers = {**CLIENTS[client], "X-Forwarded-For": new_address()}
    token = waiting(quick, queue_id)

    def act() -> None:
        assert quick.join(queue_id, {"priority": 0}, headers=dict(headers)).status_code == 201
        authorized = {**headers, "Authorization": f"Bearer {token}"}
        path = f"/queues/{queue_id}"
        assert quick.call("GET", path, headers=dict(headers)).status_code == 200
        assert quick.call("GET", f"{path}/status", headers=dict(authorized)).status_code == 200
        assert quick.call("POST", f"{path}/heartbeat", json={}, headers=dict(authorized)).status_code == 200
        assert quick.call("POST", f"{path}/heartbeat", headers=dict(authorized)).status_code == 200

    assert_needs_no_task(quick, act)


@pytest.mark.parametrize("client", CLIENTS)
def test_a_page_keeps_its_token_in_a_cookie(quick: Site, client: str) -> None:
    queue_id = quick.make_queue(status="paused", unique_by="none")
    asked = {"X-WR-Token": "cookie", "Origin": quick.url, **CLIENTS[client]}
    cookie = {**asked, "Cookie": f"theme=dark; wr-{queue_id}={waiting(quick, queue_id)}"}

    def act() -> None:
        joined = quick.join(queue_id, {}, headers=dict(asked))
        assert (joined.status_code, "Set-Cookie" in joined.headers) == (201, True)
        for method, name in (("GET", "status"), ("POST", "heartbeat")):
            told = quick.call(method, f"/queues/{queue_id}/{name}", headers=dict(cookie))
            assert (told.status_code, "Set-Cookie" in told.headers) == (200, True)
        quick.http.cookies.clear()

    assert_needs_no_task(quick, act)


def test_a_page_of_the_site_joins_with_the_headers_that_let_it_read_the_answer(quick: Site) -> None:
    queue_id = quick.make_queue(status="paused", unique_by="none")
    origin = {"Origin": "https://shop.example", "Content-Type": "application/json"}

    def act() -> None:
        joined = quick.join(queue_id, {}, headers=dict(origin))
        assert joined.status_code == 201
        assert joined.headers["Access-Control-Allow-Origin"] == "https://shop.example"

    assert_needs_no_task(quick, act)


def test_an_admitted_visitor_asks_reports_and_passes_the_gate(quick: Site) -> None:
    visit: Visit = enter(quick, open_queue(quick))
    authorized = {"Authorization": f"Bearer {visit.session_token}"}
    path = f"/sessions/{visit.session_id}"
    passing = {"Cookie": f"wr_session-{visit.queue_id}={visit.session_token}"}
    # The server hears of the session, and signs its token, once.
    assert ask(quick, visit.queue_id, **passing).status_code == 204
    assert quick.heartbeat(visit.queue_id, visit.token).status_code == 200

    def act() -> None:
        assert quick.call("GET", path, headers=dict(authorized)).status_code == 200
        seen = quick.call("POST", f"{path}/activity", json={"action": "page_view"}, headers=dict(authorized))
        assert seen.status_code == 200
        assert quick.heartbeat(visit.queue_id, visit.token).json()["status"] == "admitted"
        assert quick.status(visit.queue_id, visit.token).json()["admitted"]
        assert ask(quick, visit.queue_id, "/basket", **passing).status_code == 204

    assert_needs_no_task(quick, act)


def test_a_user_of_the_second_api_joins_and_asks(quick: Site) -> None:
    quick.make_queue(id="concert-7001", status="paused")

    def act() -> None:
        user = {"userId": 41, "concertId": 7001}
        assert quick.http.post(f"{BASE}/waiting-queue/join", json=user).json()["status"] == "WAITING"
        assert quick.http.get(f"{BASE}/waiting-queue/status", params=user).json()["rank"] == 1

    assert_needs_no_task(quick, act)


def test_a_call_that_is_refused_is_counted_as_one_that_needs_a_task(quick: Site) -> None:
    queue_id = quick.make_queue(status="paused")
    route = f"{BASE}/queues/{{queue_id}}/status"
    before = scrape(quick.http).total(IN_TASKS, route=route, method="GET")
    assert quick.call("GET", f"/queues/{queue_id}/status").status_code == 401
    assert scrape(quick.http).total(IN_TASKS, route=route, method="GET") == before + 1
