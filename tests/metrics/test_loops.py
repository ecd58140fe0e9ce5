"""What the loops measure, in virtual time: how late they are, and which queues are gone."""

from collections.abc import Iterable

import pytest
import trio
from trio.testing import MockClock

from tests.room.test_admission import AWAY, ScriptedStore, a_pass
from wr.metrics.event_loop_delay import watch_event_loop
from wr.metrics.instruments import Histogram
from wr.metrics.queue_metrics import NO_QUEUE, QueueMetrics
from wr.metrics.server_metrics import AdmissionMetrics
from wr.room.admission import AdmissionObserver, run_admission
from wr.store.admit import AdmissionPass


async def measured(store: ScriptedStore, seconds: float) -> AdmissionMetrics:
    metrics = AdmissionMetrics()
    with trio.move_on_after(seconds):
        await run_admission(store, store, store, interval_s=0.25, metrics=metrics)
    return metrics


async def test_rounds_in_time_are_not_late(autojump_clock: MockClock) -> None:
    store = ScriptedStore(lambda _number, _queue: a_pass())
    store.lasts_s = lambda _number: 0.2
    metrics = await measured(store, 1.1)
    lag, took = metrics.lag.spread(), metrics.round.spread()
    assert (sum(lag.counts), lag.total) == (5, pytest.approx(0))
    # The round that has begun is carried through: whom it let in are to be told.
    assert (sum(took.counts), took.total) == (5, pytest.approx(1.0))
    assert metrics.failures == 0


async def test_a_round_that_takes_long_makes_the_next_one_late_and_only_that(
    autojump_clock: MockClock,
) -> None:
    store = ScriptedStore(lambda _number, _queue: a_pass())
    store.lasts_s = lambda number: 1.25 if number == 0 else 0.0
    metrics = await measured(store, 2.3)
    # Due after 0.25 seconds, begun after 1.25; the rhythm goes on from there.
    assert metrics.lag.spread().total == pytest.approx(1.0)
    assert sum(metrics.lag.spread().counts) == len(store.asked)


async def test_each_round_that_fails_is_counted(autojump_clock: MockClock) -> None:
    store = ScriptedStore(lambda number, _queue: AWAY if 1 <= number < 4 else a_pass())
    metrics = await measured(store, 1.6)
    assert len(store.asked) == 7
    assert metrics.failures == 3


async def test_the_loop_says_which_queues_there_are(autojump_clock: MockClock) -> None:
    store = ScriptedStore(lambda _number, _queue: a_pass(), "one", "two")
    await measured(store, 0.1)
    assert store.listed == ["one", "two"]


async def test_the_event_loops_delay_is_how_much_too_late_a_task_wakes(mock_clock: MockClock) -> None:
    delays = Histogram((0.1, 0.5, 2.0))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch_event_loop, delays)
        for seconds in (0.25, 0.55, 1.25):
            await trio.testing.wait_all_tasks_blocked()
            mock_clock.jump(seconds)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    spread = delays.spread()
    assert spread.counts == (1, 1, 1, 0)
    assert spread.total == pytest.approx(0 + 0.3 + 1.0)


class Book:
    def __init__(self, *names: str) -> None:
        self.known = set(names)

    async def learn(self, queue_id: str, admission: AdmissionPass | None) -> None:
        raise AssertionError("nobody asked")

    def names(self) -> set[str]:
        return set(self.known)

    def forget(self, queue_id: str) -> None:
        self.known.discard(queue_id)


def ignore(_queue_id: str, _people: Iterable[bytes]) -> None:
    pass


def test_a_queue_is_forgotten_everywhere_when_two_lists_in_a_row_lack_it() -> None:
    book, counts = Book("here", "gone"), QueueMetrics()
    counts.of("gone").joins += 1
    counts.of("here").joins += 1
    observer = AdmissionObserver(book, ignore, counts)
    observer.forget(observer.missing_from(["here"]))
    assert (book.names(), counts.names()) == ({"here", "gone"}, {"here", "gone"})
    observer.forget(observer.missing_from(["here"]))
    assert (book.names(), counts.names()) == ({"here"}, {"here"})


def test_a_queue_made_while_the_list_was_on_its_way_keeps_its_counts() -> None:
    counts = QueueMetrics()
    counts.of("new").joins += 1
    observer = AdmissionObserver(Book(), ignore, counts)
    for listed in ([], ["new"], [], ["new"]):
        observer.forget(observer.missing_from(listed))
    assert counts.of("new").joins == 1


def test_what_belongs_to_no_queue_is_never_forgotten() -> None:
    counts = QueueMetrics()
    counts.of(NO_QUEUE).limit("admin")
    observer = AdmissionObserver(Book(), ignore, counts)
    for _ in range(3):
        observer.forget(observer.missing_from([]))
    assert counts.of(NO_QUEUE).rate_limited == {"admin": 1}
