"""Silence counts only while visitors can be heard: outages, clocks that leap, a shortened timeout."""

import pytest

from tests.store.conftest import MakeQueue
from tests.support.scripted_queue import ScriptedQueue, new_id
from wr.model.places import Admitted, Gone, Reason
from wr.store.enqueue import Join

GAP_MS = 2000


@pytest.fixture
def queue(make_queue: MakeQueue) -> ScriptedQueue:
    """A queue that lets nobody in, with a heartbeat timeout of 60 s, over which a pass has run."""
    queue = make_queue(least_gap_ms=GAP_MS, status="paused", heartbeat_timeout_seconds=60)
    queue.admit()
    return queue


def passes_for(queue: ScriptedQueue, seconds: float) -> list[bytes]:
    """Runs a pass each second for so long; returns who was dropped."""
    dropped = []
    for _ in range(round(seconds)):
        queue.advance(1)
        dropped += queue.admit().dropped
    return dropped


def join(queue: ScriptedQueue, count: int) -> list[bytes]:
    return [queue.join().position_id for _ in range(count)]


@pytest.mark.parametrize("away_s", [61, 3600, 7 * 86_400])
def test_after_an_outage_nobody_is_dropped_until_a_whole_timeout_later(
    queue: ScriptedQueue, away_s: int
) -> None:
    here, gone = join(queue, 2)
    queue.advance(away_s)
    done = queue.admit()
    assert (done.dropped, done.heard_ms, done.gap_ms) == ([], queue.now_ms, away_s * 1000)
    assert passes_for(queue, 30) == []
    queue.heartbeat(here)
    assert passes_for(queue, 29) == []
    queue.advance(0.999)
    assert queue.admit().dropped == []
    queue.advance(0.001)
    assert queue.admit().dropped == [gone]
    assert passes_for(queue, 29) == []
    assert passes_for(queue, 1) == [here]


def test_passes_that_come_late_but_before_the_gap_are_no_outage(queue: ScriptedQueue) -> None:
    (gone,) = join(queue, 1)
    for _ in range(30):
        queue.advance(2)
        done = queue.admit()
    assert (done.dropped, done.heard_ms, done.gap_ms) == ([gone], 0, 0)


def test_an_outage_before_the_first_pass_of_a_queue_costs_nobody_the_place(make_queue: MakeQueue) -> None:
    queue = make_queue(least_gap_ms=GAP_MS, status="paused", heartbeat_timeout_seconds=60)
    (gone,) = join(queue, 1)
    queue.advance(3600)
    done = queue.admit()
    assert (done.dropped, done.gap_ms) == ([], 3_600_000)
    assert passes_for(queue, 59) == []
    assert passes_for(queue, 1) == [gone]


def test_an_outage_after_an_outage_begins_the_time_anew(queue: ScriptedQueue) -> None:
    (gone,) = join(queue, 1)
    queue.advance(100)
    queue.admit()
    passes_for(queue, 50)
    queue.advance(10)
    assert queue.admit().dropped == []
    assert passes_for(queue, 59) == []
    assert passes_for(queue, 1) == [gone]


def test_after_a_clock_went_back_those_heard_keep_their_places_and_the_silent_lose_them(
    queue: ScriptedQueue,
) -> None:
    here, gone = join(queue, 2)
    passes_for(queue, 1)
    queue.advance(-3600)
    assert queue.admit().gap_ms == -3_600_000
    dropped = []
    for _ in range(6):
        queue.heartbeat(here)
        dropped += passes_for(queue, 10)
    assert dropped == [gone]
    queue.heartbeat(here)
    assert passes_for(queue, 59) == []
    assert passes_for(queue, 1) == [here]


def test_a_session_is_as_far_from_its_end_after_an_outage_as_before(make_queue: MakeQueue) -> None:
    queue = make_queue(
        least_gap_ms=GAP_MS, session_timeout_seconds=100, max_active_users=2, heartbeat_timeout_seconds=600
    )
    first, second, third = join(queue, 3)
    queue.admit()
    started = queue.now_ms
    for _ in range(4):
        queue.advance(1)
        queue.admit()
    queue.advance(99)
    done = queue.admit()
    # Both still count in the room.
    assert (done.ended, done.admitted, done.active) == ([], [], 2)
    ends = started + 100_000 + 99_000
    assert queue.visit(first).place == Admitted(started, ends, started, 0)
    assert queue.poll(second)[0].place == Admitted(started, ends)
    passes_for(queue, 95)
    queue.advance(1)
    done = queue.admit()
    assert sorted(done.ended) == sorted([first, second])
    assert done.admitted == [third]
    assert queue.visit(first).place == Gone(queue.now_ms, Reason.SESSION_TIMEOUT)


def test_a_session_ends_later_by_one_session_timeout_at_most(make_queue: MakeQueue) -> None:
    queue = make_queue(least_gap_ms=GAP_MS, session_timeout_seconds=100)
    (visitor,) = join(queue, 1)
    queue.admit()
    started = queue.now_ms
    queue.advance(150)
    assert queue.admit().ended == []
    assert queue.visit(visitor).place == Admitted(started, started + 200_000, started, 0)
    assert passes_for(queue, 49) == []
    assert isinstance(queue.visit(visitor).place, Admitted)
    queue.advance(1)
    assert queue.admit().ended == [visitor]


