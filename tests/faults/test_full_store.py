"""A store that fills up: joins stop before heartbeats suffer, and it recovers by itself."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
import redis

from tests.cli.conftest import run_wr
from tests.conftest import TEST_SETTINGS
from tests.contract.documented import Documented
from tests.support.clock import HandClock
from tests.support.engines import ENGINES, Engine, MissingEngine, running_engine
from tests.support.processes import eventually
from tests.support.scrape import scrape
from tests.support.server import running_server
from tests.support.site import BASE, Site, error_code
from wr.store.key_names import KeyNames

MIB = 2**20
METADATA = {f"field-{number:02}": "x" * 180 for number in range(20)}
PRIVATE = [name for name in ENGINES if not name.startswith("external") and "cluster" not in name]


@pytest.fixture(params=PRIVATE)
def own_engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """A store that nobody else uses: its memory is the test's to take."""
    if not PRIVATE:
        pytest.skip("the store is not ours to fill")
    try:
        with running_engine(request.param, tmp_path) as running:
            yield running
    except MissingEngine as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))


@pytest.fixture
def own_store(own_engine: Engine) -> Iterator[redis.Redis]:
    with own_engine.client() as client:
        yield client


@pytest.fixture
def own_site(own_engine: Engine, tmp_path: Path) -> Iterator[Site]:
    """A server on that store, its time moved by hand."""
    with serving(own_engine, tmp_path, HandClock()) as running:
        yield running


@contextmanager
def serving(engine: Engine, folder: Path, clock: HandClock) -> Iterator[Site]:
    settings = {**TEST_SETTINGS, "store_url": engine.url, "data_dir": str(folder / "data")}
    with running_server(clock, **settings) as ready:
        running = Site(ready.url, ready.admin_key, clock, engine, "wr")
        # Each answer must be one that the server's own document describes.
        running.http.event_hooks = {"response": [Documented(running.http.get(f"{BASE}/openapi.json").json())]}
        yield running
        running.http.close()


def used_bytes(store: redis.Redis) -> int:
    return int(store.info("memory")["used_memory"])


def fill(site: Site, queue_id: str) -> httpx.Response:
    """Join with as much metadata as may be until nobody gets a place any more; returns that refusal."""
    for _ in range(3000):
        response = site.join(queue_id, {"metadata": METADATA})
        if response.status_code != 201:
            return response
    raise AssertionError("the store never was full")


def health(site: Site) -> tuple[int, str, str]:
    response = site.http.get("/health")
    body = response.json()
    return response.status_code, body["status"], body["components"]["dragonflydb"]


def part_used(site: Site) -> float:
    metrics = scrape(site.http)
    return metrics.value("wr_store_memory_used_bytes") / metrics.value("wr_store_memory_max_bytes")


def concert_join(site: Site, user_id: int) -> httpx.Response:
    return site.call("POST", "/waiting-queue/join", json={"userId": user_id, "concertId": 1})


def activity(site: Site, session_token: str) -> httpx.Response:
    session_id = jwt.decode(session_token, options={"verify_signature": False})["sub"]
    return site.call("POST", f"/sessions/{session_id}/activity", session_token, {"action": "page_view"})


def a_visitor_and_a_container_are_told(site: Site, queue_id: str) -> None:
    page = site.http.get(f"/wait/{queue_id}?plain=1")
    assert (page.status_code, page.headers["content-type"]) == (503, "text/html; charset=utf-8")
    assert 20 <= int(page.headers["refresh"].partition(";")[0]) <= 40
    looked = run_wr("health", "--url", site.url)
    assert looked.exit_code == 0, "it is not to be restarted"
    assert looked.stdout.startswith("!")


