"""Where webhooks and dead letters are kept: for all replicas, bounded, each letter for one taker."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest
import redis
import trio

from tests.support.engines import Engine
from wr.model.webhooks import MOST_WEBHOOKS, DeadLetter, Webhook
from wr.store.connection import Connection
from wr.store.dead_letter_repository import DeadLetters
from wr.store.key_names import KeyNames
from wr.store.webhook_repository import SaveOutcome, WebhookRepository


@asynccontextmanager
async def opened(engine: Engine) -> AsyncIterator[tuple[WebhookRepository, Connection, KeyNames]]:
    keys = KeyNames(f"wr-test-{secrets.token_hex(4)}")
    connection = Connection(engine.url)
    yield WebhookRepository(connection, keys), connection, keys
    connection.close()
    with engine.client() as client:
        for key in client.scan_iter(match=f"{keys.prefix}:*", count=1000):
            client.delete(key)


def webhook(number: int) -> Webhook:
    return Webhook(
        id=f"id-{number}", url="https://example.com/", events=["*"], secret="s", created_ms=100 - number
    )


def letter(number: int, webhook_id: str = "w") -> DeadLetter:
    return DeadLetter(
        webhook_id=webhook_id,
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
    async with opened(engine) as (storage, _, _):
        for number in (1, 2, 3):
            assert await storage.add(webhook(number)) is SaveOutcome.YES
        assert list(await storage.list()) == [webhook(3), webhook(2), webhook(1)]
        assert await storage.delete("id-2")
        assert not await storage.delete("id-2")
        assert list(await storage.list()) == [webhook(3), webhook(1)]


async def test_of_all_who_add_at_once_no_more_succeed_than_there_is_room_for(engine: Engine) -> None:
    async with opened(engine) as (storage, _, _):
        for number in range(MOST_WEBHOOKS - 1):
            await storage.add(webhook(number))
        became: list[SaveOutcome] = []

        async def add(number: int) -> None:
            became.append(await storage.add(webhook(number)))

        async with trio.open_nursery() as nursery:
            for number in range(100, 108):
                nursery.start_soon(add, number)
        assert sorted(became) == [SaveOutcome.YES] + [SaveOutcome.TOO_MANY] * 7
        assert len(await storage.list()) == MOST_WEBHOOKS


async def test_a_webhook_is_replaced_only_where_it_is_as_it_was_read(engine: Engine) -> None:
    async with opened(engine) as (storage, _, _):
        before = webhook(1)
        await storage.add(before)
        one, other = (msgspec.structs.replace(before, secret=secret) for secret in ("one", "other"))
        assert await storage.replace(before, one) is SaveOutcome.YES
        assert await storage.replace(before, other) is SaveOutcome.CHANGED_MEANWHILE
        assert list(await storage.list()) == [one]
        await storage.delete(before.id)
        assert await storage.replace(one, other) is SaveOutcome.CHANGED_MEANWHILE
        assert list(await storage.list()) == []


async def test_what_cannot_be_read_is_left_out_and_said_once(
    engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    async with opened(engine) as (storage, connection, keys):
        await storage.add(webhook(1))
        await storage.dead_letters.bury([letter(1)])

        def spoil(client: redis.Redis) -> None:
            client.hset(keys.shared("webhooks"), "spoilt", b'{"id":"spoilt"}')
            client.xadd(keys.shared("dead_letters:w"), {"letter": b"{"})

        await connection.run(keys.shared("webhooks"), spoil)
        capsys.readouterr()
        for _ in range(3):
            assert list(await storage.list()) == [webhook(1)]
        assert capsys.readouterr().out.count("a webhook cannot be read") == 1
        assert [kept.letter for kept in await storage.dead_letters.newest()] == [letter(1)]
        assert "a dead letter cannot be read" in capsys.readouterr().out
        assert await storage.delete("spoilt")


async def test_one_webhook_pushes_out_its_own_letters_only_and_how_many_is_told(engine: Engine) -> None:
    async with opened(engine) as (_, connection, keys):
        letters = DeadLetters(connection, keys, most=3)
        assert await letters.bury([letter(0, "quiet")]) == 0
        assert await letters.bury([letter(1), letter(2)]) == 0
        assert await letters.bury([letter(number) for number in range(3, 8)]) == 4
        assert [kept.letter for kept in await letters.newest("w")] == [letter(7), letter(6), letter(5)]
        assert [kept.letter for kept in await letters.newest("quiet")] == [letter(0, "quiet")]


async def test_letters_of_all_webhooks_are_listed_newest_first(engine: Engine) -> None:
    async with opened(engine) as (storage, _, _):
        for number in range(6):
            await storage.dead_letters.bury([letter(number, f"w{number % 2}")])
            await trio.sleep(0.002)  # The store orders by its milliseconds.
        found = await storage.dead_letters.newest()
        assert [kept.letter.event_id for kept in found] == ["5", "4", "3", "2", "1", "0"]
        for kept in found:
            assert await storage.dead_letters.find(kept.id) == kept.letter


async def test_letters_of_webhooks_that_are_gone_are_kept_up_to_a_bound(engine: Engine) -> None:
    async with opened(engine) as (storage, _, _):
        await storage.add(webhook(1))
        await storage.dead_letters.bury([letter(0, "id-1")])
        gone = 0
        for number in range(1, 2 * MOST_WEBHOOKS + 2):
            gone += await storage.dead_letters.bury([letter(number, f"deleted-{number}")])
        assert gone == 2
        assert len(await storage.dead_letters.newest("id-1")) == 1
        assert [len(await storage.dead_letters.newest(f"deleted-{number}")) for number in (1, 2, 3)] == [
            0,
            0,
            1,
        ]


async def test_of_all_who_want_to_take_a_letter_one_gets_it(engine: Engine) -> None:
    async with opened(engine) as (storage, _, _):
        await storage.dead_letters.bury([letter(1), letter(2)])
        wanted = (await storage.dead_letters.newest())[0].id
        got: list[bool] = []

        async def take() -> None:
            got.append(await storage.dead_letters.remove(wanted))

        async with trio.open_nursery() as nursery:
            for _ in range(8):
                nursery.start_soon(take)
        assert got.count(True) == 1
        assert [kept.letter for kept in await storage.dead_letters.newest()] == [letter(1)]


@pytest.mark.parametrize("letter_id", ["", "1", "1-0", "1-0.", "-.w", "1-x.w", "+.w", f"{'9' * 30}-0.w"])
async def test_what_is_no_id_of_a_letter_is_found_nowhere(engine: Engine, letter_id: str) -> None:
    async with opened(engine) as (storage, _, _):
        assert await storage.dead_letters.find(letter_id) is None
        assert not await storage.dead_letters.remove(letter_id)