def test_sessions_that_were_over_before_or_for_long_are_not_revived(make_queue: MakeQueue) -> None:
    queue = make_queue(least_gap_ms=GAP_MS, session_timeout_seconds=100, most_per_pass=1)
    (visitor, other) = join(queue, 2)
    queue.admit()
    queue.admit()
    queue.advance(100)
    queue.advance(100)
    ended = queue.admit().ended + queue.admit().ended
    assert sorted(ended) == sorted([visitor, other])
    assert queue.size("sessions") == 0


def test_those_let_in_by_the_pass_after_an_outage_have_no_more_than_their_time(
    make_queue: MakeQueue,
) -> None:
    queue = make_queue(least_gap_ms=GAP_MS, session_timeout_seconds=100)
    queue.admit()
    (visitor,) = join(queue, 1)
    queue.advance(50)
    assert queue.admit().admitted == [visitor]
    assert queue.poll(visitor)[0].place == Admitted(queue.now_ms, queue.now_ms + 100_000)


def test_a_session_lasts_no_longer_when_the_clock_goes_back(make_queue: MakeQueue) -> None:
    queue = make_queue(least_gap_ms=GAP_MS, session_timeout_seconds=100)
    (visitor,) = join(queue, 1)
    queue.admit()
    queue.advance(-86_400)
    queue.admit()
    passes_for(queue, 99)
    queue.advance(1)
    assert queue.admit().ended == [visitor]


def test_the_ends_of_thousands_of_sessions_move_in_one_pass(make_queue: MakeQueue) -> None:
    queue = make_queue(
        least_gap_ms=GAP_MS,
        admission_rate=3000,
        max_active_users=100_000,
        session_timeout_seconds=100,
        most_per_pass=5000,
    )
    ids = [new_id() for _ in range(2400)]
    queue.join_many([Join(each, b"", 0, b"x", b"", b"") for each in ids])
    queue.admit()
    started = queue.now_ms
    queue.advance(99)
    done = queue.admit()
    assert (done.active, done.ended) == (len(ids), [])
    assert {polled.place for polled in queue.poll(*ids)} == {Admitted(started, started + 199_000)}


def test_a_shortened_timeout_counts_from_each_visitors_next_heartbeat(queue: ScriptedQueue) -> None:
    here, gone = join(queue, 2)
    passes_for(queue, 20)
    queue.configure(heartbeat_timeout_seconds=5)
    # 40 s are left of the 60 that held when they were last heard.
    assert passes_for(queue, 10) == []
    queue.heartbeat(here)
    assert passes_for(queue, 4) == []
    assert passes_for(queue, 1) == [here]
    assert passes_for(queue, 24) == []
    assert passes_for(queue, 1) == [gone]


def test_those_who_join_after_a_shortening_have_the_new_timeout(queue: ScriptedQueue) -> None:
    queue.configure(heartbeat_timeout_seconds=5)
    queue.advance(0.001)
    (visitor,) = join(queue, 1)
    assert passes_for(queue, 4) == []
    assert passes_for(queue, 1) == [visitor]


def test_several_shortenings_in_a_row_cost_nobody_the_first_timeout(queue: ScriptedQueue) -> None:
    (visitor,) = join(queue, 1)
    for timeout in (30, 20, 10, 5):
        passes_for(queue, 5)
        queue.configure(heartbeat_timeout_seconds=timeout)
    assert passes_for(queue, 39) == []
    assert passes_for(queue, 1) == [visitor]


def test_a_shortening_long_after_another_knows_nothing_of_it(queue: ScriptedQueue) -> None:
    queue.configure(heartbeat_timeout_seconds=20)
    passes_for(queue, 60)
    (visitor,) = join(queue, 1)
    queue.configure(heartbeat_timeout_seconds=5)
    assert passes_for(queue, 19) == []
    assert passes_for(queue, 1) == [visitor]


def test_a_longer_timeout_counts_at_once(queue: ScriptedQueue) -> None:
    (visitor,) = join(queue, 1)
    queue.configure(heartbeat_timeout_seconds=30)
    passes_for(queue, 29)
    queue.configure(heartbeat_timeout_seconds=90)
    assert passes_for(queue, 60) == []
    assert passes_for(queue, 1) == [visitor]


def test_other_settings_do_not_count_as_a_shortening(queue: ScriptedQueue) -> None:
    (visitor,) = join(queue, 1)
    passes_for(queue, 30)
    queue.configure(heartbeat_timeout_seconds=60, max_queue_size=7)
    assert passes_for(queue, 29) == []
    assert passes_for(queue, 1) == [visitor]


def test_after_an_outage_a_visitor_with_the_earlier_timeout_has_all_of_that(queue: ScriptedQueue) -> None:
    (visitor,) = join(queue, 1)
    queue.configure(heartbeat_timeout_seconds=5)
    queue.advance(50)
    queue.admit()
    assert passes_for(queue, 59) == []
    assert passes_for(queue, 1) == [visitor]


def test_no_more_are_dropped_in_one_call_than_it_does(make_queue: MakeQueue) -> None:
    queue = make_queue(least_gap_ms=GAP_MS, most_per_pass=3, status="paused", heartbeat_timeout_seconds=60)
    queue.admit()
    early = join(queue, 2)
    queue.configure(heartbeat_timeout_seconds=5)
    queue.advance(1)
    join(queue, 2)
    done = []
    for _ in range(59):
        queue.advance(1)
        done += [queue.admit()]
    assert [len(each.dropped) for each in done if each.dropped] == [2, 2]
    assert sorted(done[-1].dropped) == sorted(early)
