"""Operators' calls cost a few round trips each, whatever is listed or changed."""

import json
import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
import redis
import trio

from tests.support.engines import Engine
from wr.api.http_messages import HttpRequest
from wr.events.event_bus import EventBus
from wr.metrics.process_metrics import ProcessMetrics
from wr.model.queue_settings import QueueConfig
from wr.room.pass_reader import SiteKeys
from wr.server.settings import Settings
from wr.server.wiring import PRODUCTION_CLOCKS, Wiring, assemble
from wr.store.cluster import Cluster
from wr.store.script import Script
from wr.store.server_link import ServerLink
from wr.store.store import Store, open_store

ADMIN_KEY = "the key of this test"


class RoundTrips:
    """Counts what one store asks its servers, from when it is told to."""

    def __init__(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        self._store = store
        self._monkeypatch = monkeypatch
        self.made = 0

    def count(self) -> None:
        """Begin; the links are there by now."""
        run, call = ServerLink._in_thread, ServerLink.call
        servers = self._store._connection._servers
        # Other stores of this process run in other threads.
        own = servers._links.values() if isinstance(servers, Cluster) else [servers]

        async def counted(link: ServerLink, command: Callable[[redis.Redis], Any]) -> Any:
            self.made += link in own
            return await run(link, command)

        async def counted_call(
            link: ServerLink, script: Script, keys: Sequence[str], arguments: Sequence[Any], **rest: bool
        ) -> Any:
            self.made += link in own
            return await call(link, script, keys, arguments, **rest)

        self._monkeypatch.setattr(ServerLink, "_in_thread", counted)
        self._monkeypatch.setattr(ServerLink, "call", counted_call)


@asynccontextmanager
async def house(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, count: int
) -> AsyncIterator[tuple[Wiring, RoundTrips]]:
    """A server without listener and loops, with so many queues: it asks the store what a test has it ask."""
    prefix = f"wr-test-{secrets.token_hex(4)}"
    with trio.fail_after(30):
        async with open_store(engine.url, Settings().limits, prefix=prefix) as store:
            wiring = assemble(
                store,
                Settings(),
                PRODUCTION_CLOCKS,
                ProcessMetrics(time.perf_counter),
                EventBus(),
                SiteKeys(),
                most_streams_per_address=1,
                uptime_s=lambda: 0.0,
            )
            for number in range(count):
                config = QueueConfig(id=f"q-{number:03}", name="Q", target_url="https://shop.example/")
                assert await store.queues.write(config, await store.clock_ms())
            await store.queues.names()
            yield wiring, RoundTrips(store, monkeypatch)
            with engine.client() as client:
                for key in client.scan_iter(match=f"{prefix}:*", count=1000):
                    client.delete(key)


@pytest.mark.parametrize(("count", "round_trips"), [(0, 1), (1, 3), (64, 3), (65, 4)])
async def test_a_list_of_queues_takes_three_round_trips_for_each_64_of_them_at_most(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, count: int, round_trips: int
) -> None:
    async with house(engine, monkeypatch, count) as (wiring, trips):
        trips.count()
        listed = await wiring.operators.queues()
    assert [stats.config.id for stats in listed] == [f"q-{number:03}" for number in range(count)]
    assert trips.made == round_trips


async def test_a_change_of_a_queue_takes_four_round_trips(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house(engine, monkeypatch, 1) as (wiring, trips):
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
