"""The admission loop, in virtual time and with a store that does what the test tells it."""

from collections.abc import Callable, Mapping, Sequence

import pytest
import trio
from structlog.testing import capture_logs
from trio.testing import MockClock

from wr.model.refusals import Unavailable
from wr.room.admission import run_admission
from wr.store.admit import AdmissionPass

AWAY = Unavailable("away")


def a_pass(*, admitted: int = 0, more: bool = False) -> AdmissionPass:
    return AdmissionPass(
        now_ms=0,
        config_version=1,
        waiting=0,
        active=0,
        more=more,
        dropped=[],
        ended=[],
        admitted=[b"somebody"] * admitted,
        sessions_end_ms=0,
        waits_ms=[0] * admitted,
        seconds=[],
        waiting_by_priority=(0, 0, 0, 0),
    )


class ScriptedStore:
    """The registry, the store and the book in one; remembers what was asked, and when."""

    def __init__(self, answer: Callable[[int, str], AdmissionPass | Exception | None], *queues: str) -> None:
        self.queues = list(queues or ("q",))
        self.asked: list[tuple[float, list[str]]] = []
        self.learned: list[tuple[str, AdmissionPass | None]] = []
        self.listed: list[str] = []
        self.unlisted: list[str] = []
        self.deleted: list[str] = []
        self.forgotten: list[str] = []
        self.lasts_s: Callable[[int], float] = lambda _number: 0.0
        self._answer = answer

    async def names(self) -> list[str]:
        await trio.lowlevel.checkpoint()
        return self.queues

    async def admit(self, queue_ids: Sequence[str]) -> Mapping[str, AdmissionPass | None]:
        number = len(self.asked)
        self.asked.append((trio.current_time(), list(queue_ids)))
        await trio.sleep(self.lasts_s(number))
        answers = {queue_id: self._answer(number, queue_id) for queue_id in queue_ids}
        for answer in answers.values():
            if isinstance(answer, Exception):
                raise answer
        return answers  # type: ignore[return-value]

    async def restore(self, queue_ids: Sequence[str]) -> list[str]:
        await trio.lowlevel.checkpoint()
        return [queue_id for queue_id in queue_ids if queue_id in self.unlisted]

    def missing_from(self, queue_ids: Sequence[str]) -> list[str]:
        self.listed = list(queue_ids)
        return [*self.unlisted, *self.deleted]

    def forget(self, queue_ids: Sequence[str]) -> None:
        self.forgotten.extend(queue_ids)

    async def learn(self, passes: Mapping[str, AdmissionPass | None]) -> None:
        await trio.lowlevel.checkpoint()
        self.learned.extend(passes.items())

    @property
    def times(self) -> list[float]:
        """When each pass began, in seconds from the first."""
        return [round(time - self.asked[0][0], 6) for time, _ in self.asked]

    async def run_for(self, seconds: float, interval_s: float = 0.25) -> None:
        """Run the loop for so long, just beyond the last pass that belongs to that time."""
        with trio.move_on_after(seconds):
            await run_admission(self, self, self, interval_s=interval_s)


async def test_whom_a_pass_let_in_is_learned_even_if_the_server_stops_meanwhile(
    autojump_clock: MockClock,
) -> None:
    store = ScriptedStore(lambda _number, _queue: a_pass(admitted=3))
    store.lasts_s = lambda _number: 2.0
    await store.run_for(1.0)
    assert len(store.asked) == 1
    ((_, learned),) = store.learned
    assert learned is not None
    assert len(learned.admitted) == 3


async def test_what_one_round_trip_did_is_learned_before_the_next_which_may_fail(
    autojump_clock: MockClock,
) -> None:
    queues = [f"q-{number:02}" for number in range(65)]
    store = ScriptedStore(lambda number, _queue: AWAY if number == 1 else a_pass(), *queues)
    await store.run_for(0.2)
    assert [len(asked) for _, asked in store.asked] == [64, 1]
    assert [queue_id for queue_id, _ in store.learned] == queues[:64]


async def test_in_two_and_a_half_seconds_there_are_exactly_ten_passes(autojump_clock: MockClock) -> None:
    store = ScriptedStore(lambda _number, _queue: a_pass())
    await store.run_for(2.4)
    assert store.times == [number * 0.25 for number in range(10)]


