"""The admission pass: rate, room, order, sessions."""

import itertools

import pytest

from tests.store.conftest import MakeQueue
from tests.support.scripted_queue import ScriptedQueue, new_id
from wr.model.places import Admitted, Gone, Reason
from wr.store.enqueue import Join
from wr.store.visit import VisitKind


def fill(queue: ScriptedQueue, count: int) -> list[bytes]:
    ids = [new_id() for _ in range(count)]
    queue.join_many([Join(each, b"", 0, b"x", b"", b"") for each in ids])
    return ids


def test_an_idle_queue_lets_one_seconds_worth_in_at_once_and_then_the_rate(make_queue: MakeQueue) -> None:
    queue = make_queue(admission_rate=10)
    ids = fill(queue, 100)
    admitted = []
    per_pass = []
    for _ in range(9):
        done = queue.admit().admitted
        per_pass.append(len(done))
        admitted += done
        queue.advance(0.25)
    assert per_pass == [10, 2, 3, 2, 3, 2, 3, 2, 3]
    assert admitted == ids[: len(admitted)]


def test_tokens_never_pile_up_beyond_one_second(make_queue: MakeQueue) -> None:
    queue = make_queue(admission_rate=10)
    queue.admit()
    queue.advance(3600)
    fill(queue, 100)
    assert len(queue.admit().admitted) == 10


@pytest.mark.parametrize(("rate", "seconds_between"), [(0.1, 10), (0.5, 2), (0.25, 4)])
def test_a_rate_below_one_lets_one_person_in_every_so_often(
    make_queue: MakeQueue, rate: float, seconds_between: int
) -> None:
    queue = make_queue(admission_rate=rate, heartbeat_timeout_seconds=3600)
    fill(queue, 10)
    assert len(queue.admit().admitted) == 1
    times = []
    for _ in range(seconds_between * 4 * 3):
        queue.advance(0.25)
        if queue.admit().admitted:
            times.append(queue.now_ms)
    assert [later - earlier for earlier, later in itertools.pairwise(times)] == [seconds_between * 1000] * 2


def test_passes_that_come_in_no_rhythm_keep_the_rate(make_queue: MakeQueue) -> None:
    queue = make_queue(admission_rate=7)
    fill(queue, 300)
    started = queue.now_ms
    total = 0
    for step_ms in [1, 1, 333, 50, 800, 1, 250, 250, 7, 13, 400] * 5:
        total += len(queue.admit().admitted)
        queue.advance(step_ms / 1000)
    total += len(queue.admit().admitted)
    assert total == 7 + 7 * (queue.now_ms - started) // 1000


def test_a_room_that_is_full_lets_in_as_many_as_leave(make_queue: MakeQueue) -> None:
    queue = make_queue(admission_rate=100, max_active_users=3)
    ids = fill(queue, 10)
    assert queue.admit().admitted == ids[:3]
    queue.advance(1)
    assert queue.admit().admitted == []
    queue.leave(ids[1])
    done = queue.admit()
    assert done.admitted == [ids[3]]
    assert done.active == 3


def test_a_smaller_room_sends_nobody_out_but_lets_nobody_in(make_queue: MakeQueue) -> None:
    queue = make_queue(admission_rate=100, max_active_users=3)
    ids = fill(queue, 10)
    queue.admit()
    queue.configure(max_active_users=1)
    queue.advance(1)
    done = queue.admit()
    assert (done.admitted, done.active) == ([], 3)
    queue.leave(ids[0])
    queue.leave(ids[1])
    assert queue.admit().admitted == []
    queue.leave(ids[2])
    assert queue.admit().admitted == [ids[3]]


def test_a_pause_lets_nobody_in_and_saves_up_no_more_than_a_second(make_queue: MakeQueue) -> None:
    queue = make_queue(admission_rate=5, status="paused", heartbeat_timeout_seconds=3600)
    fill(queue, 50)
    for _ in range(10):
        assert queue.admit().admitted == []
        queue.advance(1)
    queue.configure(status="active")
    assert len(queue.admit().admitted) == 5


def test_a_lower_rate_holds_from_the_next_pass(make_queue: MakeQueue) -> None:
    queue = make_queue(admission_rate=100)
    fill(queue, 500)
    queue.admit()
    queue.advance(1)
    queue.configure(admission_rate=2)
    assert len(queue.admit().admitted) == 2


def test_a_session_lasts_its_time_and_is_then_gone(make_queue: MakeQueue) -> None:
    queue = make_queue(session_timeout_seconds=100)
    (visitor,) = fill(queue, 1)
    done = queue.admit()
    assert done.sessions_end_ms == queue.now_ms + 100_000
    started = queue.now_ms
    assert queue.poll(visitor)[0].place == Admitted(started, started + 100_000)
    queue.advance(99.999)
    assert isinstance(queue.visit(visitor).place, Admitted)
    queue.advance(0.001)
    # True at the very millisecond, whether or not a pass has swept since.
    assert queue.visit(visitor).place == Gone(started + 100_000, Reason.SESSION_TIMEOUT)
    assert queue.poll(visitor)[0].place == Gone(started + 100_000, Reason.SESSION_TIMEOUT)
    assert queue.figures().active == 0
    done = queue.admit()
    assert (done.ended, done.active) == ([visitor], 0)
    assert isinstance(queue.visit(visitor).place, Gone)


