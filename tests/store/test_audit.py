"""Where the audit trail is kept: in order, bounded, told page by page."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.support.engines import Engine
from wr.model.audit import Action, AuditEntry, Change
from wr.store.audit_repository import AuditPage, AuditRepository
from wr.store.connection import Connection
from wr.store.key_names import KeyNames


@asynccontextmanager
async def opened(engine: Engine, most: int = 10_000) -> AsyncIterator[AuditRepository]:
    prefix = f"wr-test-{secrets.token_hex(4)}"
    connection = Connection(engine.url)
    yield AuditRepository(connection, KeyNames(prefix), most)
    connection.close()
    with engine.client() as client:
        client.delete(KeyNames(prefix).shared("audit"))


def entry(number: int, queue_id: str | None = "q") -> AuditEntry:
    return AuditEntry(
        at_ms=number,
        operator="Ада",
        address="192.0.2.1",
        action=Action.QUEUE_UPDATED,
        queue_id=queue_id,
        changes={"admission_rate": Change(1, 2.5), "name": Change("a", "b")},
        facts={"n": number, "kids": ["x", "y"]},
    )


def numbers(page: AuditPage) -> list[int]:
    return [kept.entry.at_ms for kept in page.entries]


async def test_an_entry_is_read_as_it_was_written(engine: Engine) -> None:
    async with opened(engine) as storage:
        await storage.append(entry(7))
        page = await storage.page(limit=10)
    assert [kept.entry for kept in page.entries] == [entry(7)]
    assert page.next_before is None


async def test_an_empty_trail_has_no_entries_and_no_more(engine: Engine) -> None:
    async with opened(engine) as storage:
        assert await storage.page(limit=10) == AuditPage([], None)
        assert await storage.page(limit=10, before="0-0") == AuditPage([], None)
        assert await storage.page(limit=10, before="5-0") == AuditPage([], None)


@pytest.mark.parametrize("queue_id", ["", "q"])
async def test_pages_tell_every_entry_once_newest_first(engine: Engine, queue_id: str) -> None:
    async with opened(engine) as storage:
        for number in range(7):
            await storage.append(entry(number))
        told = []
        before = ""
        while True:
            page = await storage.page(queue_id=queue_id, limit=3, before=before)
            told.append(numbers(page))
            if page.next_before is None:
                break
            before = page.next_before
    assert told == [[6, 5, 4], [3, 2, 1], [0]]


async def test_a_last_page_that_is_full_says_that_it_is_the_last(engine: Engine) -> None:
    async with opened(engine) as storage:
        for number in range(3):
            await storage.append(entry(number))
        assert (await storage.page(limit=3)).next_before is None
        assert (await storage.page(queue_id="q", limit=3)).next_before is None


async def test_entries_of_one_queue_are_found_among_hundreds_of_others(engine: Engine) -> None:
    async with opened(engine) as storage:
        for number in range(1_100):
            await storage.append(entry(number, "rare" if number % 500 == 3 else None if number % 2 else "q"))
        first = await storage.page(queue_id="rare", limit=2)
        second = await storage.page(queue_id="rare", limit=2, before=first.next_before or "")
        nobody = await storage.page(queue_id="rar", limit=2)
    assert (numbers(first), numbers(second), second.next_before) == ([1003, 503], [3], None)
    assert nobody == AuditPage([], None)


async def test_the_newest_entries_are_kept_and_no_others(engine: Engine) -> None:
    async with opened(engine, most=5) as storage:
        for number in range(12):
            await storage.append(entry(number))
        page = await storage.page(limit=100)
    assert numbers(page) == [11, 10, 9, 8, 7]
