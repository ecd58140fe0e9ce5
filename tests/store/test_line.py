"""The line: joining, positions, heartbeats, leaving."""

from tests.store.conftest import MakeQueue
from tests.support.scripted_queue import new_id
from wr.model.join_denials import Denial
from wr.model.places import UNKNOWN, Gone, Reason, Unserved, Waiting
from wr.store.enqueue import Join, Joined


def position(joined: Joined) -> int:
    assert isinstance(joined.place, Waiting)
    return joined.place.position


def test_higher_priority_stands_in_front_and_equals_stand_in_order_of_arrival(make_queue: MakeQueue) -> None:
    queue = make_queue(status="paused")
    priorities = [0, 2, 0, 3, 1, 2, 3, 0]
    ids = [queue.join(priority).position_id for priority in priorities]
    expected = sorted(range(len(ids)), key=lambda index: (-priorities[index], index))
    stand = [place.place for place in queue.poll(*ids)]
    assert stand == [Waiting(expected.index(index) + 1) for index in range(len(ids))]


def test_a_join_is_told_the_position_that_a_poll_then_confirms(make_queue: MakeQueue) -> None:
    queue = make_queue(status="paused")
    for priority in (0, 0, 1, 3, 1, 0):
        joined = queue.join(priority)
        (polled,) = queue.poll(joined.position_id)
        assert polled.place == Waiting(position(joined))
        assert joined.queue_length == polled.queue_length


def test_one_batch_gives_the_same_places_as_one_call_for_each(make_queue: MakeQueue) -> None:
    queue = make_queue(status="paused")
    joins = [Join(new_id(), b"", priority, b"x", b"", b"") for priority in (0, 1, 0, 3, 0)]
    joined = queue.join_many(joins)
    assert [position(each) for each in joined] == [1, 1, 3, 1, 5]
    assert {each.queue_length for each in joined} == {5}


def test_order_survives_a_clock_that_steps_back(make_queue: MakeQueue) -> None:
    queue = make_queue(status="paused")
    ids = []
    for step_s in (0, -3600, 5, -86_400, 0):
        queue.advance(step_s)
        ids.append(queue.join().position_id)
    assert [polled.place for polled in queue.poll(*ids)] == [Waiting(n) for n in range(1, 6)]


def test_the_time_of_arrival_and_the_priority_come_back_with_a_place(make_queue: MakeQueue) -> None:
    queue = make_queue(status="paused")
    first = queue.join(2, person=b"p" * 16)
    queue.advance(30)
    again = queue.join(0, person=b"p" * 16)
    assert (again.place, again.is_new) == (Waiting(1), False)
    assert (again.priority, again.enqueued_ms) == (2, first.enqueued_ms)
    assert abs(first.enqueued_ms - (queue.now_ms - 30_000)) <= 1
    assert again.position_id == first.position_id


def test_two_joins_of_one_person_in_one_batch_are_one_place(make_queue: MakeQueue) -> None:
    queue = make_queue(status="paused")
    twice = [Join(new_id(), b"", 0, b"x", b"p" * 16, b"") for _ in range(2)]
    first, second = queue.join_many(twice)
    assert first.position_id == second.position_id
    assert queue.size("waiting") == 1


def test_a_full_line_takes_nobody_new_but_knows_those_it_has(make_queue: MakeQueue) -> None:
    queue = make_queue(status="paused", max_queue_size=2)
    first = queue.join()
    queue.join()
    assert queue.join().place == Denial.LINE_FULL
    again = queue.join(known=first.position_id)
    assert again.position_id == first.position_id
    batch = [Join(new_id(), b"", 0, b"x", b"", b"") for _ in range(3)]
    queue.leave(first.position_id)
    first, *others = (joined.place for joined in queue.join_many(batch))
    assert (first, others) == (Waiting(2), [Denial.LINE_FULL, Denial.LINE_FULL])


def test_maintenance_takes_nobody_new_but_keeps_places(make_queue: MakeQueue) -> None:
    queue = make_queue(status="paused")
    first = queue.join()
    queue.configure(status="maintenance")
    assert queue.join().place == Denial.LINE_CLOSED
    assert queue.heartbeat(first.position_id)[0].place == Waiting(1)
    assert queue.admit().admitted == []