def test_activity_counts_page_views_and_extends_nothing(make_queue: MakeQueue) -> None:
    queue = make_queue(session_timeout_seconds=100)
    (visitor,) = fill(queue, 1)
    queue.admit()
    started = queue.now_ms
    queue.advance(10)
    queue.visit(visitor, VisitKind.PAGE_VIEW)
    queue.visit(visitor, VisitKind.ACTIVITY)
    queue.advance(5)
    queue.visit(visitor, VisitKind.PAGE_VIEW)
    queue.advance(5)
    assert queue.visit(visitor).place == Admitted(started, started + 100_000, started + 15_000, 2)


def test_a_terminated_session_ends_at_once_and_only_a_session_can_be_terminated(
    make_queue: MakeQueue,
) -> None:
    queue = make_queue(admission_rate=1)
    visitor, waiting = fill(queue, 2)
    queue.admit()
    assert queue.leave(visitor, Reason.TERMINATED).ended_now
    assert queue.visit(visitor).place == Gone(queue.now_ms, Reason.TERMINATED)
    assert not queue.leave(waiting, Reason.TERMINATED).ended_now
    assert queue.size("waiting") == 1


def test_more_than_one_call_can_do_is_reported_and_done_by_the_next(make_queue: MakeQueue) -> None:
    queue = make_queue(most_per_pass=40, admission_rate=100, max_active_users=1000)
    ids = fill(queue, 120)
    rounds = [queue.admit() for _ in range(3)]
    assert [len(each.admitted) for each in rounds] == [40, 40, 20]
    assert [each.more for each in rounds] == [True, True, False]
    assert [each for done in rounds for each in done.admitted] == ids[:100]


def test_thousands_are_let_in_dropped_and_ended_in_one_call(make_queue: MakeQueue) -> None:
    queue = make_queue(
        most_per_pass=5000, admission_rate=3000, max_active_users=100_000, session_timeout_seconds=5
    )
    ids = fill(queue, 5000)
    assert queue.admit().admitted == ids[:3000]
    queue.configure(status="paused")
    queue.advance(60)
    done = queue.admit()
    assert sorted(done.ended) == sorted(ids[:3000])
    assert sorted(done.dropped) == sorted(ids[3000:])
    assert queue.size("tombstones") == 5000


def test_someone_silent_too_long_is_dropped_rather_than_let_in(make_queue: MakeQueue) -> None:
    queue = make_queue(admission_rate=10, heartbeat_timeout_seconds=60)
    gone, here = fill(queue, 2)
    queue.advance(60)
    queue.heartbeat(here)
    done = queue.admit()
    assert (done.dropped, done.admitted) == ([gone], [here])


def test_the_figures_of_a_day_are_what_happened_that_day(make_queue: MakeQueue) -> None:
    queue = make_queue(admission_rate=2, heartbeat_timeout_seconds=60)
    queue.now_ms = queue.now_ms // 86_400_000 * 86_400_000 + 3_600_000
    ids = fill(queue, 6)
    queue.advance(10)
    queue.admit()
    queue.leave(ids[2])
    queue.advance(60)
    queue.admit()
    today = queue.figures()
    assert (today.enqueued_today, today.admitted_today, today.expired_today, today.cancelled_today) == (
        6,
        2,
        3,
        1,
    )
    assert today.waited_ms_today == 20_000
    assert (today.peak_waiting_today, today.waiting, today.active) == (6, 0, 2)
    queue.advance(86_400)
    tomorrow = queue.figures()
    assert (tomorrow.enqueued_today, tomorrow.admitted_today, tomorrow.expired_today) == (0, 0, 0)
    assert tomorrow.peak_waiting_today == 0


def test_each_second_remembers_its_admissions_and_ends(make_queue: MakeQueue) -> None:
    queue = make_queue(admission_rate=4, session_timeout_seconds=2)
    queue.now_ms = queue.now_ms // 1000 * 1000
    fill(queue, 6)
    for _ in range(5):
        queue.admit()
        queue.advance(1)
    first_s = queue.now_ms // 1000 - 5
    seen = {(each.second - first_s, each.admitted, each.ended) for each in queue.figures().seconds}
    assert seen == {(0, 4, 0), (1, 2, 0), (2, 0, 4), (3, 0, 2)}


def test_leaving_at_the_moment_the_session_ends_is_too_late(make_queue: MakeQueue) -> None:
    queue = make_queue(session_timeout_seconds=100)
    (visitor,) = fill(queue, 1)
    queue.admit()
    queue.advance(100)
    assert not queue.leave(visitor).ended_now
    assert queue.visit(visitor).place == Gone(queue.now_ms, Reason.SESSION_TIMEOUT)


def test_a_pass_tells_how_long_each_of_those_let_in_has_waited(make_queue: MakeQueue) -> None:
    queue = make_queue(admission_rate=10, heartbeat_timeout_seconds=3600)
    assert queue.admit().waits_ms == []
    queue.configure(status="paused")
    first, second = queue.join(priority=0), queue.join(priority=0)
    queue.advance(1.5)
    ahead = queue.join(priority=3)
    queue.advance(0.25)
    queue.configure(status="active")
    done = queue.admit()
    assert done.admitted == [ahead.position_id, first.position_id, second.position_id]
    assert done.waits_ms == [250, 1750, 1750]
