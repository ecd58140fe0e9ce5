"""A store whose memory is used up: what frees memory works, and what is held stays.

In the second dialect each command that may need memory is refused by itself, as DragonflyDB does; Valkey and
Redis let them pass after a script's first write.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
import redis

from tests.store.conftest import MakeQueue
from tests.support.engines import Engine
from tests.support.scripted_queue import ScriptedQueue, new_id
from wr.model.join_denials import Denial
from wr.model.limits import Limit
from wr.model.places import Admitted, Gone, Reason, Unknown, Unserved, Waiting
from wr.store.enqueue import Join
from wr.store.visit import VisitKind

Full = Callable[[], AbstractContextManager[None]]


@pytest.fixture
def full(client: Any, engine: Engine) -> Full:
    """Leaves the store without memory for as long as a block lasts."""
    if engine.name.startswith("external"):
        pytest.skip("its memory is not ours to take")

    @contextmanager
    def without_memory() -> Iterator[None]:
        client.config_set("maxmemory", 1)
        try:
            with pytest.raises(redis.OutOfMemoryError):
                client.set("more", 1)
            yield
        finally:
            client.config_set("maxmemory", 0)

    return without_memory


def fill(queue: ScriptedQueue, count: int) -> list[bytes]:
    ids = [new_id() for _ in range(count)]
    queue.join_many([Join(each, b"", 0, b"x", each[:16], b'{"a":1}', address=b"addr") for each in ids])
    return ids


def each_refused(engine: Engine) -> bool:
    return engine.name == "lua-5.4"


def test_a_full_store_is_freed_of_the_silent_and_of_sessions_that_are_over(
    make_queue: MakeQueue, full: Full
) -> None:
    queue = make_queue(admission_rate=3, heartbeat_timeout_seconds=60, session_timeout_seconds=50)
    ids = fill(queue, 40)
    admitted = queue.admit().admitted
    queue.configure(status="paused")
    queue.advance(61)
    with full():
        done = queue.admit()
    assert sorted(done.dropped) == sorted(ids[3:])
    assert sorted(done.ended) == sorted(admitted)
    for part in ("waiting", "seen", "sessions", "records", "extras", "people", "addresses"):
        assert queue.size(part) == 0, part


def test_a_full_store_goes_on_letting_people_in_or_keeps_them_in_line(
    make_queue: MakeQueue, full: Full, engine: Engine
) -> None:
    queue = make_queue(admission_rate=2, heartbeat_timeout_seconds=60)
    ids = fill(queue, 6)
    with full():
        done = queue.admit()
        if each_refused(engine):
            assert done.admitted == []
            assert (queue.size("waiting"), queue.size("seen"), queue.size("sessions")) == (6, 6, 0)
        else:
            assert done.admitted == ids[:2]
    admitted = done.admitted
    for _ in range(10):
        queue.advance(1)
        admitted = admitted + queue.admit().admitted
    assert admitted == ids


def test_nobody_is_let_in_who_cannot_be_counted(make_queue: MakeQueue, client: Any, full: Full) -> None:
    queue = make_queue(admission_rate=5, heartbeat_timeout_seconds=600, priority_share=0.5)
    queue.join(priority=0)
    queue.join(priority=3)
    for _ in range(30):
        queue.join(priority=1)
    admitted = 0
    with full():
        for _ in range(8):
            admitted += len(queue.admit().admitted)
            queue.advance(0.25)
    for _ in range(4):
        admitted += len(queue.admit().admitted)
        queue.advance(0.25)
    assert 5 <= admitted <= 5 + 5 * 3
    assert queue.size("waiting") == 32 - admitted
    assert queue.size("sessions") == queue.size("records") == admitted


def test_while_memory_is_short_ends_leave_nothing_behind(make_queue: MakeQueue) -> None:
    queue = make_queue(heartbeat_timeout_seconds=60, most_per_pass=10, status="paused")
    early = fill(queue, 15)
    for each in early:
        queue.leave(each)
    assert queue.size("tombstones") == 15
    late = fill(queue, 5)
    queue.advance(61)
    done = queue.admit(is_short=True)
    assert sorted(done.dropped) == sorted(late)
    # Ten of the oldest are forgotten, and none is added.
    assert queue.size("tombstones") == 5
    assert isinstance(queue.poll(late[0])[0].place, Unknown)


def test_a_visitor_leaves_a_full_store_and_an_operator_empties_it(make_queue: MakeQueue, full: Full) -> None:
    limits = {"status": Limit(100)}
    queue = make_queue(limits, admission_rate=1, heartbeat_timeout_seconds=60)
    ids = fill(queue, 10)
    queue.admit()
    with full():
        assert queue.leave(ids[0], Reason.TERMINATED).ended_now
        assert queue.leave(ids[1]).ended_now
        assert queue.size("waiting") == 8
        assert queue.flush() == [1, 8, 0]
        for part in ("waiting", "seen", "sessions", "records", "extras", "people", "addresses"):
            assert queue.size(part) == 0, part
        assert queue.delete() == 1


def test_heartbeats_and_sessions_are_served_by_a_full_store(
    make_queue: MakeQueue, full: Full, engine: Engine
) -> None:
    limits = {"status": Limit(100), "heartbeat": Limit(100), "activity": Limit(100)}
    queue = make_queue(limits, admission_rate=1, heartbeat_timeout_seconds=60)
    ids = fill(queue, 3)
    queue.admit()
    started = queue.now_ms
    with full():
        queue.advance(40)
        assert queue.poll(ids[0])[0].place == Admitted(started, started + 3_600_000)
        assert isinstance(queue.visit(ids[0], VisitKind.PAGE_VIEW).place, Admitted)
        if each_refused(engine):
            with pytest.raises(redis.OutOfMemoryError):
                queue.heartbeat(*ids[1:])
            return
        polled = queue.heartbeat(*ids[1:])
        assert [each.place for each in polled] == [Waiting(1), Waiting(2)]
        assert [each.used for each in polled] == [1, 1]
        assert queue.heartbeat(ids[1])[0].used == 2
    queue.configure(status="paused")
    queue.advance(40)
    assert queue.admit().dropped == []


def test_what_is_remembered_of_an_end_is_given_up_before_the_end_is(
    make_queue: MakeQueue, full: Full, engine: Engine
) -> None:
    queue = make_queue(heartbeat_timeout_seconds=60, status="paused")
    (visitor,) = fill(queue, 1)
    queue.advance(61)
    with full():
        assert queue.admit().dropped == [visitor]
    expected = Unknown if each_refused(engine) else Gone
    assert isinstance(queue.poll(visitor)[0].place, expected)


def test_a_store_short_of_memory_gives_no_new_place_and_finds_those_that_are_held(
    make_queue: MakeQueue,
) -> None:
    queue = make_queue(status="paused")
    held = queue.join(person=b"p" * 16)
    late = queue.join(is_short=True)
    assert (late.place, late.queue_length) == (Denial.NO_MEMORY, 1)
    assert isinstance(queue.join(known=held.position_id, is_short=True).place, Waiting)
    found = queue.join(person=b"p" * 16, is_short=True)
    assert found.position_id == held.position_id


def test_a_full_store_counts_joins_and_gives_no_place(
    make_queue: MakeQueue, full: Full, engine: Engine
) -> None:
    queue = make_queue({"enqueue": Limit(2)}, status="paused")
    held = queue.join(subject=b"another")
    if engine.name == "valkey-cluster":
        pytest.skip("there another script counts, on another shard")
    with full():
        assert queue.join().place is Denial.NO_MEMORY
        assert isinstance(queue.join(known=held.position_id, subject=b"another").place, Waiting)
        assert queue.join().place is Denial.NO_MEMORY
        # Where nothing can be counted, the count stands as it was.
        assert queue.join().place is (Denial.NO_MEMORY if each_refused(engine) else Unserved.LIMITED)
    assert queue.size("waiting") == 1


def test_a_join_that_is_not_counted_fails_on_a_full_store_and_leaves_nothing(
    make_queue: MakeQueue, full: Full
) -> None:
    queue = make_queue(status="paused")
    with full(), pytest.raises(redis.OutOfMemoryError):
        queue.join(metadata=b"{}", person=b"p" * 16, address=b"addr")
    for part in ("waiting", "seen", "extras", "people", "addresses"):
        assert queue.size(part) == 0, part


def test_ends_are_remembered_even_so_while_places_come_back_from_their_tokens(
    make_queue: MakeQueue, client: Any
) -> None:
    queue = make_queue(heartbeat_timeout_seconds=60, status="paused")
    (visitor,) = fill(queue, 1)
    queue.admit()
    (bucket,) = queue.keys.queue(queue.queue_id, "bucket")
    client.hset(bucket, "forgot_ms", queue.now_ms)
    for _ in range(70):
        queue.advance(1)
        queue.admit(is_short=True)
    # Else the token of a place that has ended would bring it back.
    assert isinstance(queue.poll(visitor)[0].place, Gone)
    queue.advance(3540)
    queue.admit()
    queue.admit(is_short=True)
    assert queue.size("tombstones") == 0


def test_a_gap_moves_sessions_once_whether_or_not_there_is_memory_to_note_it(
    make_queue: MakeQueue, full: Full
) -> None:
    queue = make_queue(session_timeout_seconds=600)
    queue.least_gap_ms = 5000
    (visitor,) = fill(queue, 1)
    queue.admit()
    ends_ms = queue.now_ms + 600_000
    queue.advance(100)
    with full():
        assert queue.admit().ended == []
        assert queue.admit().ended == []
    assert queue.admit().ended == []
    state = queue.visit(visitor).place
    assert isinstance(state, Admitted)
    assert state.expires_ms == ends_ms + 100_000