def test_a_known_place_that_is_gone_is_a_new_place_at_the_end(make_queue: MakeQueue) -> None:
    queue = make_queue(status="paused")
    first = queue.join()
    queue.join()
    queue.leave(first.position_id)
    again = queue.join(known=first.position_id)
    assert position(again) == 2
    assert again.position_id != first.position_id


def test_silence_beyond_the_timeout_loses_the_place_and_a_heartbeat_within_it_keeps_it(
    make_queue: MakeQueue,
) -> None:
    queue = make_queue(status="paused", heartbeat_timeout_seconds=60)
    silent, faithful = queue.join().position_id, queue.join().position_id
    queue.advance(59)
    queue.heartbeat(faithful)
    assert queue.admit().dropped == []
    queue.advance(1)
    assert queue.admit().dropped == [silent]
    states = [polled.place for polled in queue.poll(silent, faithful)]
    assert states == [Gone(queue.now_ms, Reason.HEARTBEAT_TIMEOUT), Waiting(1)]


def test_asking_for_the_status_is_not_a_sign_of_life(make_queue: MakeQueue) -> None:
    queue = make_queue(status="paused", heartbeat_timeout_seconds=60)
    asker = queue.join().position_id
    queue.advance(59)
    queue.poll(asker)
    queue.advance(1)
    assert queue.admit().dropped == [asker]


def test_a_heartbeat_does_not_resurrect_someone_dropped_or_admitted(make_queue: MakeQueue) -> None:
    queue = make_queue(admission_rate=1, heartbeat_timeout_seconds=60)
    admitted, dropped = queue.join().position_id, queue.join().position_id
    assert queue.admit().admitted == [admitted]
    queue.configure(status="paused")
    queue.advance(60)
    queue.admit()
    for polled in queue.heartbeat(admitted, dropped):
        assert not isinstance(polled.place, Waiting)
    assert queue.size("waiting") == queue.size("seen") == 0


def test_of_whoever_leaves_it_is_told_whether_that_took_a_session(make_queue: MakeQueue) -> None:
    queue = make_queue(session_timeout_seconds=10, admission_rate=10)
    inside, over, waiting = (queue.join().position_id for _ in range(3))
    queue.admit()
    queue.configure(status="paused")
    waiting = queue.join().position_id
    left = queue.leave(waiting)
    assert (left.ended_now, left.took_session) == (True, False)
    left = queue.leave(inside)
    assert (left.ended_now, left.took_session) == (True, True)
    # Its time is over and no pass has seen it yet: none will any more, so this call has to tell.
    queue.advance(10)
    left = queue.leave(over)
    assert (left.ended_now, left.took_session) == (False, True)
    assert left.place == Gone(queue.now_ms, Reason.SESSION_TIMEOUT)
    for who in (inside, over, waiting):
        left = queue.leave(who)
        assert (left.ended_now, left.took_session) == (False, False)


def test_flushing_tells_who_was_sent_away_where_that_is_asked_for(make_queue: MakeQueue) -> None:
    queue = make_queue(status="paused")
    ids = [queue.join().position_id for _ in range(5)]
    assert queue.flushed(most=3) == [queue.now_ms, ids[:3]]
    assert queue.flushed(most=3) == [queue.now_ms, ids[3:]]


def test_leaving_moves_everybody_behind_up_and_is_remembered_for_an_hour(make_queue: MakeQueue) -> None:
    queue = make_queue(status="paused")
    first, second = queue.join().position_id, queue.join().position_id
    left = queue.leave(first)
    assert left.ended_now
    assert left.place == Gone(queue.now_ms, Reason.CANCELLED)
    assert queue.poll(second)[0].place == Waiting(1)
    assert not queue.leave(first).ended_now
    queue.advance(3599)
    queue.heartbeat(second)
    queue.admit()
    assert isinstance(queue.poll(first)[0].place, Gone)
    queue.advance(1)
    assert queue.poll(first)[0].place == UNKNOWN
    queue.admit()
    assert queue.size("tombstones") == 0


