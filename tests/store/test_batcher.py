"""The batcher, with an executor that does what the test tells it: no store, no clock."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from wr.model.refusals import Unavailable
from wr.store.batcher import Batcher


class Flight:
    """One batch on its way: what is in it, and how it ends."""

    def __init__(self, key: str, items: Sequence[str]) -> None:
        self.key = key
        self.items = list(items)
        self._landed = trio.Event()
        self._result: Sequence[str] | Exception = ()

    async def land(self, result: Sequence[str] | Exception | None = None) -> None:
        """Let it return (by default each item in capitals), and everyone it concerns take notice."""
        self._result = [item.upper() for item in self.items] if result is None else result
        self._landed.set()
        await wait_all_tasks_blocked()

    async def result(self) -> Sequence[str]:
        await self._landed.wait()
        if isinstance(self._result, Exception):
            raise self._result
        return self._result


class Bed:
    """A batcher whose batches stay in flight until the test lets them land."""

    def __init__(self, callers: trio.Nursery, store: trio.Nursery, **limits: int) -> None:
        self.flights: list[Flight] = []
        self.answers: dict[str, str | Exception] = {}
        self._callers = callers
        self.batcher: Batcher[str, str] = Batcher(store, self._execute, **limits)

    async def _execute(self, key: str, items: Sequence[str]) -> Sequence[str]:
        flight = Flight(key, items)
        self.flights.append(flight)
        return await flight.result()

    async def _call(self, key: str, item: str, scope: trio.CancelScope) -> None:
        with scope:
            try:
                self.answers[item] = await self.batcher.submit(key, item)
            except Exception as error:  # noqa: BLE001 - it is what the test asks about
                self.answers[item] = error

    async def submit(self, *items: str, key: str = "q") -> list[trio.CancelScope]:
        """Have one caller submit each item; they are in line when this returns."""
        scopes = []
        for item in items:
            scopes.append(trio.CancelScope())
            self._callers.start_soon(self._call, key, item, scopes[-1])
            await wait_all_tasks_blocked()
        return scopes

    def says(self, item: str) -> str:
        """What its caller was told: the reply, or the words of the refusal."""
        return str(self.answers[item])


@asynccontextmanager
async def bed(**limits: int) -> AsyncIterator[Bed]:
    async with trio.open_nursery() as store:
        async with trio.open_nursery() as callers:
            yield Bed(callers, store, **limits)
        store.cancel_scope.cancel()


async def test_an_idle_batcher_sends_at_once_and_alone() -> None:
    async with bed() as it:
        await it.submit("a")
        assert [flight.items for flight in it.flights] == [["a"]]
        await it.flights[0].land()
        assert it.answers == {"a": "A"}


async def test_the_next_batch_is_what_arrived_while_the_last_was_in_flight() -> None:
    async with bed() as it:
        await it.submit("a", "b", "c")
        assert [flight.items for flight in it.flights] == [["a"]]
        await it.flights[0].land()
        assert [flight.items for flight in it.flights] == [["a"], ["b", "c"]]
        await it.submit("d")
        assert len(it.flights) == 2
        await it.flights[1].land()
        assert it.flights[2].items == ["d"]
        await it.flights[2].land()
        assert it.answers == {"a": "A", "b": "B", "c": "C", "d": "D"}


async def test_each_caller_gets_its_own_reply() -> None:
    async with bed() as it:
        await it.submit("first")
        items = [f"item {number}" for number in range(50)]
        await it.submit(*items)
        await it.flights[0].land()
        await it.flights[1].land([f"reply to {item}" for item in items])
        assert all(it.says(item) == f"reply to {item}" for item in items)


async def test_a_failing_batch_fails_each_of_its_callers_and_no_one_else() -> None:
    async with bed() as it:
        await it.submit("a")
        await it.submit("b", "c")
        await it.flights[0].land()
        await it.submit("d")
        await it.flights[1].land(Unavailable("the store is away"))
        assert {item: it.says(item) for item in "abc"} == {
            "a": "A",
            "b": "the store is away",
            "c": "the store is away",
        }
        assert it.answers["b"] is not it.answers["c"], "each raises an exception of its own"
        await it.flights[2].land()
        assert it.says("d") == "D"


async def test_an_unforeseen_failure_reaches_the_callers_and_leaves_the_batcher_working() -> None:
    async with bed() as it:
        await it.submit("a")
        await it.flights[0].land(ZeroDivisionError("a mistake"))
        assert isinstance(it.answers["a"], ZeroDivisionError)
        await it.submit("b")
        await it.flights[1].land()
        assert it.says("b") == "B"


@pytest.mark.parametrize("replies", [[], ["X"], ["X", "Y", "Z"]])
async def test_when_replies_are_missing_or_too_many_nobody_gets_that_of_another(replies: list[str]) -> None:
    async with bed() as it:
        await it.submit("first")
        await it.submit("a", "b")
        await it.flights[0].land()
        await it.flights[1].land(replies)
        assert isinstance(it.answers["a"], ValueError)
        assert isinstance(it.answers["b"], ValueError)
        await it.submit("c")
        await it.flights[2].land()
        assert it.says("c") == "C"


async def test_a_caller_that_gives_up_in_line_disturbs_nobody() -> None:
    async with bed() as it:
        await it.submit("a")
        _, doomed, _ = await it.submit("b", "c", "d")
        doomed.cancel()
        await wait_all_tasks_blocked()
        await it.flights[0].land()
        await it.flights[1].land()
        assert it.answers == {"a": "A", "b": "B", "d": "D"}


async def test_a_caller_that_gives_up_in_flight_disturbs_nobody() -> None:
    async with bed() as it:
        await it.submit("first")
        doomed, _ = await it.submit("a", "b")
        await it.flights[0].land()
        doomed.cancel()
        await wait_all_tasks_blocked()
        assert it.flights[1].items == ["a", "b"]
        await it.flights[1].land()
        assert it.answers == {"first": "FIRST", "b": "B"}


async def test_whoever_comes_when_too_many_wait_is_refused_at_once() -> None:
    async with bed(most_waiting=3) as it:
        await it.submit("in flight", "a", "b", "c")
        await it.submit("too many")
        assert isinstance(it.answers["too many"], Unavailable)
        await it.flights[0].land()
        await it.submit("d")
        assert "d" not in it.answers, "there is room again"
        for flight in it.flights[1:]:
            await flight.land()
        await it.flights[-1].land()
        assert {item: it.says(item) for item in "abcd"} == {"a": "A", "b": "B", "c": "C", "d": "D"}


async def test_those_who_gave_up_or_failed_leave_room_for_others() -> None:
    async with bed(most_waiting=2) as it:
        await it.submit("a")
        for scope in await it.submit("b", "c"):
            scope.cancel()
        await it.flights[0].land(Unavailable("away"))
        await it.flights[1].land(Unavailable("away"))
        await it.submit("d", "e", "f")
        assert not it.answers.keys() & {"d", "e", "f"}
        await it.flights[2].land()
        await it.flights[3].land()
        assert it.says("f") == "F"


async def test_no_batch_is_longer_than_the_most_and_order_is_kept() -> None:
    async with bed(most=3) as it:
        await it.submit("a")
        await it.submit(*"bcdefgh")
        for number in range(4):
            await it.flights[number].land()
        assert [flight.items for flight in it.flights] == [["a"], list("bcd"), list("efg"), ["h"]]


async def test_keys_do_not_wait_for_each_other() -> None:
    async with bed() as it:
        await it.submit("a", key="one")
        await it.submit("b", key="two")
        await it.submit("c", key="one")
        assert [(flight.key, flight.items) for flight in it.flights] == [("one", ["a"]), ("two", ["b"])]
        await it.flights[1].land(Unavailable("away"))
        assert it.says("b") == "away"
        await it.flights[0].land()
        assert it.says("a") == "A"
        assert (it.flights[2].key, it.flights[2].items) == ("one", ["c"])
        await it.flights[2].land()


async def test_when_the_store_closes_everyone_who_waits_is_told() -> None:
    async with trio.open_nursery() as callers:
        async with trio.open_nursery() as store:
            it = Bed(callers, store)
            await it.submit("a", "b", "c")
            await it.submit("d", key="other")
            store.cancel_scope.cancel()
        await wait_all_tasks_blocked()
        assert set(it.answers) == {"a", "b", "c", "d"}
        assert all(isinstance(answer, Unavailable) for answer in it.answers.values())
        await it.submit("late")
        assert isinstance(it.answers["late"], Unavailable), "nobody waits for a store that is closed"
        await it.submit("later")
        assert isinstance(it.answers["later"], Unavailable)


async def test_batches_that_end_with_an_error_answer_their_callers_and_end_no_others() -> None:
    has_failed = False

    async def execute(key: str, items: Sequence[int]) -> Sequence[int]:
        nonlocal has_failed
        if key == "odd" and not has_failed:
            has_failed = True
            return None  # type: ignore[return-value] - what no store answers
        return items

    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            batcher = Batcher(nursery, execute)
            with pytest.raises(Unavailable):
                await batcher.submit("odd", 1)
            assert await batcher.submit("even", 2) == 2
            assert await batcher.submit("odd", 3) == 3
            # Tasks of batches rest until the store is closed.
            nursery.cancel_scope.cancel()


async def test_only_so_many_tasks_rest_and_the_next_call_of_each_key_is_carried_out() -> None:
    async def execute(_key: str, items: Sequence[int]) -> Sequence[int]:
        return items

    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            batcher = Batcher(nursery, execute)
            for turn in range(2):
                for number in range(200):
                    assert await batcher.submit(f"queue {number}", turn) == turn
            await wait_all_tasks_blocked()
            assert len(nursery.child_tasks) == 64
            nursery.cancel_scope.cancel()
