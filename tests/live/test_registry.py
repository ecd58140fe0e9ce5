"""The registry: who is here, and whose news cannot wait."""

import pytest
import trio

from tests.live.opened import opened
from wr.live.registry import Registry
from wr.live.stream import Stream
from wr.live.updates import Farewell
from wr.model.refusals import Unavailable

ANNA, BERT, CARL = (letter * 16 for letter in (b"a", b"b", b"c"))


async def test_streams_are_found_while_they_are_open_and_forgotten_after() -> None:
    registry = Registry()
    anna, again, bert = Stream("q", ANNA), Stream("q", ANNA), Stream("other", BERT)
    with opened(registry, anna), opened(registry, again), opened(registry, bert):
        assert registry.count == 3
        assert set(registry.queues()) == {"q", "other"}
        assert registry.streams_of("q", [ANNA, CARL]) == [anna, again]
        assert registry.streams_of("q", None) == [anna, again]
    assert (registry.count, registry.queues(), registry.streams_of("q", [ANNA])) == (0, [], [])


async def test_only_streams_that_are_due_are_looked_at() -> None:
    registry = Registry()
    anna, bert = Stream("q", ANNA), Stream("q", BERT)
    with opened(registry, anna), opened(registry, bert):
        bert.due = 100.0
        assert registry.due("q", 99.0) == [anna]
        assert registry.due("q", 100.0) == [anna, bert]


async def test_a_replacement_ends_the_streams_before_it() -> None:
    registry = Registry()
    old, new = Stream("q", ANNA), Stream("q", ANNA)
    with opened(registry, old), opened(registry, new, replace=True):
        assert await old.next(0) == Farewell(is_replaced=True)
        assert await new.next(0) is None


async def test_hurry_gathers_those_who_are_here_and_nobody_else() -> None:
    registry = Registry()
    with opened(registry, Stream("q", ANNA)), opened(registry, Stream("q", BERT)):
        registry.hurry("q", [CARL])
        registry.hurry("elsewhere", [ANNA])
        with trio.move_on_after(0) as nothing:
            await registry.hurried()
        assert nothing.cancelled_caught
        registry.hurry("q", [ANNA, CARL])
        registry.hurry("q", [BERT])
        assert await registry.hurried() == {"q": {ANNA, BERT}}
        registry.hurry("q", [ANNA])
        registry.hurry("q", None)
        registry.hurry("q", [BERT])
        assert await registry.hurried() == {"q": None}


async def test_a_closed_registry_ends_its_streams_and_takes_no_more() -> None:
    registry = Registry()
    anna = Stream("q", ANNA)
    with opened(registry, anna):
        registry.close()
        assert await anna.next(0) == Farewell(is_replaced=False)
        with pytest.raises(Unavailable), opened(registry, Stream("q", BERT)):
            pytest.fail("it was opened")
