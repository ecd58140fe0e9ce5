"""The gate where nobody waits: a visitor walks in at once, and takes one place in doing so."""

import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.cookies import SimpleCookie
from urllib.parse import urlsplit

import pytest
import redis

from tests.conftest import TEST_SETTINGS
from tests.contract.conftest import running_site
from tests.contract.gate import admitted_today, ask
from tests.contract.helpers import enter, open_queue, wait_until
from tests.support.clock import HandClock
from tests.support.engines import Engine
from tests.support.site import Site, new_address


def test_where_nobody_waits_a_visitor_walks_in_at_once(site: Site) -> None:
    queue_id = open_queue(site)
    response = ask(site, queue_id, "/tickets?a=1", **{"X-Forwarded-For": "198.51.100.7"})
    assert (response.status_code, response.headers["Location"]) == (303, "/tickets?a=1")
    (cookie,) = SimpleCookie(response.headers["Set-Cookie"]).values()
    passed = ask(site, queue_id, **{"Cookie": f"{cookie.key}={cookie.value}"})
    assert passed.status_code == 204
    assert site.admin("GET", f"/queues/{queue_id}/stats").json()["current_active"] == 1


def test_who_keeps_no_cookies_is_not_let_in_again_and_again(site: Site) -> None:
    queue_id = open_queue(site)
    visitor = {"X-Forwarded-For": "198.51.100.8"}
    assert ask(site, queue_id, "/a", **visitor).headers["Location"] == "/a"
    for _ in range(3):
        again = ask(site, queue_id, "/a", **visitor)
        assert again.headers["Location"] == f"/wait/{queue_id}?return=%2Fa"
    other = ask(site, queue_id, "/a", **{"X-Forwarded-For": "198.51.100.9"})
    assert other.headers["Location"] == "/a"
    assert site.admin("GET", f"/queues/{queue_id}/stats").json()["total_admitted_today"] == 2


def test_where_the_room_is_full_or_the_line_is_held_nobody_walks_in(site: Site) -> None:
    full = open_queue(site, max_active_users=1)
    enter(site, full)
    wait_until(lambda: site.call("GET", f"/queues/{full}").json()["estimated_wait_seconds"] > 1)
    held = site.make_queue(status="paused")
    closed = site.make_queue(status="maintenance")
    for queue_id in (full, held, closed):
        response = ask(site, queue_id)
        assert urlsplit(response.headers["Location"]).path == f"/wait/{queue_id}", queue_id


def test_who_asks_ten_times_at_once_is_let_in_once(site: Site) -> None:
    queue_id = open_queue(site, max_active_users=100)
    visitor = {"X-Forwarded-For": "198.51.100.20"}
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: ask(site, queue_id, "/a", **visitor), range(10)))
    assert sum(answer.headers["Location"] == "/a" for answer in answers) == 1
    assert admitted_today(site, queue_id) == 1
    assert site.call("GET", f"/queues/{queue_id}").json()["queue_length"] == 0


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-Method": "OPTIONS", "Access-Control-Request-Method": "POST"},
        {"X-Forwarded-Method": "HEAD"},
        {"X-Forwarded-Method": "POST"},
        {"Sec-Fetch-Dest": "image", "Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Dest": "empty", "Sec-Fetch-Mode": "cors"},
        {"Sec-Fetch-Dest": "document", "Sec-Purpose": "prefetch;prerender"},
        {"Purpose": "prefetch"},
    ],
)
def test_what_is_no_page_takes_no_place(site: Site, headers: dict[str, str]) -> None:
    queue_id = open_queue(site)
    answer = ask(site, queue_id, "/x", **headers)
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/wait/{queue_id}")
    assert "Set-Cookie" not in answer.headers
    assert admitted_today(site, queue_id) == 0
    assert site.call("GET", f"/queues/{queue_id}").json()["queue_length"] == 0


def test_a_place_that_a_visitor_has_already_is_the_one_that_gets_in(site: Site) -> None:
    queue_id = open_queue(site, unique_by="none")
    joined = site.join(queue_id)
    token = joined.json()["token"]
    site.admitted(queue_id, token)
    back = ask(site, queue_id, "/a", Cookie=f"wr-{queue_id}={token}")
    assert back.headers["Location"] == "/a"
    assert admitted_today(site, queue_id) == 1


