"""The registry of queues names every queue that exists, whoever creates and deletes it at the same time."""

import itertools
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

from tests.support.engines import Engine
from tests.support.store_over import store_over
from wr.model.queue_settings import QueueConfig
from wr.server.settings import Settings
from wr.store.connection import Connection
from wr.store.key_names import KeyNames
from wr.store.queue_repository import QueueRepository

MOST_STEPS = 4


class Stepped:
    """A connection whose calls are made one by one, each when it is let go."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._steps, self._steps_taken = trio.open_memory_channel[None](0)
        self._send, self._arrivals = trio.open_memory_channel[str](0)

    async def run(self, *arguments: Any) -> Any:
        await self._send.send("calls")
        await self._steps_taken.receive()
        return await self._connection.run(*arguments)

    async def run_each(self, *arguments: Any) -> Any:
        await self._send.send("calls")
        await self._steps_taken.receive()
        return await self._connection.run_each(*arguments)

    async def call(self, *arguments: Any) -> Any:
        await self._send.send("calls")
        await self._steps_taken.receive()
        return await self._connection.call(*arguments)

    async def follow(self, work: Callable[[], Awaitable[object]]) -> None:
        """Do something with this connection, and say when it is done."""
        await work()
        await self._send.send("done")

    async def arrive(self) -> bool:
        """Wait until the next call is asked for; False if there is none any more."""
        return await self._arrivals.receive() == "calls"

    async def step(self) -> bool:
        """Make the call that waits, and wait for the next; False if that was the last."""
        await self._steps.send(None)
        return await self.arrive()


@asynccontextmanager
async def two_operators(engine: Engine) -> AsyncIterator[tuple[QueueRepository, Stepped, Stepped, KeyNames]]:
    keys = KeyNames(f"wr-test-{secrets.token_hex(4)}")
    connection = Connection(engine.url)
    async with store_over(connection, Settings().limits, keys.prefix) as store:
        yield store.queues, Stepped(connection), Stepped(connection), keys
        for key in (keys.shared("queues"), *keys.queue("q", "config")):
            await connection.run(key, lambda client, key=key: client.delete(key))


def orders() -> list[str]:
    """Every order of up to four calls of each of two operators."""
    calls = MOST_STEPS * 2
    return [
        "".join("c" if place in creates else "d" for place in range(calls))
        for creates in itertools.combinations(range(calls), MOST_STEPS)
    ]


@pytest.mark.parametrize("exists_before", [True, False], ids=["existing", "new"])
async def test_a_queue_that_exists_is_listed_in_whatever_order_it_was_created_and_deleted(
    engine: Engine, exists_before: bool
) -> None:
    config = QueueConfig(id="q", name="Q", target_url="https://shop.example/")
    outcomes = set()
    for order in orders():
        with trio.fail_after(10):
            async with two_operators(engine) as (shelf, creating, deleting, keys):
                if exists_before:
                    assert await shelf.write(config, 0)
                creator, deleter = (QueueRepository(each, keys) for each in (creating, deleting))  # type: ignore[arg-type]
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(creating.follow, lambda creator=creator: creator.write(config, 0))
                    nursery.start_soon(deleting.follow, lambda deleter=deleter: deleter.delete("q"))
                    goes_on = {"c": await creating.arrive(), "d": await deleting.arrive()}
                    for operator in order:
                        if goes_on[operator]:
                            goes_on[operator] = await (creating if operator == "c" else deleting).step()
                    assert not any(goes_on.values()), "more calls than expected"
                exists = await shelf.read("q") is not None
                outcomes.add(exists)
                if exists:
                    assert await shelf.names() == ["q"], order
    assert outcomes == {True, False}


async def test_a_queue_that_exists_and_is_not_listed_is_listed_again_and_no_other(engine: Engine) -> None:
    config = QueueConfig(id="q", name="Q", target_url="https://shop.example/")
    async with two_operators(engine) as (shelf, _, _, keys):
        assert await shelf.write(config, 0)
        with engine.client() as client:
            client.srem(keys.shared("queues"), "q")
        assert await shelf.restore(["none", "q"]) == ["q"]
        assert await shelf.names() == ["q"]
        assert await shelf.restore([]) == []
