"""One queue whose data is spoilt holds up nobody but itself."""

import secrets

import pytest
import trio

from tests.support.engines import Engine
from wr.model.limits import Limit
from wr.model.queue_settings import QueueConfig
from wr.store.key_names import KeyNames
from wr.store.store import open_store

LIMITS = {scope: Limit(0) for scope in ("enqueue", "status", "heartbeat", "activity", "admin")}


async def test_the_other_queues_have_their_admission_pass(engine: Engine, prefix: str) -> None:
    good, bad = (f"{name}-{secrets.token_hex(4)}" for name in ("good", "bad"))
    with trio.fail_after(10):
        async with open_store(engine.url, LIMITS, prefix=prefix) as store:
            for queue_id in (good, bad):
                config = QueueConfig(id=queue_id, name="Q", target_url="https://shop.example/")
                assert await store.queues.write(config, await store.clock_ms())
            (spoilt,) = KeyNames(prefix).queue(bad, "config")
            with engine.client() as client:
                client.hset(spoilt, "admission_rate", "many")
            passes = await store.passes.admit([bad, good])
    assert list(passes) == [good]


async def test_a_pass_over_more_queues_than_one_round_trip_takes_is_refused_before_any_is_done(
    engine: Engine, prefix: str
) -> None:
    with trio.fail_after(10):
        async with open_store(engine.url, LIMITS, prefix=prefix) as store:
            assert len(await store.passes.admit([f"q-{number}" for number in range(64)])) == 64
            with pytest.raises(ValueError, match="64 queues at most in one pass, not 65"):
                await store.passes.admit([f"q-{number}" for number in range(65)])
