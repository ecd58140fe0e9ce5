"""Where webhooks and dead letters are kept: for all replicas, bounded, each letter for one taker."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from tests.support.engines import Engine
from wr.model.webhooks import DeadLetter, Webhook
from wr.store.connection import Connection
from wr.store.keys import Keys
from wr.store.webhooks import WebhookShelf


@asynccontextmanager
async def opened(engine: Engine, most: int = 1_000) -> AsyncIterator[WebhookShelf]:
    keys = Keys(f"wr-test-{secrets.token_hex(4)}")
    connection = Connection(engine.url)
    yield WebhookShelf(connection, keys, most)
    connection.close()
    with engine.client() as client:
        for part in ("webhooks", "dead_letters"):
            client.delete(keys.shared(part))


def webhook(number: int) -> Webhook:
    return Webhook(
        id=f"id-{number}", url="https://example.com/", events=["*"], secret="s", created_ms=100 - number
    )


def letter(number: int) -> DeadLetter:
    return DeadLetter(
        webhook_id="w",
        event_id=str(number),
        event_type="position.expired",
        queue_id="q",
        whose="",
        body="{}",
        attempts=8,
        error="Ä",
        died_ms=number,
    )


async def test_webhooks_are_listed_oldest_first_until_they_are_deleted(engine: Engine) -> None:
    async with opened(engine) as shelf:
        for number in (1, 2, 3):
            await shelf.add(webhook(number))
        assert list(await shelf.list()) == [webhook(3), webhook(2), webhook(1)]
        assert await shelf.delete("id-2")
        assert not await shelf.delete("id-2")
        assert list(await shelf.list()) == [webhook(3), webhook(1)]


async def test_the_newest_dead_letters_are_kept_newest_first(engine: Engine) -> None:
    async with opened(engine, most=3) as shelf:
        await shelf.bury([letter(1), letter(2)])
        await shelf.bury([letter(3), letter(4)])
        assert [kept.letter for kept in await shelf.dead_letters()] == [letter(4), letter(3), letter(2)]


async def test_of_all_who_want_to_take_a_letter_one_gets_it(engine: Engine) -> None:
    async with opened(engine) as shelf:
        await shelf.bury([letter(1), letter(2)])
        wanted = (await shelf.dead_letters())[0].id
        got: list[DeadLetter | None] = []

        async def take() -> None:
            got.append(await shelf.take_letter(wanted))

        async with trio.open_nursery() as nursery:
            for _ in range(8):
                nursery.start_soon(take)
        assert [found for found in got if found is not None] == [letter(2)]
        assert [kept.letter for kept in await shelf.dead_letters()] == [letter(1)]
