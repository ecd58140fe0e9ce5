"""Operators' calls cost a few round trips each, whatever is listed or changed."""

import json
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from tests.support.engines import Engine
from wr.api.http_messages import HttpRequest
from wr.events.event_bus import EventBus
from wr.metrics.process_metrics import ProcessMetrics
from wr.metrics.server_metrics import StoreMetrics
from wr.model.queue_settings import QueueConfig
from wr.room.pass_reader import SiteKeys
from wr.server.settings import Settings
from wr.server.wiring import PRODUCTION_CLOCKS, Wiring, assemble
from wr.store.store import open_store

ADMIN_KEY = "the key of this test"


class RoundTrips:
    """Counts what a store asks its servers, from when it is told to."""

    def __init__(self, metrics: StoreMetrics) -> None:
        self._metrics = metrics
        self._before = 0

    def count(self) -> None:
        """Begin."""
        self._before = self._all()

    @property
    def made(self) -> int:
        """How many were made since then."""
        return self._all() - self._before

    def _all(self) -> int:
        return sum(tally.round_trips for _, tally in self._metrics.all())


@asynccontextmanager
async def house(engine: Engine, count: int) -> AsyncIterator[tuple[Wiring, RoundTrips]]:
    """A server without listener and loops, with so many queues: it asks the store what a test has it ask."""
    prefix = f"wr-test-{secrets.token_hex(4)}"
    with trio.fail_after(30):
        metrics = ProcessMetrics(time.perf_counter)
        async with open_store(engine.url, Settings().limits, prefix=prefix, metrics=metrics) as store:
            wiring = assemble(
                store,
                Settings(),
                PRODUCTION_CLOCKS,
                metrics,
                EventBus(),
                SiteKeys(),
                most_streams_per_address=1,
                uptime_s=lambda: 0.0,
            )
            for number in range(count):
                config = QueueConfig(id=f"q-{number:03}", name="Q", target_url="https://shop.example/")
                assert await store.queues.write(config, await store.clock_ms())
            await store.queues.names()
            yield wiring, RoundTrips(metrics.store)
            with engine.client() as client:
                for key in client.scan_iter(match=f"{prefix}:*", count=1000):
                    client.delete(key)


@pytest.mark.parametrize(("count", "round_trips"), [(0, 1), (1, 3), (64, 3), (65, 4)])
async def test_a_list_of_queues_takes_three_round_trips_for_each_64_of_them_at_most(
    engine: Engine, count: int, round_trips: int
) -> None:
    async with house(engine, count) as (wiring, trips):
        trips.count()
        listed = await wiring.operators.queues()
    assert [stats.config.id for stats in listed] == [f"q-{number:03}" for number in range(count)]
    assert trips.made == round_trips


async def test_a_change_of_a_queue_takes_four_round_trips(engine: Engine) -> None:
    async with house(engine, 1) as (wiring, trips):
        api = wiring.api(Settings(), ADMIN_KEY, None)
        request = HttpRequest(
            method="PATCH",
            path="/api/v1/admin/queues/q-000",
            query="",
            headers={"x-admin-key": ADMIN_KEY, "content-type": "application/json", "x-operator": "zoe"},
            body=b'{"admission_rate": 0.5, "status": "paused"}',
            peer="127.0.0.1",
        )
        before = await wiring.store.queues.read("q-000")
        trips.count()
        response = await api.handle(request)
        assert response.status == 200, response.body
        # The limit, the settings, the change, the audit trail.
        assert trips.made == 4
        stored = await wiring.store.queues.read("q-000")
        seen = wiring.queue_cache.last_seen("q-000")
        (entry,) = (await wiring.store.audit.page(limit=2)).entries
    assert before is not None
    assert stored is not None
    answer = json.loads(response.body)
    assert (answer["admission_rate"], answer["status"]) == (0.5, "paused")
    assert (stored.admission_rate, stored.status, stored.version) == (0.5, "paused", before.version + 1)
    assert seen is not None
    assert seen.config == stored, "what the server goes by is what the store has, times and version too"
    assert (entry.entry.operator, entry.entry.at_ms) == ("zoe", stored.updated_ms)