def test_flushing_in_slices_sends_everybody_away_from_the_front(make_queue: MakeQueue) -> None:
    queue = make_queue(status="paused")
    ids = [queue.join(metadata=b'{"a":1}', person=bytes([n]) * 16).position_id for n in range(1, 6)]
    assert queue.flush(most=2) == [1, 2, 3]
    assert [polled.place for polled in queue.poll(ids[0], ids[2])] == [
        Gone(queue.now_ms, Reason.FLUSHED),
        Waiting(1),
    ]
    assert queue.flush(most=10) == [1, 3, 0]
    assert [queue.size(part) for part in ("waiting", "seen", "extras", "people")] == [0, 0, 0, 0]


def test_what_is_kept_beside_a_place_goes_with_it(make_queue: MakeQueue) -> None:
    queue = make_queue(admission_rate=1, session_timeout_seconds=5, heartbeat_timeout_seconds=60)
    admitted = queue.join(person=b"a" * 16, metadata=b'{"user_id":1}').position_id
    left = queue.join(person=b"b" * 16, metadata=b'{"user_id":2}').position_id
    queue.join(metadata=b'{"campaign":"x"}')
    assert (queue.size("extras"), queue.size("people")) == (3, 2)
    assert queue.admit().admitted == [admitted]
    assert queue.size("extras") == 3  # a session still is somebody
    queue.leave(left)
    queue.configure(status="paused")
    queue.advance(60)
    queue.admit()
    kept = ("waiting", "seen", "sessions", "records", "extras", "people")
    assert [queue.size(part) for part in kept] == [0] * len(kept)


def test_a_waiting_place_keeps_nothing_but_its_two_entries(make_queue: MakeQueue) -> None:
    queue = make_queue(status="paused")
    home = b"home"
    queue.join_many([Join(new_id()[:12] + home, b"", 0, b"x", b"", b"", address=home) for _ in range(50)])
    assert [queue.size(part) for part in ("waiting", "seen", "extras", "people")] == [50, 50, 0, 0]
    assert queue.size("addresses") == 1


def test_a_place_whose_identity_was_kept_by_an_older_version_is_given_back(make_queue: MakeQueue) -> None:
    queue = make_queue(status="paused")
    person = b"p" * 16
    place = queue.join(person=person).position_id
    (people,) = queue.keys.queue(queue.queue_id, "people")
    queue.client.hset(people, person, place)
    assert queue.join(person=person).position_id == place


def test_a_user_who_joins_again_before_the_last_session_is_cleared_away_keeps_what_is_beside_the_place(
    make_queue: MakeQueue,
) -> None:
    queue = make_queue(admission_rate=1000, session_timeout_seconds=5, max_places_per_address=1)
    user, home = new_id()[:12] + bytes(4), b"home"
    join = Join(user, user, 0, b"x", b"", b"", address=home)
    queue.join_many([join])
    queue.admit()
    queue.configure(status="paused")
    queue.advance(5)
    (again,) = queue.join_many([join])
    assert isinstance(again.place, Waiting)
    assert queue.admit().ended == [user]
    assert queue.size("extras") == 1
    queue.leave(user)
    assert [queue.size(part) for part in ("waiting", "extras", "addresses")] == [0, 0, 0]


def test_nothing_is_written_for_a_queue_that_does_not_exist(make_queue: MakeQueue) -> None:
    queue = make_queue()
    somebody = queue.join().position_id
    assert queue.delete() == 1
    assert queue.delete() == 0
    assert queue.join().place == Unserved.NO_QUEUE
    assert queue.poll(somebody)[0].place == Unserved.NO_QUEUE
    assert queue.heartbeat(somebody)[0].place == Unserved.NO_QUEUE
    assert queue.leave(somebody).place == Unserved.NO_QUEUE
    assert queue.visit(somebody).place == Unserved.NO_QUEUE
    assert queue.flush() == [0, 0, 0]
    assert queue.client.exists(*queue.keys.all_of(queue.queue_id)) == 0
