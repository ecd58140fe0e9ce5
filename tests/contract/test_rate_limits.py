"""Rate limits: each row of the table, exact, on every server at once, and told in every answer."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.contract.helpers import (
    LIMIT_HEADERS,
    activity_call,
    assert_limit_headers,
    assert_refused,
    enqueue_path,
    enter,
    fresh_minute,
    open_queue,
    position_token,
    session_call,
    session_token,
    stats_of,
    terminate,
    waiting,
)
from tests.support.site import BASE, Site, new_address

Ask = Callable[[Site], httpx.Response]


def join_asker(site: Site) -> Ask:
    queue_id, address = site.make_queue(status="paused"), new_address()
    return lambda at: at.join(queue_id, address=address)


def status_asker(site: Site) -> Ask:
    queue_id = site.make_queue(status="paused", heartbeat_timeout_seconds=7200)
    token = waiting(site, queue_id)
    return lambda at: at.status(queue_id, token)


def heartbeat_asker(site: Site) -> Ask:
    queue_id = site.make_queue(status="paused", heartbeat_timeout_seconds=7200)
    token = waiting(site, queue_id)
    return lambda at: at.heartbeat(queue_id, token)


def activity_asker(site: Site) -> Ask:
    visit = enter(site, open_queue(site))
    return lambda at: activity_call(at, visit, {"action": "page_view"})


def session_asker(site: Site) -> Ask:
    visit = enter(site, open_queue(site))
    return lambda at: session_call(at, visit)


def admin_asker(site: Site) -> Ask:
    queue_id = site.make_queue(status="paused")
    return lambda at: at.admin("GET", f"/queues/{queue_id}")


# Each row of the table «Limits by Endpoint», then what else is counted with one of them.
ROWS: list[Any] = [
    pytest.param(join_asker, 10, id="enqueue 10 per minute per IP"),
    pytest.param(status_asker, 60, id="status 60 per minute per token"),
    pytest.param(heartbeat_asker, 30, id="heartbeat 30 per minute per token"),
    pytest.param(activity_asker, 100, id="activity 100 per minute per token"),
    pytest.param(admin_asker, 100, id="admin 100 per minute per key"),
    pytest.param(session_asker, 60, id="session status 60 per minute per token"),
]


@pytest.mark.parametrize(("asker", "limit"), ROWS)
def test_exactly_the_limit_is_let_through_whichever_of_two_servers_on_one_store_is_asked(
    limited: Site, limited_replica: Site, asker: Callable[[Site], Ask], limit: int
) -> None:
    ask = asker(limited)
    servers = [limited, limited_replica]
    fresh_minute(limited.clock)
    reset_s = limited.clock() // 60_000 * 60 + 60
    for used in range(1, limit + 1):
        response = ask(servers[used % 2])
        assert response.status_code in (200, 201), response.text
        assert assert_limit_headers(response, limit) == limit - used
        assert response.headers["X-RateLimit-Reset"] == str(reset_s)
    for server in servers:
        before_s = limited.clock() / 1000
        refused = ask(server)
        after_s = limited.clock() / 1000
        details = assert_refused(refused, 429, "RATE_LIMITED")
        assert assert_limit_headers(refused, limit) == 0
        assert refused.headers["X-RateLimit-Reset"] == str(reset_s)
        retry_s = int(refused.headers["Retry-After"])
        assert reset_s - after_s <= retry_s <= reset_s - before_s + 1
        assert details == {"retry_after_seconds": retry_s}
    limited.clock.advance(float(refused.headers["Retry-After"]))
    afresh = ask(limited)
    assert afresh.status_code in (200, 201), "the next minute starts afresh"
    assert assert_limit_headers(afresh, limit) == limit - 1
    assert afresh.headers["X-RateLimit-Reset"] == str(reset_s + 60)


def test_requests_that_arrive_together_are_counted_one_by_one(limited: Site, limited_replica: Site) -> None:
    queue_id, address = limited.make_queue(status="paused"), new_address()
    limited_replica.join(queue_id)
    servers = [limited, limited_replica]
    with ThreadPoolExecutor(16) as pool:
        answers = pool.map(lambda turn: servers[turn % 2].join(queue_id, address=address), range(40))
        codes = sorted(answer.status_code for answer in answers)
    assert codes == [201] * 10 + [429] * 30
    assert stats_of(limited, queue_id)["current_waiting"] == 11


def test_a_refused_request_changes_nothing(limited: Site) -> None:
    queue_id, address = limited.make_queue(status="paused"), new_address()
    for _ in range(13):
        limited.join(queue_id, address=address)
    stats = stats_of(limited, queue_id)
    assert (stats["current_waiting"], stats["total_enqueued_today"]) == (10, 10)


def test_a_refused_heartbeat_keeps_no_place(limited: Site) -> None:
    queue_id = limited.make_queue(
        status="paused", heartbeat_interval_seconds=10, heartbeat_timeout_seconds=50
    )
    token = waiting(limited, queue_id)
    fresh_minute(limited.clock)
    for _ in range(30):
        limited.heartbeat(queue_id, token)
    limited.clock.advance(40)
    assert_refused(limited.heartbeat(queue_id, token), 429, "RATE_LIMITED")
    limited.clock.advance(11)
    gone = limited.wait_for(lambda: limited.status(queue_id, token), lambda r: r.status_code != 200)
    assert_refused(gone, 410, "POSITION_EXPIRED")


def test_one_address_does_not_use_up_the_joins_of_another(limited: Site) -> None:
    queue_id, greedy = limited.make_queue(status="paused"), new_address()
    codes = [limited.join(queue_id, address=greedy).status_code for _ in range(11)]
    assert codes[-1] == 429
    assert limited.join(queue_id).status_code == 201


def test_a_spoofed_forwarded_for_does_not_escape_the_limit(limited: Site) -> None:
    queue_id, address = limited.make_queue(status="paused"), new_address()
    codes = [limited.join(queue_id, address=f"6.6.6.{n}, {address}").status_code for n in range(11)]
    assert codes == [201] * 10 + [429]


def test_all_of_an_ipv6_network_that_one_client_has_counts_as_one_address(limited: Site) -> None:
    queue_id = limited.make_queue(status="paused")
    codes = [limited.join(queue_id, address=f"2001:db8:0:1::{n:x}").status_code for n in range(11)]
    assert codes == [201] * 10 + [429]
    assert limited.join(queue_id, address="2001:db8:0:2::1").status_code == 201


def test_one_token_does_not_use_up_the_calls_of_another(limited: Site) -> None:
    queue_id = limited.make_queue(status="paused")
    greedy, modest = waiting(limited, queue_id), waiting(limited, queue_id)
    remaining = [assert_limit_headers(limited.heartbeat(queue_id, greedy), 30) for _ in range(3)]
    assert remaining == [29, 28, 27]
    assert assert_limit_headers(limited.heartbeat(queue_id, modest), 30) == 29


def test_the_scopes_of_one_token_are_counted_apart(limited: Site) -> None:
    queue_id = limited.make_queue(status="paused")
    token = waiting(limited, queue_id)
    assert [limited.heartbeat(queue_id, token).status_code for _ in range(31)][-1] == 429
    assert assert_limit_headers(limited.status(queue_id, token), 60) == 59
    assert limited.call("DELETE", f"/queues/{queue_id}/position", token).status_code == 200


def test_polling_as_a_visitor_in_line_does_not_use_up_the_session_of_the_one_let_in(limited: Site) -> None:
    visit = enter(limited, open_queue(limited))
    assert assert_limit_headers(limited.status(visit.queue_id, visit.token), 60) < 59
    assert assert_limit_headers(session_call(limited, visit), 60) == 59


@pytest.mark.parametrize(
    ("content", "status"), [(b"{", 400), (b'{"priority": 4}', 400), (b"x" * 20_000, 413)]
)
def test_bad_requests_are_counted_like_good_ones(limited: Site, content: bytes, status: int) -> None:
    queue_id, address = limited.make_queue(status="paused"), new_address()

    def ask() -> httpx.Response:
        headers = {"X-Forwarded-For": address, "Content-Type": "application/json"}
        return limited.http.post(enqueue_path(queue_id), content=content, headers=headers)

    answers = [ask() for _ in range(10)]
    assert [answer.status_code for answer in answers] == [status] * 10
    assert [assert_limit_headers(answer, 10) for answer in answers] == list(range(9, -1, -1))
    assert_refused(ask(), 429, "RATE_LIMITED")
    assert_refused(limited.join(queue_id, address=address), 429, "RATE_LIMITED")


def test_a_token_renewed_on_the_way_is_still_the_same_visitor(limited: Site) -> None:
    queue_id = limited.make_queue(status="paused", heartbeat_timeout_seconds=7200)
    token = waiting(limited, queue_id)
    limited.clock.advance(16 * 60)
    fresh_minute(limited.clock)
    renewed = limited.heartbeat(queue_id, token).json()["token"]
    assert renewed != token
    assert assert_limit_headers(limited.heartbeat(queue_id, renewed), 30) == 28


def test_guesses_at_the_admin_key_are_limited_by_address_and_cost_the_real_key_nothing(limited: Site) -> None:
    address = new_address()

    def guess(number: int) -> httpx.Response:
        headers = {"X-Admin-Key": f"guess-{number}", "X-Forwarded-For": address}
        return limited.call("GET", "/admin/queues", headers=headers)

    guesses = [guess(number) for number in range(3)]
    assert [answer.status_code for answer in guesses] == [403] * 3
    assert [assert_limit_headers(answer, 100) for answer in guesses] == [99, 98, 97]
    own = limited.admin("GET", "/queues", headers={"X-Forwarded-For": address})
    assert own.status_code == 200
    assert assert_limit_headers(own, 100) == 99


def test_false_tokens_are_limited_by_address_and_cost_true_ones_nothing(limited: Site) -> None:
    queue_id, address = limited.make_queue(status="paused"), new_address()
    token = waiting(limited, queue_id)

    def ask(given: str) -> httpx.Response:
        path, headers = f"/queues/{queue_id}/heartbeat", {"X-Forwarded-For": address}
        return limited.call("POST", path, given, headers=headers)

    assert [ask("false").status_code for _ in range(31)] == [401] * 30 + [429]
    assert ask(token).status_code == 200


@pytest.mark.parametrize("path", ["/health", f"{BASE}/health", "/.well-known/jwks.json"])
def test_what_has_no_limit_tells_of_one_that_nobody_comes_near(limited: Site, path: str) -> None:
    told = [limited.http.get(path) for _ in range(2)]
    assert [answer.status_code for answer in told] == [200, 200]
    for answer in told:
        assert [answer.headers[name] for name in LIMIT_HEADERS] == ["1000000", "1000000", "0"]


def full_queue(site: Site) -> str:
    queue_id = site.make_queue(status="paused", max_queue_size=1)
    waiting(site, queue_id)
    return queue_id


def left(site: Site) -> tuple[str, str]:
    queue_id = site.make_queue(status="paused")
    token = waiting(site, queue_id)
    assert site.call("DELETE", f"/queues/{queue_id}/position", token).status_code == 200
    return queue_id, token


def ended_session(site: Site) -> Any:
    visit = enter(site, open_queue(site))
    terminate(site, visit.session_id)
    return visit


def of_nobody(site: Site, method: str, last: str) -> httpx.Response:
    queue_id = site.make_queue(status="paused")
    return site.call(method, f"/queues/{queue_id}/{last}", position_token(site, queue_id))


def outdated(site: Site, method: str, last: str) -> httpx.Response:
    queue_id = site.make_queue(status="paused")
    return site.call(method, f"/queues/{queue_id}/{last}", position_token(site, queue_id, lasts_s=-1))


def session_of_nobody(site: Site) -> httpx.Response:
    token = session_token(site, site.make_queue())
    return site.call("GET", "/sessions/0", token)


def join_twice(site: Site) -> httpx.Response:
    queue_id = site.make_queue(status="paused")
    return site.join(queue_id, token=waiting(site, queue_id))


def bad_heartbeat(site: Site) -> httpx.Response:
    queue_id = site.make_queue(status="paused")
    return site.call("POST", f"/queues/{queue_id}/heartbeat", waiting(site, queue_id), {"timestamp": "x"})


def create_twice(site: Site) -> httpx.Response:
    body = {"id": site.make_queue(), "target_url": "https://shop.example"}
    return site.admin("POST", "/queues", body)


ANSWERS: list[tuple[str, int, int, Callable[[Site], httpx.Response]]] = [
    ("enqueue new", 201, 10, lambda s: s.join(s.make_queue(status="paused"))),
    ("enqueue again", 200, 10, join_twice),
    ("enqueue bad", 400, 10, lambda s: s.join(s.make_queue(), {"priority": 4})),
    ("enqueue no queue", 404, 10, lambda s: s.join("no-such-queue")),
    ("enqueue odd queue", 404, 10, lambda s: s.join("no such queue")),
    ("enqueue too long", 413, 10, lambda s: s.join(s.make_queue(), {"metadata": {"a": "x" * 17_000}})),
    ("enqueue full", 503, 10, lambda s: s.join(full_queue(s))),
    ("enqueue maintenance", 503, 10, lambda s: s.join(s.make_queue(status="maintenance"))),
    ("status no token", 401, 60, lambda s: s.call("GET", "/queues/x/status")),
    ("status unknown", 404, 60, lambda s: of_nobody(s, "GET", "status")),
    ("status left", 404, 60, lambda s: s.status(*left(s))),
    ("status outdated", 410, 60, lambda s: outdated(s, "GET", "status")),
    ("heartbeat no token", 401, 30, lambda s: s.call("POST", "/queues/x/heartbeat")),
    ("heartbeat bad", 400, 30, bad_heartbeat),
    ("heartbeat left", 410, 30, lambda s: s.heartbeat(*left(s))),
    ("heartbeat outdated", 410, 30, lambda s: outdated(s, "POST", "heartbeat")),
    ("cancel no token", 401, 60, lambda s: s.call("DELETE", "/queues/x/position")),
    ("cancel unknown", 404, 60, lambda s: of_nobody(s, "DELETE", "position")),
    ("session no token", 401, 60, lambda s: s.call("GET", "/sessions/x")),
    ("session of another", 401, 60, session_of_nobody),
    ("session ended", 410, 60, lambda s: session_call(s, ended_session(s))),
    ("activity no token", 401, 100, lambda s: s.call("POST", "/sessions/x/activity")),
    ("activity bad", 400, 100, lambda s: activity_call(s, enter(s, open_queue(s)), {"action": 1})),
    ("activity ended", 410, 100, lambda s: activity_call(s, ended_session(s))),
    ("admin no key", 403, 100, lambda s: s.call("GET", "/admin/queues")),
    ("admin bad", 400, 100, lambda s: s.admin("POST", "/queues", {"id": "x"})),
    ("admin no queue", 404, 100, lambda s: s.admin("GET", "/queues/no-such-queue")),
    ("admin conflict", 409, 100, create_twice),
    ("admin ended session", 410, 100, lambda s: terminate(s, ended_session(s).session_id)),
    ("admin too long", 413, 100, lambda s: s.admin("POST", "/queues", {"id": "x" * 17_000})),
]


@pytest.mark.parametrize(
    ("status", "limit", "ask"), [row[1:] for row in ANSWERS], ids=[row[0] for row in ANSWERS]
)
def test_every_answer_of_a_limited_scope_tells_its_limit_errors_too(
    limited: Site, status: int, limit: int, ask: Callable[[Site], httpx.Response]
) -> None:
    response = ask(limited)
    assert response.status_code == status, response.text
    assert assert_limit_headers(response, limit) < limit
