"""Listing queues costs a few round trips, not a few for each."""

import secrets
import time
from collections.abc import Callable
from typing import Any

import pytest
import redis
import trio

from tests.support.engines import Engine
from wr.events.event_bus import EventBus
from wr.metrics.process_metrics import ProcessMetrics
from wr.model.queue import QueueConfig
from wr.room.pass_reader import SiteKeys
from wr.server.settings import Settings
from wr.server.wiring import PRODUCTION_CLOCKS, assemble
from wr.store.cluster import Cluster
from wr.store.server_link import ServerLink
from wr.store.store import open_store


@pytest.mark.parametrize(("count", "round_trips"), [(0, 1), (1, 3), (64, 3), (65, 4)])
async def test_a_list_of_queues_takes_three_round_trips_for_each_64_of_them_at_most(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, count: int, round_trips: int
) -> None:
    prefix = f"wr-test-{secrets.token_hex(4)}"
    made = 0
    with trio.fail_after(30):
        async with open_store(engine.url, Settings().limits, prefix=prefix) as store:
            metrics = ProcessMetrics(time.perf_counter)
            house = assemble(
                store,
                Settings(),
                PRODUCTION_CLOCKS,
                metrics,
                EventBus(),
                SiteKeys(),
                most_streams_per_address=1,
                uptime_s=lambda: 0.0,
            )
            operators = house.operators
            for number in range(count):
                config = QueueConfig(id=f"q-{number:03}", name="Q", target_url="https://shop.example/")
                assert await store.queues.write(config, await store.clock_ms())
            run = ServerLink._in_thread

            async def counted(link: ServerLink, command: Callable[[redis.Redis], Any]) -> Any:
                nonlocal made
                # Other stores of this process run in other threads.
                made += link in own
                return await run(link, command)

            await store.queues.names()
            servers = store._connection._servers
            own = servers._links.values() if isinstance(servers, Cluster) else [servers]
            monkeypatch.setattr(ServerLink, "_in_thread", counted)
            listed = await operators.queues()
            with engine.client() as client:
                for key in client.scan_iter(match=f"{prefix}:*", count=1000):
                    client.delete(key)
    assert [stats.config.id for stats in listed] == [f"q-{number:03}" for number in range(count)]
    assert made == round_trips