async def test_a_slow_pass_does_not_shift_those_after_it(autojump_clock: MockClock) -> None:
    store = ScriptedStore(lambda _number, _queue: a_pass())
    store.lasts_s = lambda _number: 0.2
    await store.run_for(2.4)
    assert store.times == [number * 0.25 for number in range(10)]


async def test_passes_that_were_missed_are_not_made_up_for(autojump_clock: MockClock) -> None:
    store = ScriptedStore(lambda _number, _queue: a_pass())
    store.lasts_s = lambda number: 1.1 if number == 0 else 0.0
    await store.run_for(1.7)
    assert store.times == [0, 1.1, 1.35, 1.6]


async def test_a_queue_with_more_to_do_gets_another_pass_at_once_and_the_others_do_not(
    autojump_clock: MockClock,
) -> None:
    store = ScriptedStore(lambda number, queue: a_pass(more=queue == "long" and number < 2), "long", "short")
    await store.run_for(0.4)
    assert [(time, queues) for time, (_, queues) in zip(store.times, store.asked, strict=True)] == [
        (0, ["long", "short"]),
        (0, ["long"]),
        (0, ["long"]),
        (0.25, ["long", "short"]),
    ]


async def test_a_queue_that_always_has_more_to_do_does_not_keep_the_others_from_theirs(
    autojump_clock: MockClock,
) -> None:
    store = ScriptedStore(lambda _number, queue: a_pass(more=queue == "endless"), "endless", "other")
    await store.run_for(0.4)
    assert [
        time for time, (_, queues) in zip(store.times, store.asked, strict=True) if "other" in queues
    ] == [
        0,
        0.25,
    ]


async def test_what_each_pass_saw_is_passed_on_and_so_is_that_a_queue_is_gone(
    autojump_clock: MockClock,
) -> None:
    seen = a_pass(admitted=3)
    store = ScriptedStore(lambda _number, queue: seen if queue == "here" else None, "gone", "here")
    await store.run_for(0.1)
    assert store.learned == [("gone", None), ("here", seen)]


@pytest.mark.parametrize(
    ("trouble", "level"),
    [(AWAY, "warning"), (ZeroDivisionError("a mistake"), "error"), (OSError("odd"), "error")],
    ids=["away", "mistake", "odd"],
)
async def test_the_loop_outlives_whatever_the_store_does_and_nobody_is_let_in_meanwhile(
    autojump_clock: MockClock, trouble: Exception, level: str
) -> None:
    store = ScriptedStore(lambda number, _queue: trouble if 2 <= number < 6 else a_pass(admitted=1))
    with capture_logs() as logs:
        await store.run_for(2.4)
    assert store.times == [number * 0.25 for number in range(10)]
    assert len(store.learned) == 6
    assert [entry["log_level"] for entry in logs] == [level, "info"], "once, and once that it is over"


async def test_it_is_ready_after_the_first_pass_and_not_before(autojump_clock: MockClock) -> None:
    store = ScriptedStore(lambda _number, _queue: a_pass())
    store.lasts_s = lambda _number: 5.0
    async with trio.open_nursery() as nursery:
        start = trio.current_time()
        await nursery.start(
            lambda task_status: run_admission(store, store, store, interval_s=0.25, task_status=task_status)
        )
        assert (trio.current_time() - start, len(store.learned)) == (5.0, 1)
        nursery.cancel_scope.cancel()


async def test_it_is_ready_though_the_store_is_away_because_it_will_come_back(
    autojump_clock: MockClock,
) -> None:
    store = ScriptedStore(lambda number, _queue: AWAY if number == 0 else a_pass())
    async with trio.open_nursery() as nursery:
        await nursery.start(
            lambda task_status: run_admission(store, store, store, interval_s=0.25, task_status=task_status)
        )
        assert store.learned == []
        await trio.sleep(0.3)
        assert len(store.learned) == 1
        nursery.cancel_scope.cancel()


async def test_a_queue_that_is_kept_but_not_listed_is_listed_again_if_it_exists_and_else_forgotten(
    autojump_clock: MockClock,
) -> None:
    store = ScriptedStore(lambda _number, _queue: a_pass())
    store.unlisted, store.deleted = ["lost"], ["gone"]
    await store.run_for(0.1)
    assert store.asked[0][1] == ["q", "lost"]
    assert store.forgotten == ["gone"]
