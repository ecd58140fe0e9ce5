"""Counting requests in fixed windows."""

import pytest

from tests.store.conftest import MakeQueue
from tests.support.scripted_queue import NO_LIMIT, new_id
from wr.model.limits import Limit
from wr.model.places import Admitted, Unserved
from wr.store.enqueue import Join
from wr.store.poll import Poll, PollKind, PollScript
from wr.store.script import evaluate
from wr.store.visit import VisitKind


def test_a_window_allows_its_count_to_each_subject_and_the_next_begins_anew(make_queue: MakeQueue) -> None:
    queue = make_queue(limits={"enqueue": Limit(3)}, status="paused")
    queue.now_ms = queue.now_ms // 60_000 * 60_000
    joins = [Join(new_id(), b"", 0, b"one", b"", b"") for _ in range(4)]
    joins.append(Join(new_id(), b"", 0, b"two", b"", b""))
    joined = queue.join_many(joins)
    assert [each.used for each in joined] == [1, 2, 3, 4, 1]
    assert [each.place == Unserved.LIMITED for each in joined] == [False, False, False, True, False]
    assert queue.size("waiting") == 4
    queue.advance(59.999)
    assert queue.join(subject=b"one").place == Unserved.LIMITED
    queue.advance(0.001)
    assert queue.join(subject=b"one").used == 1


def test_windows_do_not_add_up(make_queue: MakeQueue) -> None:
    queue = make_queue(limits={"enqueue": Limit(3)}, status="paused")
    for _ in range(5):
        assert queue.join(subject=b"one").used == 1
        queue.advance(120)


COUNTED_AS = {
    PollKind.STATUS: "status",
    PollKind.KEEPING_STATUS: "status",
    PollKind.HEARTBEAT: "heartbeat",
    PollKind.LOOK: "nothing",
    PollKind.KEEP: "nothing",
}


@pytest.mark.parametrize("kind", list(PollKind))
def test_status_calls_heartbeats_and_streams_are_counted_apart(make_queue: MakeQueue, kind: PollKind) -> None:
    queue = make_queue(limits={"status": Limit(2), "heartbeat": Limit(2)}, status="paused")
    queue.now_ms = queue.now_ms // 60_000 * 60_000
    visitor = queue.join().position_id
    uses = [queue.poll(visitor, kind=kind)[0] for _ in range(3)]
    if COUNTED_AS[kind] == "nothing":
        assert [each.used for each in uses] == [0, 0, 0]
    else:
        assert [each.used for each in uses] == [1, 2, 3]
        assert uses[2].place == Unserved.LIMITED
    for other in (PollKind.STATUS, PollKind.HEARTBEAT):
        already = 3 if COUNTED_AS[other] == COUNTED_AS[kind] else 0
        assert queue.poll(visitor, kind=other)[0].used == already + 1


@pytest.mark.parametrize("kind", list(PollKind))
def test_only_signs_of_life_keep_the_place(make_queue: MakeQueue, kind: PollKind) -> None:
    queue = make_queue(status="paused", heartbeat_timeout_seconds=60)
    visitor = queue.join().position_id
    queue.advance(59)
    queue.poll(visitor, kind=kind)
    queue.advance(1)
    is_sign = kind in (PollKind.KEEPING_STATUS, PollKind.HEARTBEAT, PollKind.KEEP)
    assert queue.admit().dropped == ([] if is_sign else [visitor])


def test_a_heartbeat_over_the_limit_keeps_no_place(make_queue: MakeQueue) -> None:
    queue = make_queue(limits={"heartbeat": Limit(1, 3600)}, status="paused", heartbeat_timeout_seconds=60)
    queue.now_ms = queue.now_ms // 3_600_000 * 3_600_000
    visitor = queue.join().position_id
    queue.heartbeat(visitor)
    queue.advance(59)
    assert queue.heartbeat(visitor)[0].place == Unserved.LIMITED
    queue.advance(1)
    assert queue.admit().dropped == [visitor]


def test_activity_over_the_limit_counts_no_page_view(make_queue: MakeQueue) -> None:
    queue = make_queue(limits={"activity": Limit(2)})
    queue.now_ms = queue.now_ms // 60_000 * 60_000
    visitor = queue.join().position_id
    queue.admit()
    states = [queue.visit(visitor, VisitKind.PAGE_VIEW).place for _ in range(3)]
    assert states[2] == Unserved.LIMITED
    queue.advance(60)
    state = queue.visit(visitor, VisitKind.PAGE_VIEW).place
    assert isinstance(state, Admitted)
    assert state.page_views == 3


def test_counters_expire_by_themselves(make_queue: MakeQueue) -> None:
    queue = make_queue(limits={"enqueue": Limit(3)}, status="paused")
    queue.join()
    assert 0 < queue.client.pttl(queue.keys.shared("limit_enqueue")) <= 120_000


def test_servers_whose_limits_have_different_windows_count_together(make_queue: MakeQueue) -> None:
    queue = make_queue(limits={"status": Limit(100, 60)}, status="paused")
    queue.now_ms = queue.now_ms // 60_000 * 60_000
    other = PollScript(queue.keys, Limit(100, 10), NO_LIMIT)
    visitor = queue.join().position_id

    def ask_the_other() -> int:
        call = other.call(queue.queue_id, queue.now_ms, [Poll(visitor, PollKind.STATUS, visitor)])
        return other.replies(evaluate(queue.client, other.script, *call))[0].used

    used = []
    for _ in range(3):
        used += [queue.poll(visitor)[0].used, ask_the_other()]
        queue.advance(15)
    assert used == [1, 2, 3, 4, 5, 6]
