"""The registry: who is here, and whose news cannot wait."""

from contextlib import ExitStack

import pytest
import trio

from tests.live.opened import opened, unlimited_registry
from wr.live.registry import Others, Registry
from wr.live.stream import Stream
from wr.live.updates import Farewell
from wr.model.address_shares import AddressShares
from wr.model.refusals import TooManyStreams, Unavailable

ANNA, BERT, CARL = (letter * 16 for letter in (b"a", b"b", b"c"))


async def test_streams_are_found_while_they_are_open_and_forgotten_after() -> None:
    registry = unlimited_registry()
    anna, again, bert = Stream("q", ANNA), Stream("q", ANNA), Stream("other", BERT)
    with opened(registry, anna), opened(registry, again), opened(registry, bert):
        assert registry.count == 3
        assert set(registry.queues()) == {"q", "other"}
        assert registry.streams_of("q", [ANNA, CARL]) == [anna, again]
        assert registry.streams_of("q", None) == [anna, again]
    assert (registry.count, registry.queues(), registry.streams_of("q", [ANNA])) == (0, [], [])


async def test_only_streams_that_are_due_are_looked_at() -> None:
    registry = unlimited_registry()
    anna, bert = Stream("q", ANNA), Stream("q", BERT)
    with opened(registry, anna), opened(registry, bert):
        bert.due = 100.0
        assert registry.due("q", 99.0) == [anna]
        assert registry.due("q", 100.0) == [anna, bert]


async def test_a_replacement_ends_the_streams_before_it() -> None:
    registry = unlimited_registry()
    old, new = Stream("q", ANNA), Stream("q", ANNA)
    with opened(registry, old), opened(registry, new, Others.REPLACED):
        assert await old.next(0) == Farewell(is_replaced=True)
        assert await new.next(0) is None


async def test_hurry_gathers_those_who_are_here_and_nobody_else() -> None:
    registry = unlimited_registry()
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
    registry = unlimited_registry()
    anna = Stream("q", ANNA)
    with opened(registry, anna):
        registry.close()
        assert await anna.next(0) == Farewell(is_replaced=False)
        with pytest.raises(Unavailable), opened(registry, Stream("q", BERT)):
            pytest.fail("it was opened")


async def test_an_address_that_has_its_share_of_streams_gets_no_other_and_ends_none() -> None:
    registry = Registry(AddressShares(2))
    old = Stream("q", ANNA, address="203.0.113.9")
    with opened(registry, old), opened(registry, Stream("q", BERT, address="203.0.113.9")):
        refused = Stream("q", ANNA, address="203.0.113.9")
        with pytest.raises(TooManyStreams), opened(registry, refused, Others.REPLACED):
            pytest.fail("it was opened")
        assert await old.next(0) is None
        with opened(registry, Stream("q", CARL, address="203.0.113.10")):
            assert registry.count == 3
    with opened(registry, old):
        assert registry.count == 1


async def test_without_proof_a_stream_ends_at_most_one_of_the_same_address() -> None:
    registry = unlimited_registry()
    mine = [Stream("q", ANNA, address="203.0.113.9") for _ in range(3)]
    theirs = Stream("q", ANNA, address="203.0.113.10")
    with opened(registry, theirs), opened(registry, mine[0]), opened(registry, mine[1]):
        with opened(registry, mine[2], Others.BOUNDED):
            assert await mine[0].next(0) == Farewell(is_replaced=True)
        assert await theirs.next(0) is None
        assert await mine[1].next(0) is None


async def test_without_proof_neighbours_in_an_ipv6_network_are_one_address() -> None:
    registry = unlimited_registry()
    streams = [Stream("q", ANNA, address=f"2001:db8::{number}") for number in range(3)]
    with ExitStack() as stack:
        for stream in streams:
            stack.enter_context(opened(registry, stream, Others.BOUNDED))
        assert await streams[0].next(0) == Farewell(is_replaced=True)
        assert await streams[1].next(0) is None
