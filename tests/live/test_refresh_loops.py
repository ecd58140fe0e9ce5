"""The live loops, with a scripted store and a clock that jumps."""

from collections.abc import Sequence
from contextlib import ExitStack
from itertools import pairwise

import trio
import trio.testing

from tests.live.opened import opened, unlimited_registry
from wr.live.refresh_loops import LOOKS_PER_CALL, LiveLoops
from wr.live.stream import Stream
from wr.live.updates import EndedUpdate, PositionUpdate
from wr.model.places import Gone, Place, Reason, Waiting
from wr.model.queue_settings import QueueConfig
from wr.model.refusals import Unavailable
from wr.model.tokens import PositionClaims
from wr.room.queue_cache import QueueView, view_of
from wr.store.poll import Poll, Polled, PollKind


def person(number: int) -> bytes:
    return number.to_bytes(16, "big")


class ScriptedStore:
    """Says where people stand; notes who was asked about, when, and how."""

    def __init__(self) -> None:
        self.places: dict[bytes, Place] = {}
        self.calls: list[tuple[float, list[Poll]]] = []
        self.is_away = False

    async def poll_many(self, queue_id: str, polls: Sequence[Poll], /) -> Sequence[Polled]:
        await trio.lowlevel.checkpoint()
        if self.is_away:
            raise Unavailable("away")
        self.calls.append((trio.current_time(), list(polls)))
        return [Polled(0, 10, 0, self.places[poll.position_id]) for poll in polls]

    def looks_at(self, who: bytes) -> int:
        return sum(poll.position_id == who for _, polls in self.calls for poll in polls)

    def kinds(self) -> set[PollKind]:
        return {poll.kind for _, polls in self.calls for poll in polls}


class RemembersAll:
    """Has forgotten nothing, so that there is nothing to put back."""

    async def restore_many(self, queue_id: str, claims: Sequence[PositionClaims], /) -> Sequence[bool]:
        raise AssertionError("nothing was forgotten")


class Book:
    """Knows one queue."""

    def __init__(self, timeout_s: int = 60) -> None:
        self.view = view_of(
            QueueConfig(id="q", name="Q", target_url="https://x.example", heartbeat_timeout_seconds=timeout_s)
        )

    async def get(self, queue_id: str, /) -> QueueView:
        return self.view


async def run_for(loops: LiveLoops, seconds: float) -> None:
    with trio.move_on_after(seconds):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(loops.look_in_turn)
            nursery.start_soon(loops.look_at_once)


async def test_people_in_front_are_looked_at_every_round_and_people_far_back_less_often(
    autojump_clock: trio.testing.MockClock,
) -> None:
    store, registry = ScriptedStore(), unlimited_registry()
    positions = {person(1): 1, person(2): 500, person(3): 5000}
    store.places = {who: Waiting(position) for who, position in positions.items()}
    with ExitStack() as stack:
        for who in positions:
            stack.enter_context(opened(registry, Stream("q", who)))
        await run_for(LiveLoops(store, RemembersAll(), Book(), registry, 2.0), 20.5)
    assert [store.looks_at(who) for who in positions] == [10, 5, 2]


async def test_a_round_that_takes_long_does_not_make_the_next_one_late(
    autojump_clock: trio.testing.MockClock,
) -> None:
    class SlowStore(ScriptedStore):
        async def poll_many(self, queue_id: str, polls: Sequence[Poll], /) -> Sequence[Polled]:
            replies = await super().poll_many(queue_id, polls)
            await trio.sleep(0.5)
            return replies

    store, registry = SlowStore(), unlimited_registry()
    store.places = {person(1): Waiting(1)}
    with opened(registry, Stream("q", person(1))):
        await run_for(LiveLoops(store, RemembersAll(), Book(), registry, 2.0), 20.5)
    assert [round(when) for when, _ in store.calls] == [2, 4, 6, 8, 10, 12, 14, 16, 18, 20]


