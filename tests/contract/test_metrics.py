"""GET /metrics: what Prometheus is told is what happened, to the last person and request."""

import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
import trio
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tests.conftest import TEST_SETTINGS
from tests.contract.conftest import Stranded, running_site
from tests.contract.helpers import (
    Visit,
    activity_call,
    assert_refused,
    claims_of,
    enter,
    terminate,
    wait_until,
    waiting,
)
from tests.support import plain_http
from tests.support.clock import HandClock
from tests.support.engines import Engine
from tests.support.raw_http import connected
from tests.support.scrape import Scrape, scrape
from tests.support.site import BASE, Site, new_address
from tests.support.sockets import websocket
from wr.metrics.catalogue import METRICS

QUEUE_PATH = f"{BASE}/queues/{{queue_id}}"


@pytest.fixture(scope="module")
def alone(engine: Engine, store: redis.Redis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server that no other shares its store with: whatever happens, it did."""
    prefix = f"wr-test-{secrets.token_hex(4)}"
    limits = {"limit_heartbeat": "3/60", "limit_activity": "2/60"}
    settings = {**TEST_SETTINGS, **limits}
    with running_site(engine, prefix, HandClock(), tmp_path_factory, **settings) as running:
        yield running
    for key in store.scan_iter(match=f"{prefix}:*", count=1000):
        store.delete(key)


def of_queue(site: Site, queue_id: str) -> Callable[[str], float]:
    """Read one of a queue's figures at this moment."""
    return lambda name: scrape(site.http).value(f"wr_queue_{name}", queue=queue_id)


def grown(site: Site, act: Callable[[], object]) -> Callable[..., float]:
    """Do something; returns how much a sample has grown by it."""
    before = scrape(site.http)
    act()
    after = scrape(site.http)
    return lambda name, **labels: after.total(name, **labels) - before.total(name, **labels)


def test_three_who_join_are_three_joins_and_three_in_line(alone: Site) -> None:
    queue_id = alone.make_queue(status="paused")
    tokens = [waiting(alone, queue_id) for _ in range(3)]
    figure = of_queue(alone, queue_id)
    assert figure("joins_total") == 3
    wait_until(lambda: figure("waiting") == 3)
    assert alone.join(queue_id, token=tokens[0]).status_code == 200
    assert figure("joins_total") == 3


def test_a_queue_where_nothing_has_happened_counts_from_nought(alone: Site) -> None:
    queue_id = alone.make_queue(max_active_users=7, admission_rate=2.5)
    found = scrape(alone.http)
    for metric in METRICS:
        if metric.labels == ("queue",) and metric.name.endswith("_total"):
            assert found.value(metric.name, queue=queue_id) == 0
    assert found.value("wr_queue_wait_seconds_count", queue=queue_id) == 0
    assert found.value("wr_queue_max_active_users", queue=queue_id) == 7
    assert found.value("wr_queue_admission_rate", queue=queue_id) == 2.5


def test_who_is_let_in_is_counted_with_the_time_since_the_join(alone: Site) -> None:
    queue_id = alone.make_queue(status="paused", admission_rate=100)
    tokens = [waiting(alone, queue_id) for _ in range(2)]
    alone.clock.advance(6)
    alone.admin("PATCH", f"/queues/{queue_id}", {"status": "active"})
    for token in tokens:
        alone.admitted(queue_id, token)
    found = scrape(alone.http)
    name = "wr_queue_wait_seconds"
    assert found.value("wr_queue_admissions_total", queue=queue_id) == 2
    assert found.value(f"{name}_count", queue=queue_id) == 2
    assert found.value(f"{name}_bucket", queue=queue_id, le="5.0") == 0
    assert found.value(f"{name}_bucket", queue=queue_id, le="10.0") == 2
    assert 12 <= found.value(f"{name}_sum", queue=queue_id) < 20
    figure = of_queue(alone, queue_id)
    wait_until(lambda: (figure("waiting"), figure("active")) == (0, 2))


def test_who_falls_silent_is_an_expiry_and_a_session_that_is_over_has_ended(alone: Site) -> None:
    silent = alone.make_queue(status="paused", heartbeat_timeout_seconds=30)
    short = alone.make_queue(session_timeout_seconds=30)
    waiting(alone, silent)
    enter(alone, short)
    alone.clock.advance(31)
    wait_until(lambda: of_queue(alone, silent)("expiries_total") == 1)
    wait_until(lambda: of_queue(alone, short)("sessions_ended_total") == 1)
    assert of_queue(alone, silent)("sessions_ended_total") == 0
    assert of_queue(alone, short)("expiries_total") == 0


def test_leaving_being_thrown_out_and_being_sent_away_are_counted_apart(alone: Site) -> None:
    queue_id = alone.make_queue(admission_rate=100)
    inside = enter(alone, queue_id)
    assert terminate(alone, inside.session_id).status_code == 200
    alone.admin("PATCH", f"/queues/{queue_id}", {"status": "paused"})
    token = waiting(alone, queue_id)
    assert alone.call("DELETE", f"/queues/{queue_id}/position", token).status_code == 200
    assert alone.call("DELETE", f"/queues/{queue_id}/position", token).status_code == 404
    for _ in range(2):
        waiting(alone, queue_id)
    assert alone.admin("POST", f"/queues/{queue_id}/flush").json()["flushed"] == 2
    figure = of_queue(alone, queue_id)
    counts = {name: figure(f"{name}_total") for name in ("terminations", "cancellations", "flushed", "joins")}
    assert counts == {"terminations": 1, "cancellations": 1, "flushed": 2, "joins": 4}


def test_who_is_turned_away_is_counted_by_the_reason(alone: Site) -> None:
    queue_id = alone.make_queue(status="paused", max_queue_size=1)
    waiting(alone, queue_id)
    for _ in range(2):
        assert_refused(alone.join(queue_id), 503, "QUEUE_FULL")
    alone.admin("PATCH", f"/queues/{queue_id}", {"status": "maintenance"})
    assert_refused(alone.join(queue_id), 503, "MAINTENANCE_MODE")
    found = scrape(alone.http)
    name = "wr_queue_turned_away_total"
    assert found.value(name, queue=queue_id, reason="full") == 2
    assert found.value(name, queue=queue_id, reason="maintenance") == 1
    assert found.value("wr_queue_joins_total", queue=queue_id) == 1


def test_who_may_not_join_is_counted_by_the_reason(alone: Site) -> None:
    queue_id = alone.make_queue(status="paused", max_places_per_address=1, unique_by="ip")
    reasons = ("address", "identity", "blocked", "pass", "full", "maintenance")

    def counts() -> list[float]:
        found = scrape(alone.http)
        return [found.value("wr_queue_turned_away_total", queue=queue_id, reason=each) for each in reasons]

    assert alone.join(queue_id, address="192.0.2.1").status_code == 201
    assert counts() == [0, 0, 0, 0, 0, 0], "a rate is known from the first refusal on"
    assert_refused(alone.join(queue_id, address="192.0.2.1"), 409, "IDENTITY_TAKEN")
    alone.admin("PATCH", f"/queues/{queue_id}", {"unique_by": "none"})
    assert_refused(alone.join(queue_id, address="192.0.2.1"), 429, "TOO_MANY_PLACES")
    alone.admin("POST", f"/queues/{queue_id}/blocks", {"address": "192.0.2.2", "block_for": 60})
    assert_refused(alone.join(queue_id, address="192.0.2.2"), 403, "BLOCKED")
    alone.admin("PATCH", f"/queues/{queue_id}", {"entry": "pass"})
    assert_refused(alone.join(queue_id), 403, "PASS_REQUIRED")
    assert counts() == [1, 1, 1, 1, 0, 0]


def beyond_heartbeats(site: Site) -> tuple[str, Callable[[], object]]:
    queue_id = site.make_queue(status="paused", heartbeat_timeout_seconds=7200)
    token = waiting(site, queue_id)
    return queue_id, lambda: [site.heartbeat(queue_id, token) for _ in range(5)]


def beyond_activities(site: Site) -> tuple[str, Callable[[], object]]:
    visit = enter(site, site.make_queue(admission_rate=100))
    return visit.queue_id, lambda: [activity_call(site, visit, {"action": "click"}) for _ in range(4)]


def beyond_joins(site: Site) -> tuple[str, Callable[[], object]]:
    queue_id, address = site.make_queue(status="paused"), new_address()
    return queue_id, lambda: [site.join(queue_id, address=address) for _ in range(12)]


def beyond_joins_of_no_queue(site: Site) -> tuple[str, Callable[[], object]]:
    address = new_address()
    return "", lambda: [site.join("no-such-queue", address=address) for _ in range(12)]


@pytest.mark.parametrize(
    ("scope", "scene"),
    [
        ("heartbeat", beyond_heartbeats),
        ("activity", beyond_activities),
        ("enqueue", beyond_joins),
        ("enqueue", beyond_joins_of_no_queue),
    ],
)
def test_each_request_beyond_a_limit_is_counted_by_scope_and_queue(
    alone: Site, scope: str, scene: Callable[[Site], tuple[str, Callable[[], object]]]
) -> None:
    queue_id, act = scene(alone)
    alone.clock.advance((60_000 - alone.clock() % 60_000) / 1000 + 0.01)
    by = grown(alone, act)
    assert by("wr_rate_limited_total", scope=scope, queue=queue_id) == 2
    assert by("wr_rate_limited_total", queue=queue_id) == 2


def test_no_label_is_made_of_what_a_client_writes(alone: Site) -> None:
    made_up = f"made-up-{secrets.token_hex(4)}"
    token = secrets.token_hex(8)
    for path in (f"/{made_up}", f"{BASE}/queues/{made_up}/status", f"{BASE}/sessions/{made_up}"):
        alone.http.get(path, headers={"Authorization": f"Bearer {token}"}, params={"access_token": token})
    alone.http.request(made_up.upper(), "/health")
    alone.join(made_up)
    text = scrape(alone.http).text
    assert made_up not in text
    assert made_up.upper() not in text
    assert token not in text


def test_requests_are_counted_by_the_tables_path_the_method_and_the_status(alone: Site) -> None:
    queue_id = alone.make_queue(status="paused")
    token = waiting(alone, queue_id)

    def act() -> None:
        for _ in range(3):
            assert alone.status(queue_id, token).status_code == 200
        assert alone.call("GET", f"/queues/{queue_id}/status").status_code == 401
        assert alone.http.head("/health").status_code == 200
        assert alone.http.get("/nothing/here").status_code == 404
        assert alone.http.request("BREW", "/health").status_code == 405

    by = grown(alone, act)
    name = "wr_http_requests_total"
    assert by(name, route=f"{QUEUE_PATH}/status", method="GET", status="200") == 3
    assert by(name, route=f"{QUEUE_PATH}/status", method="GET", status="401") == 1
    assert by(name, route="/health", method="GET", status="200") == 1
    assert by(name, route="none", method="GET", status="404") == 1
    assert by(name, route="none", method="other", status="405") == 1
    assert by("wr_http_request_seconds_count", route=f"{QUEUE_PATH}/status") == 4
    # The first of the two that `grown` asks for is the eighth: it was not counted when it was spelled.
    assert by(name) == 8


async def test_open_streams_are_counted_by_kind_until_they_end(alone: Site) -> None:
    queue_id = alone.make_queue(status="paused", heartbeat_timeout_seconds=7200)
    tokens = [waiting(alone, queue_id) for _ in range(2)]

    def streams() -> tuple[float, float]:
        found = scrape(alone.http)
        return found.value("wr_live_streams", kind="websocket"), found.value("wr_live_streams", kind="events")

    def follow() -> tuple[float, float]:
        headers = {"Authorization": f"Bearer {tokens[1]}"}
        with plain_http.stream(
            "GET", f"{alone.url}{BASE}/queues/{queue_id}/events", headers=headers
        ) as answer:
            assert answer.status_code == 200
            return streams()

    async with websocket(alone, queue_id, tokens[0]) as socket:
        await socket.message()
        assert await trio.to_thread.run_sync(streams) == (1, 0)
        assert await trio.to_thread.run_sync(follow) == (1, 1)
    await trio.to_thread.run_sync(lambda: wait_until(lambda: streams() == (0, 0)))
    found = scrape(alone.http)
    name = "wr_http_requests_total"
    websockets = "/ws/queues/{queue_id}"
    assert found.value(name, route=websockets, method="WEBSOCKET", status="101") == 1
    assert found.value(name, route=f"{QUEUE_PATH}/events", method="GET", status="200") == 1


async def test_open_connections_are_counted_until_they_end(alone: Site) -> None:
    def connections() -> float:
        return scrape(alone.http).value("wr_http_connections")

    host, _, port = alone.url.removeprefix("http://").partition(":")
    before = await trio.to_thread.run_sync(connections)
    async with connected((host, int(port))), connected((host, int(port))) as second:
        # Whoever has been answered is connected, and whoever connected before that too.
        await second.request("GET", "/health")
        assert await trio.to_thread.run_sync(connections) == before + 2
    await trio.to_thread.run_sync(lambda: wait_until(lambda: connections() == before))


def test_the_items_of_all_batches_are_the_requests_that_were_made(alone: Site) -> None:
    queue_id = alone.make_queue(status="paused")
    by = grown(alone, lambda: [waiting(alone, queue_id) for _ in range(5)])
    assert by("wr_store_batch_items_sum", script="enqueue") == 5
    trips = by("wr_store_round_trips_total", script="enqueue")
    # One after the other they cannot share a batch.
    assert trips == by("wr_store_batch_items_count", script="enqueue") == 5
    assert by("wr_store_round_trip_seconds_count", script="enqueue") == 5
    assert by("wr_store_round_trip_seconds_sum", script="enqueue") > 0
    assert by("wr_store_errors_total") == 0


def test_passes_are_calls_of_the_store_and_rounds_of_the_loop(alone: Site) -> None:
    alone.make_queue()
    before = scrape(alone.http)

    def has_grown() -> bool:
        now = scrape(alone.http)
        return all(
            now.total(name, **labels) > before.total(name, **labels)
            for name, labels in (
                ("wr_store_round_trips_total", {"script": "admit"}),
                ("wr_store_round_trips_total", {"script": "command"}),
                ("wr_admission_lag_seconds_count", {}),
                ("wr_admission_round_seconds_count", {}),
                ("wr_event_loop_delay_seconds_count", {}),
            )
        )

    wait_until(has_grown)
    assert scrape(alone.http).value("wr_admission_failures_total") == 0


def test_a_store_that_is_away_shows_as_errors_and_failed_rounds_and_metrics_are_told_all_the_same(
    stranded: Stranded,
) -> None:
    http = stranded.site.http
    before = scrape(http).total("wr_store_errors_total", script="poll")
    assert stranded.site.status(stranded.queue_id, stranded.token).status_code == 503
    found = scrape(http)
    assert found.total("wr_store_errors_total", script="poll") == before + 1
    wait_until(lambda: scrape(http).value("wr_admission_failures_total") > 0)
    route = f"{QUEUE_PATH}/status"
    assert found.total("wr_http_requests_total", route=route, status="503") >= 1


def test_a_queue_that_was_deleted_through_another_server_is_forgotten(site: Site, replica: Site) -> None:
    queue_id = site.make_queue(status="paused")
    for at in (site, replica):
        waiting(at, queue_id)
        assert scrape(at.http).value("wr_queue_joins_total", queue=queue_id) == 1
    site.admin("DELETE", f"/queues/{queue_id}")
    for at in (site, replica):
        wait_until(lambda at=at: queue_id not in scrape(at.http).values_of("queue"))  # type: ignore[misc]


def test_each_server_counts_what_it_did_so_that_the_sum_is_right(site: Site, replica: Site) -> None:
    queue_id = site.make_queue(status="paused")
    for at, count in ((site, 2), (replica, 3)):
        for _ in range(count):
            waiting(at, queue_id)
    site.admin("PATCH", f"/queues/{queue_id}", {"status": "active", "admission_rate": 100})

    def total(name: str) -> float:
        return sum(scrape(at.http).value(name, queue=queue_id) for at in (site, replica))

    assert total("wr_queue_joins_total") == 5
    wait_until(lambda: total("wr_queue_admissions_total") == 5)
    assert total("wr_queue_wait_seconds_count") == 5


def test_it_is_told_in_prometheus_own_format_and_in_openmetrics_when_asked_for(alone: Site) -> None:
    plain = alone.http.get("/metrics")
    assert plain.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert plain.headers["Cache-Control"] == "no-store"
    accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
    answer = plain_http.get(f"{alone.url}/metrics", headers={"Accept": accept})
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    names = {family.name for family in text_string_to_metric_families(answer.text)}
    assert "wr_queue_joins" in names
    assert "wr_http_request_seconds" in names


def test_metrics_answer_head_without_a_body(alone: Site) -> None:
    answer = alone.http.head("/metrics")
    assert answer.status_code == 200
    assert answer.content == b""
    assert int(answer.headers["Content-Length"]) > 1000


def test_without_a_token_visitors_from_outside_are_refused(alone: Site) -> None:
    for forwarded in ("203.0.113.9", "10.0.0.1, 203.0.113.9"):
        answer = alone.http.get("/metrics", headers={"X-Forwarded-For": forwarded})
        assert_refused(answer, 403, "FORBIDDEN")
    assert alone.http.get("/metrics", headers={"X-Forwarded-For": "10.1.2.3"}).status_code == 200


def test_a_proxy_that_is_not_trusted_lets_nobody_pass_for_one_of_us(
    engine: Engine, prefix: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    settings = {**TEST_SETTINGS, "trusted_proxies": "192.0.2.1"}
    with running_site(engine, prefix, HandClock(), tmp_path_factory, **settings) as site:
        assert site.http.get("/metrics").status_code == 200
        for said in ("127.0.0.1", "10.0.0.1", "203.0.113.9", ""):
            answer = site.http.get("/metrics", headers={"X-Forwarded-For": said})
            assert_refused(answer, 403, "FORBIDDEN")


def test_with_a_token_whoever_brings_it_is_answered_and_nobody_else(
    engine: Engine, prefix: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    settings = {**TEST_SETTINGS, "metrics_token": "scraper-secret"}
    with running_site(engine, prefix, HandClock(), tmp_path_factory, **settings) as site:
        for given in ({}, {"Authorization": "Bearer guess"}, {"Authorization": "scraper-secret"}):
            assert_refused(site.http.get("/metrics", headers=given), 401, "UNAUTHORIZED")
        right = {"Authorization": "Bearer scraper-secret", "X-Forwarded-For": "203.0.113.9"}
        assert site.http.get("/metrics", headers=right).status_code == 200


def test_metrics_tell_of_no_person(alone: Site) -> None:
    visit: Visit = enter(alone, alone.make_queue(admission_rate=100))
    alone.status(visit.queue_id, visit.token)
    text = scrape(alone.http).text
    secrets_of: list[Any] = [visit.position_id, visit.session_id, visit.token, visit.session_token]
    for secret in [*secrets_of, claims_of(visit.token)["sub"], alone.admin_key]:
        assert str(secret) not in text


def test_every_metric_of_the_catalogue_is_told_with_its_labels_and_no_other(alone: Site) -> None:
    queue_id, act = beyond_heartbeats(alone)
    act()
    found: Scrape = scrape(alone.http)
    assert {name for name in found.metrics if name.startswith("wr_")} == {each.name for each in METRICS}
    for metric in METRICS:
        name = f"{metric.name}_count" if metric.kind == "histogram" else metric.name
        assert found.labels[name] == set(metric.labels), name
    assert {"process_start_time_seconds", "process_resident_memory_bytes"} <= found.metrics
    assert queue_id in found.values_of("queue")
