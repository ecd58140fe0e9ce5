"""The history that admission passes note: once for each step, exact over days, of bounded size."""

import itertools
from typing import Any

import pytest

from tests.store.conftest import MakeQueue
from tests.support.scripted_queue import ScriptedQueue, new_id
from wr.model.history import HistoryNote, HistorySpan, Point, points_of
from wr.store.enqueue import Join

FINE, COARSE = HistorySpan.QUARTER_HOUR, HistorySpan.DAY
DAY_MS = 86_400_000


def at_a_step(queue: ScriptedQueue, step_ms: int = 10_000) -> ScriptedQueue:
    queue.now_ms = (queue.now_ms // step_ms + 1) * step_ms
    return queue


def join(queue: ScriptedQueue, count: int) -> list[bytes]:
    ids = [new_id() for _ in range(count)]
    queue.join_many([Join(each, b"", 0, b"x", b"", b"") for each in ids])
    return ids


def notes_of(queue: ScriptedQueue, span: HistorySpan = FINE) -> list[HistoryNote]:
    return sorted(queue.history(span).notes, key=lambda note: note.at_ms)


def points(queue: ScriptedQueue, span: HistorySpan = FINE) -> list[Point]:
    found = queue.history(span)
    return points_of(found.notes, found.now_ms, span)


def test_each_step_tells_what_happened_from_its_first_pass_to_the_next_ones(make_queue: MakeQueue) -> None:
    queue = at_a_step(make_queue(admission_rate=2, heartbeat_timeout_seconds=15, session_timeout_seconds=60))
    queue.admit()
    ids = join(queue, 6)
    queue.advance(1)
    queue.leave(ids[5])
    queue.advance(2)
    queue.admit()
    queue.advance(7)
    queue.configure(status="paused")
    queue.admit()
    queue.advance(10)
    queue.admit()
    queue.advance(10)
    queue.admit()
    first, second, third = points(queue)
    assert (first.waiting, first.active) == (0, 0)
    assert (first.joined_per_s, first.admitted_per_s, first.cancelled_per_s) == (0.6, 0.2, 0.1)
    assert first.average_wait_s == 3.0
    assert (second.waiting, second.active) == (3, 2)
    assert (second.joined_per_s, second.expired_per_s, second.average_wait_s) == (0, 0, None)
    # The pass that begins the third step drops those who fell silent: that belongs to the third.
    assert (third.waiting, third.expired_per_s) == (3, 0.3)


def test_only_the_first_pass_of_a_step_notes_it_whichever_replica_runs_it(make_queue: MakeQueue) -> None:
    queue = at_a_step(make_queue(status="paused"))
    queue.admit()
    (before,) = notes_of(queue)
    join(queue, 3)
    for _ in range(5):
        queue.advance(1.9)
        queue.admit()
    assert notes_of(queue) == [before]
    queue.advance(0.5)
    queue.admit()
    assert [note.joined for note in notes_of(queue)] == [0, 3]


def test_every_thirtieth_step_of_ten_seconds_is_one_of_five_minutes(make_queue: MakeQueue) -> None:
    queue = at_a_step(make_queue(status="paused", heartbeat_timeout_seconds=604_800), 300_000)
    began_ms = queue.now_ms
    for _ in range(61):
        queue.admit()
        join(queue, 1)
        queue.advance(10)
    assert [note.at_ms - began_ms for note in notes_of(queue, COARSE)] == [0, 300_000, 600_000]
    assert [point.joined_per_s for point in points(queue, COARSE)] == [0.1, 0.1]


def test_counts_go_on_over_a_new_day(make_queue: MakeQueue) -> None:
    queue = make_queue(admission_rate=1, heartbeat_timeout_seconds=604_800, session_timeout_seconds=604_800)
    queue.now_ms = queue.now_ms // DAY_MS * DAY_MS + DAY_MS - 10_000
    for _ in range(2):
        for _ in range(4):
            queue.admit()
            join(queue, 5)
            queue.advance(10)
        queue.advance(DAY_MS / 1000 - 40)
    queue.admit()
    joined = [note.joined for note in notes_of(queue)]
    assert joined == sorted(joined)
    assert joined[-1] == 40
    # The last pass let somebody in after it had taken its note.
    assert (notes_of(queue)[-1].admitted, queue.figures().admitted_today) == (7, 4)


def test_the_steps_on_both_sides_of_midnight_are_as_any_others(make_queue: MakeQueue) -> None:
    queue = make_queue(admission_rate=1, heartbeat_timeout_seconds=604_800)
    queue.now_ms = queue.now_ms // DAY_MS * DAY_MS + DAY_MS - 30_000
    for _ in range(7):
        queue.admit()
        join(queue, 5)
        queue.advance(10)
    assert [point.joined_per_s for point in points(queue)] == [0.5] * 6
    assert queue.figures().enqueued_today == 20
    assert [point.admitted_per_s for point in points(queue)] == [0, *[0.1] * 5]


def test_steps_in_which_no_server_ran_are_missing(make_queue: MakeQueue) -> None:
    queue = at_a_step(make_queue(status="paused"))
    began_ms = queue.now_ms
    for pause_s in (10, 10, 35, 10, 10):
        queue.admit()
        queue.advance(pause_s)
    queue.admit()
    # The pass after the pause comes in the middle of the sixth step, of which it knows half.
    assert [(point.at_ms - began_ms) // 10_000 for point in points(queue)] == [0, 1, 5, 6]


def test_the_rings_hold_a_whole_span_and_no_more_however_long_a_queue_lives(
    make_queue: MakeQueue, client: Any
) -> None:
    queue = at_a_step(make_queue(status="paused", heartbeat_timeout_seconds=604_800), 300_000)
    join(queue, 3)
    for _ in range(310):
        queue.admit()
        queue.advance(300)
    assert len(points(queue, COARSE)) == COARSE.most_points - 1, "the present step's note is not there yet"
    queue.admit()
    assert len(points(queue, COARSE)) == COARSE.most_points
    assert queue.size("history_coarse") == 300
    for _ in range(100):
        queue.admit()
        queue.advance(10)
    queue.admit()
    assert [later.at_ms - earlier.at_ms for earlier, later in itertools.pairwise(points(queue))] == [
        10_000
    ] * (FINE.most_points - 1)
    assert queue.size("history_fine") == 96


def test_a_clock_that_steps_back_spoils_no_step(make_queue: MakeQueue) -> None:
    queue = at_a_step(make_queue(status="paused"))
    for _ in range(4):
        queue.admit()
        join(queue, 2)
        queue.advance(10)
    queue.admit()
    before = points(queue)
    queue.advance(-25)
    queue.admit()
    queue.advance(25)
    assert points(queue) == before


def test_a_queue_without_a_pass_has_no_history_and_one_deleted_leaves_none(
    make_queue: MakeQueue, client: Any
) -> None:
    queue = make_queue()
    assert notes_of(queue) == []
    queue.admit()
    assert len(notes_of(queue)) == 1
    queue.delete()
    assert client.exists(*queue.keys.queue(queue.queue_id, "history_fine", "history_coarse")) == 0


def test_both_rings_full_of_large_counts_take_less_than_64_kib(make_queue: MakeQueue, client: Any) -> None:
    queue = at_a_step(make_queue(status="paused"), 300_000)
    (counters,) = queue.keys.queue(queue.queue_id, "counters")
    queue.admit()
    names = ("enqueued", "admitted", "expired", "cancelled")
    client.hset(counters, mapping={f"carried_{name}": 10**9 for name in names})
    client.hset(counters, "carried_waited_ms", 10**13)
    for _ in range(310):
        queue.advance(300)
        queue.admit()
    for _ in range(100):
        queue.advance(10)
        queue.admit()
    keys = queue.keys.queue(queue.queue_id, "history_fine", "history_coarse")
    assert sum(client.memory_usage(key, samples=0) for key in keys) < 65_536


@pytest.mark.parametrize("span", list(HistorySpan))
def test_the_history_of_no_queue_is_none(make_queue: MakeQueue, client: Any, span: HistorySpan) -> None:
    queue = make_queue()
    queue.delete()
    with pytest.raises(AssertionError):
        queue.history(span)