async def test_everybody_is_looked_at_often_enough_to_keep_the_place(
    autojump_clock: trio.testing.MockClock,
) -> None:
    store, registry = ScriptedStore(), unlimited_registry()
    store.places = {person(1): Waiting(5000)}
    with opened(registry, Stream("q", person(1))):
        await run_for(LiveLoops(store, RemembersAll(), Book(timeout_s=3), registry, 2.0), 30)
    times = [when for when, _ in store.calls]
    assert max(later - earlier for earlier, later in pairwise(times)) <= 1.5
    assert store.kinds() == {PollKind.KEEP}


async def test_a_stream_whose_peer_is_silent_keeps_no_place(autojump_clock: trio.testing.MockClock) -> None:
    store, registry = ScriptedStore(), unlimited_registry()
    store.places = {person(1): Waiting(1)}
    with opened(registry, Stream("q", person(1), is_alive=False)):
        await run_for(LiveLoops(store, RemembersAll(), Book(), registry, 2.0), 5)
    assert store.kinds() == {PollKind.LOOK}


async def test_those_something_happened_to_are_looked_at_at_once(
    autojump_clock: trio.testing.MockClock,
) -> None:
    store, registry = ScriptedStore(), unlimited_registry()
    store.places = {person(1): Gone(1, Reason.CANCELLED), person(2): Waiting(2)}
    hit, other = Stream("q", person(1)), Stream("q", person(2))
    with opened(registry, hit), opened(registry, other):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(LiveLoops(store, RemembersAll(), Book(), registry, 1000.0).look_at_once)
            registry.hurry("q", [person(1)])
            assert await hit.next(1) == EndedUpdate("cancelled")
            assert await other.next(1) is None
            nursery.cancel_scope.cancel()


async def test_whose_stream_has_ended_was_there_until_that_moment(
    autojump_clock: trio.testing.MockClock,
) -> None:
    store, registry = ScriptedStore(), unlimited_registry()
    store.places = {person(n): Waiting(n) for n in (1, 2)}
    async with trio.open_nursery() as nursery:
        nursery.start_soon(LiveLoops(store, RemembersAll(), Book(), registry, 1000.0).look_at_once)
        with (
            opened(registry, Stream("q", person(1))),
            opened(registry, Stream("q", person(2), is_alive=False)),
        ):
            await trio.sleep(100)
        ended = trio.current_time()
        await trio.sleep(100)
        nursery.cancel_scope.cancel()
    assert store.calls == [(ended, [Poll(person(1), PollKind.KEEP, b"")])]


async def test_many_streams_are_looked_at_in_chunks(autojump_clock: trio.testing.MockClock) -> None:
    store, registry = ScriptedStore(), unlimited_registry()
    count = LOOKS_PER_CALL * 2 + 1
    store.places = {person(n): Waiting(1) for n in range(count)}
    streams = [Stream("q", person(n)) for n in range(count)]
    with ExitStack() as stack:
        for stream in streams:
            stack.enter_context(opened(registry, stream))
        await run_for(LiveLoops(store, RemembersAll(), Book(), registry, 2.0), 3)
        assert [len(polls) for _, polls in store.calls] == [LOOKS_PER_CALL, LOOKS_PER_CALL, 1]
        assert [await stream.next(0) for stream in streams] == [
            PositionUpdate(1, 10, 1, heartbeat_timeout_s=60)
        ] * count


async def test_while_the_store_is_away_streams_hear_nothing_and_afterwards_the_truth(
    autojump_clock: trio.testing.MockClock,
) -> None:
    store, registry = ScriptedStore(), unlimited_registry()
    store.places = {person(1): Waiting(7)}
    waiting = Stream("q", person(1))
    with opened(registry, waiting):
        async with trio.open_nursery() as nursery:
            loops = LiveLoops(store, RemembersAll(), Book(), registry, 2.0)
            nursery.start_soon(loops.look_in_turn)
            nursery.start_soon(loops.look_at_once)
            store.is_away = True
            registry.hurry("q", None)
            assert await waiting.next(30) is None
            store.is_away = False
            assert await waiting.next(3) == PositionUpdate(7, 10, 1, heartbeat_timeout_s=60)
            nursery.cancel_scope.cancel()
