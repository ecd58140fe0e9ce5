"""Passes on demand: gathered, never missed, seen through."""

from collections.abc import Callable

import trio
from trio.testing import wait_all_tasks_blocked

from wr.model.refusals import Unavailable
from wr.room.admission_on_demand import AdmissionOnDemand


class Passes:
    """Notes when a pass begins, and ends it when told to."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.failure: Exception | None = None
        self._ends: dict[str, trio.Event] = {}

    async def __call__(self, queue_id: str) -> None:
        self.begun.append(queue_id)
        self._ends[queue_id] = trio.Event()
        await self._ends[queue_id].wait()
        if self.failure is not None:
            raise self.failure

    async def end(self, queue_id: str = "q") -> None:
        """End the pass that is under way, and let everybody go on who can."""
        self._ends[queue_id].set()
        await wait_all_tasks_blocked()


async def ask(gathered: AdmissionOnDemand, done: Callable[[], None], queue_id: str = "q") -> None:
    await gathered.after_now(queue_id)
    done()


async def test_all_who_ask_while_a_pass_is_under_way_share_the_next() -> None:
    passes, done = Passes(), []
    gathered = AdmissionOnDemand(passes)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask, gathered, lambda: done.append("first"))
        await wait_all_tasks_blocked()
        for _ in range(100):
            nursery.start_soon(ask, gathered, lambda: done.append("later"))
        await wait_all_tasks_blocked()
        assert passes.begun == ["q"]
        await passes.end()
        assert (passes.begun, done) == (["q", "q"], ["first"])
        await passes.end()
    assert (len(passes.begun), len(done)) == (2, 101)


async def test_one_queue_does_not_wait_for_another() -> None:
    passes = Passes()
    gathered = AdmissionOnDemand(passes)
    async with trio.open_nursery() as nursery:
        for queue_id in ("q", "other"):
            nursery.start_soon(ask, gathered, lambda: None, queue_id)
        await wait_all_tasks_blocked()
        assert sorted(passes.begun) == ["other", "q"]
        for queue_id in ("q", "other"):
            await passes.end(queue_id)


async def test_a_visitor_who_goes_takes_the_pass_from_nobody() -> None:
    passes, done = Passes(), []
    gathered = AdmissionOnDemand(passes)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask, gathered, lambda: None)
        await wait_all_tasks_blocked()
        gone = trio.CancelScope()

        async def ask_and_go() -> None:
            with gone:
                await gathered.after_now("q")

        nursery.start_soon(ask_and_go)
        await wait_all_tasks_blocked()
        nursery.start_soon(ask, gathered, lambda: done.append("stayed"))
        await wait_all_tasks_blocked()
        gone.cancel()
        await passes.end()
        await passes.end()
    assert done == ["stayed"]


async def test_a_pass_that_fails_fails_all_who_wait_for_it_and_not_the_next() -> None:
    passes = Passes()
    gathered = AdmissionOnDemand(passes)
    passes.failure = ValueError("a fault of ours")
    failed: list[str] = []

    async def ask_in_vain() -> None:
        try:
            await gathered.after_now("q")
        except (ValueError, Unavailable) as error:
            failed.append(type(error).__name__)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask_in_vain)
        await wait_all_tasks_blocked()
        for _ in range(3):
            nursery.start_soon(ask_in_vain)
        await wait_all_tasks_blocked()
        await passes.end()
        await passes.end()
        assert sorted(failed) == ["Unavailable", "Unavailable", "ValueError", "ValueError"]
        passes.failure = None
        nursery.start_soon(ask, gathered, failed.clear)
        await wait_all_tasks_blocked()
        await passes.end()
    assert failed == []


async def test_a_pass_is_run_for_whoever_asks_after_the_last_was_done() -> None:
    passes = Passes()
    gathered = AdmissionOnDemand(passes)
    for count in (1, 2):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, gathered, lambda: None)
            await wait_all_tasks_blocked()
            await passes.end()
        assert len(passes.begun) == count
