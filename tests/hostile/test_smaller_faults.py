"""Smaller faults, each seen from outside."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import httpx
import pytest

from tests.conftest import TEST_SETTINGS
from tests.contract.gate import with_session
from tests.contract.helpers import enter, open_queue, wait_until
from tests.support.clock import HandClock
from tests.support.engines import Engine
from tests.support.scrape import scrape
from tests.support.server import running_server
from tests.support.site import BASE, Site, new_address


@pytest.fixture
def rare_passes(engine: Engine, prefix: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server that runs a pass only every ten seconds, unless one is asked for."""
    settings = {
        **TEST_SETTINGS,
        "store_url": engine.url,
        "store_prefix": f"{prefix}-rare",
        "data_dir": str(tmp_path_factory.mktemp("rare")),
        "fast_lane": engine.fast_lane,
        "admission_interval": "10",
        "grace": "0.2",
    }
    with running_server(None, **settings) as ready:
        site = Site(ready.url, ready.admin_key, HandClock(), engine, f"{prefix}-rare")
        yield site
        site.http.close()


def page_views(site: Site, session_id: str) -> int:
    return int(site.admin("GET", f"/sessions/{session_id}").json()["page_views"])


def test_a_page_view_that_comes_while_a_report_is_under_way_counts_once(site: Site) -> None:
    visit = enter(site, open_queue(site))

    def view() -> None:
        assert with_session(site, visit, "/", **{"Sec-Fetch-Dest": "document"}).status_code == 204

    for _ in range(4):
        view()
    with site.engine.client() as store:
        store.client_pause(2000, all=True)
    # Then the report of three views waits for the store, and what the gate knows of the session is too old.
    time.sleep(1.3)
    late = threading.Thread(target=view)
    late.start()
    late.join()
    wait_until(lambda: page_views(site, visit.session_id) >= 5)
    view()
    wait_until(lambda: page_views(site, visit.session_id) >= 6)
    assert page_views(site, visit.session_id) == 6


def test_a_crowd_that_walks_in_at_once_costs_few_passes_of_the_queue(rare_passes: Site) -> None:
    queue_id = open_queue(rare_passes)

    def passes_so_far() -> int:
        return int(scrape(rare_passes.http).total("wr_store_round_trips_total", script="admit"))

    def walk_in(visitor: httpx.Client) -> str:
        headers = {"X-Forwarded-Uri": "/a", "X-Forwarded-Method": "GET", "X-Forwarded-For": new_address()}
        return str(visitor.get(f"{BASE}/gate/{queue_id}", headers=headers).headers["Location"])

    before = passes_so_far()
    with ExitStack() as stack, ThreadPoolExecutor(40) as pool:
        visitors = [
            stack.enter_context(httpx.Client(base_url=rare_passes.url, timeout=10, verify=False))
            for _ in range(40)
        ]
        with rare_passes.engine.client() as store:
            # All of them have asked to join when the store answers the first.
            store.client_pause(2000, all=True)
        assert list(pool.map(walk_in, visitors)) == ["/a"] * 40
    # The first joins alone, most others while it is on its way; one pass of the loop counts too.
    assert passes_so_far() - before <= 10


def test_a_queue_that_a_server_left_unlisted_lets_in_whoever_comes_to_it(site: Site) -> None:
    queue_id = open_queue(site)
    with site.engine.client() as store:
        store.srem(f"{site.prefix}:{{*}}:queues", queue_id)
    enter(site, queue_id)
    listed = site.admin("GET", "/queues").json()["queues"]
    assert queue_id in [each["queue"]["id"] for each in listed]
