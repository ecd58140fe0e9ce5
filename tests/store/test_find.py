"""Looking for one person: what the scripts that visitors call say, and nothing that they leave behind."""

from tests.store.conftest import MakeQueue
from tests.support.scripted_queue import ScriptedQueue, new_id
from wr.model.places import Admitted, Gone, Reason, Waiting
from wr.store.enqueue import Join
from wr.store.find import Found
from wr.store.visit import VisitKind


def waiting_at(
    queue: ScriptedQueue, position: int, priority: int, enqueued_ms: int, last_seen_ms: int
) -> Found:
    """One of three visitors in line, as an operator finds it now."""
    return Found(
        now_ms=queue.now_ms,
        queue_length=3,
        place=Waiting(position),
        priority=priority,
        enqueued_ms=enqueued_ms,
        last_seen_ms=last_seen_ms,
    )


def test_somebody_in_line_is_found_with_priority_arrival_and_last_heartbeat(make_queue: MakeQueue) -> None:
    queue = make_queue(status="paused")
    arrived = queue.now_ms
    first, second, urgent = (new_id() for _ in range(3))
    queue.join_many([Join(first, b"", 0, b"x", b"", b""), Join(second, b"", 1, b"x", b"", b"")])
    queue.advance(5)
    queue.join_many([Join(urgent, b"", 3, b"x", b"", b"")])
    queue.heartbeat(second)
    assert queue.find(first) == waiting_at(queue, 3, 0, arrived, arrived)
    assert queue.find(second) == waiting_at(queue, 2, 1, arrived, arrived + 5_000)
    assert queue.find(urgent) == waiting_at(queue, 1, 3, arrived + 5_000, arrived + 5_000)


def test_somebody_inside_is_found_with_activity_until_the_very_end(make_queue: MakeQueue) -> None:
    queue = make_queue(session_timeout_seconds=100)
    visitor = new_id()
    queue.join_many([Join(visitor, b"", 0, b"x", b"", b"")])
    queue.admit()
    started = queue.now_ms
    queue.advance(10)
    queue.visit(visitor, VisitKind.PAGE_VIEW)
    queue.advance(89.999)
    session = Admitted(started, started + 100_000, started + 10_000, 1)
    assert queue.find(visitor) == Found(now_ms=queue.now_ms, queue_length=0, place=session)
    queue.advance(0.001)
    gone = Gone(started + 100_000, Reason.SESSION_TIMEOUT)
    assert queue.find(visitor) == Found(now_ms=queue.now_ms, queue_length=0, place=gone)
    queue.admit()
    assert queue.find(visitor) == Found(now_ms=queue.now_ms, queue_length=0, place=gone)
    queue.advance(3600)
    assert queue.find(visitor) is None


def test_nobody_is_found_who_never_was_and_none_in_a_queue_that_is_gone(make_queue: MakeQueue) -> None:
    queue = make_queue()
    assert queue.find(new_id()) is None
    visitor = queue.join().position_id
    assert queue.find(visitor) is not None
    queue.delete()
    assert queue.find(visitor) is None


def test_to_look_for_somebody_keeps_no_place(make_queue: MakeQueue) -> None:
    queue = make_queue(status="paused", heartbeat_timeout_seconds=60)
    visitor = queue.join().position_id
    for _ in range(6):
        queue.advance(10)
        queue.find(visitor)
    assert queue.admit().dropped == [visitor]