def test_a_store_that_fills_up_refuses_joins_serves_everybody_else_and_recovers_by_itself(
    own_site: Site, own_store: redis.Redis
) -> None:
    site = own_site
    queue_id = site.make_queue(status="paused", heartbeat_timeout_seconds=60)
    lobby = site.make_queue(session_timeout_seconds=86_400)
    session_token = site.admitted(lobby, site.join(lobby).json()["token"])["session_token"]
    token = site.join(queue_id).json()["token"]
    leaver = site.join(queue_id).json()["token"]
    site.make_queue(id="concert-1", status="paused")
    assert concert_join(site, 1).json()["status"] == "WAITING"
    own_store.config_set("maxmemory", used_bytes(own_store) + 6 * MIB)

    refused = fill(site, queue_id)

    assert refused.status_code == 503
    assert error_code(refused) == "SERVICE_UNAVAILABLE"
    assert "no memory for more places" in refused.json()["error"]["message"]
    assert int(refused.headers["retry-after"]) == 15
    waiting = site.status(queue_id, token).json()["queue_length"]
    assert waiting > 500

    def everybody_else_is_served() -> None:
        assert site.join(queue_id).status_code == 503
        assert site.heartbeat(queue_id, token).status_code == 200
        assert site.status(queue_id, token).json()["position"] == 1
        assert concert_join(site, 2).status_code == 503
        # To join again is to find the place.
        assert concert_join(site, 1).json()["status"] == "WAITING"
        assert site.join(queue_id, token=token).status_code == 200
        assert activity(site, session_token).status_code == 200
        assert site.admin("GET", f"/queues/{queue_id}/stats").status_code == 200
        assert health(site) == (200, "healthy", "full")
        metrics = scrape(site.http)
        assert metrics.value("wr_store_is_full") == 1
        assert metrics.value("wr_queue_turned_away_total", queue=queue_id, reason="memory") >= 1

    everybody_else_is_served()
    a_visitor_and_a_container_are_told(site, queue_id)
    eventually(lambda: part_used(site) > 0.9, "the metrics tell how much is used")

    # Short of memory is not out of it yet. Now it is.
    own_store.config_set("maxmemory", used_bytes(own_store) - MIB // 4)
    with pytest.raises(redis.OutOfMemoryError):
        own_store.set("more", 1)
    everybody_else_is_served()
    assert site.call("DELETE", f"/queues/{queue_id}/position", leaver).status_code == 200
    assert site.admin("PATCH", f"/queues/{queue_id}", {"admission_rate": 3}).status_code == 200

    def is_due() -> bool:
        site.clock.advance(3)
        assert site.heartbeat(queue_id, token).status_code == 200
        return bool(site.status(queue_id, token).json()["queue_length"] == 1)

    eventually(is_due, "the silent are dropped", seconds=30)
    eventually(lambda: site.join(queue_id).status_code == 201, "joins are taken again")
    eventually(lambda: health(site) == (200, "healthy", "healthy"), "health says so, a second late at most")
    eventually(lambda: scrape(site.http).value("wr_store_is_full") == 0, "the metrics say so")
    assert site.status(queue_id, token).json()["position"] == 1


def test_a_full_store_goes_on_letting_people_in(own_site: Site, own_store: redis.Redis) -> None:
    site = own_site
    queue_id = site.make_queue(status="paused", admission_rate=1000)
    tokens = [site.join(queue_id).json()["token"] for _ in range(5)]
    own_store.config_set("maxmemory", 1)
    assert site.admin("PATCH", f"/queues/{queue_id}", {"status": "active"}).status_code == 200
    for token in tokens:
        assert site.admitted(queue_id, token)["admitted"]
    session_token = site.admitted(queue_id, tokens[0])["session_token"]
    session_id = jwt.decode(session_token, options={"verify_signature": False})["sub"]
    ended = site.admin("DELETE", f"/sessions/{session_id}", {"block_for": 3600})
    assert ended.status_code == 200
    assert ended.json()["blocked_until"]
    assert activity(site, session_token).status_code == 410
    assert site.admin("DELETE", f"/queues/{queue_id}").status_code == 200


def test_health_is_proved_by_a_write_that_many_checks_share(own_site: Site, own_store: redis.Redis) -> None:
    site = own_site
    assert health(site) == (200, "healthy", "healthy")

    def written() -> int:
        told: dict[str, Any] = own_store.info("commandstats")
        return int(told["cmdstat_set"]["calls"])

    before = written()
    for _ in range(100):
        site.http.get("/health")
    assert written() - before <= 5
    # It answers, and takes no writes: as a replica, or one whose disk is full.
    own_store.config_set("min-replicas-to-write", 1)
    eventually(lambda: health(site) == (503, "unhealthy", "unhealthy"), "it is unhealthy")
    own_store.config_set("min-replicas-to-write", 0)
    assert health(site) == (200, "healthy", "healthy")


def test_a_server_starts_on_a_full_store_and_frees_it(
    own_engine: Engine, own_store: redis.Redis, tmp_path: Path
) -> None:
    clock = HandClock()
    with serving(own_engine, tmp_path, clock) as first:
        queue_id = first.make_queue(status="paused", heartbeat_timeout_seconds=60)
        for _ in range(20):
            assert first.join(queue_id, {"metadata": METADATA}).status_code == 201
    (extras,) = KeyNames().queue(queue_id, "extras")
    assert own_store.hlen(extras) == 20
    own_store.config_set("maxmemory", 1)
    with serving(own_engine, tmp_path, clock) as second:

        def line_is_empty() -> bool:
            clock.advance(3)
            stats = second.admin("GET", f"/queues/{queue_id}/stats")
            return bool(stats.json()["current_waiting"] == 0)

        eventually(line_is_empty, "the silent are dropped", seconds=30)
        assert own_store.hlen(extras) == 0
        own_store.config_set("maxmemory", 0)
        eventually(lambda: second.join(queue_id).status_code == 201, "joins are taken again")