def test_who_could_not_walk_in_may_try_again_at_once(
    site: Site, tmp_path_factory: pytest.TempPathFactory
) -> None:
    settings = {**TEST_SETTINGS, "public_url": "https://wait.example.com"}
    with running_site(site.engine, site.prefix, site.clock, tmp_path_factory, **settings) as other:
        queue_id = open_queue(other, admission_rate=0.01)
        assert ask(other, queue_id, "/a", **{"X-Forwarded-For": "198.51.100.40"}).headers["Location"] == "/a"
        visitor = {"X-Forwarded-For": "198.51.100.41"}
        assert ask(other, queue_id, "/a", **visitor).headers["Location"] != "/a"
        other.admin("PATCH", f"/queues/{queue_id}", {"admission_rate": 1000})
        wait_until(lambda: ask(other, queue_id, "/a", **visitor).headers["Location"] == "/a", seconds=5)


def test_no_place_is_taken_where_the_waiting_page_could_not_know_of_it(
    site: Site, tmp_path_factory: pytest.TempPathFactory
) -> None:
    settings = {**TEST_SETTINGS, "admission_interval": "5", "public_url": "https://wait.example.com"}
    with running_site(site.engine, site.prefix, site.clock, tmp_path_factory, **settings) as other:
        queue_id = open_queue(other, admission_rate=0.01)
        answers = [
            ask(other, queue_id, "/a", **{"X-Forwarded-For": f"198.51.100.{100 + number}"})
            for number in range(4)
        ]
        assert [answer.headers["Location"] == "/a" for answer in answers] == [True, False, False, False]
        for answer in answers[1:]:
            assert urlsplit(answer.headers["Location"]).netloc == "wait.example.com"
            assert "Set-Cookie" not in answer.headers
        wait_until(lambda: site.call("GET", f"/queues/{queue_id}").json()["queue_length"] == 0)
        wait_until(lambda: other.call("GET", f"/queues/{queue_id}").json()["queue_length"] == 0)
        there = ask(other, queue_id, "/a", **{"X-Forwarded-Host": "wait.example.com"})
        assert SimpleCookie(there.headers["Set-Cookie"]).keys() == {f"wr-{queue_id}"}


@pytest.fixture(scope="module")
def still(engine: Engine, store: redis.Redis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server with a store of its own that admits once a minute: until then a line looks empty to it."""
    prefix = f"wr-test-{secrets.token_hex(4)}"
    settings = {**TEST_SETTINGS, "admission_interval": "60"}
    with running_site(engine, prefix, HandClock(), tmp_path_factory, **settings) as running:
        yield running
    for key in store.scan_iter(match=f"{prefix}:*", count=1000):
        store.delete(key)


@pytest.mark.parametrize("query", ["", "?refuse=401"])
@pytest.mark.parametrize(
    ("settings", "has_place", "is_blocked"),
    [
        ({"unique_by": "ip"}, True, False),
        ({"max_places_per_address": 1}, True, False),
        ({"entry": "pass"}, False, False),
        ({}, False, True),
    ],
)
def test_a_visitor_that_may_take_no_place_is_sent_to_the_waiting_page(
    still: Site, settings: dict[str, object], has_place: bool, is_blocked: bool, query: str
) -> None:
    queue_id = open_queue(still, **settings)
    address = new_address()
    if has_place:
        assert still.join(queue_id, address=address).status_code == 201
    if is_blocked:
        blocked = still.admin("POST", f"/queues/{queue_id}/blocks", {"address": address, "block_for": 60})
        assert blocked.status_code == 201
    response = ask(still, queue_id, "/a", query=query, **{"X-Forwarded-For": address})
    assert response.status_code == (401 if query else 303)
    where = response.headers["X-WR-Location" if query else "Location"]
    assert where == f"/wait/{queue_id}?return=%2Fa"
    assert "Set-Cookie" not in response.headers


def test_a_pass_in_an_address_of_the_site_opens_nothing_at_the_gate(site: Site) -> None:
    queue_id = open_queue(site, entry="pass")
    given = site.admin("POST", f"/queues/{queue_id}/passes", {}).json()["passes"][0]["pass"]
    response = ask(site, queue_id, f"/a?pass={given}", **{"X-Forwarded-For": new_address()})
    assert urlsplit(response.headers["Location"]).path == f"/wait/{queue_id}"
    assert admitted_today(site, queue_id) == 0
