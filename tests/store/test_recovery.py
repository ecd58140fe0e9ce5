"""A store that forgot: how a pass notices, and what comes back from tokens and from what servers saw."""

from typing import Any

import pytest

from tests.store.conftest import MakeQueue
from tests.support.scripted_queue import START_MS, ScriptedQueue, new_id
from wr.model.identities import NO_ADDRESS
from wr.model.places import Admitted, Gone, Unknown, Waiting
from wr.model.tokens import PositionClaims, SessionClaims
from wr.store.admit import Known
from wr.store.enqueue import IdentityKind, Joined
from wr.store.recall import AdmittedVisitor
from wr.store.script import evaluate, load_script

HALF_HOUR_S = 1800
KNOWN = Known(created_ms=START_MS, passes=5, waiting=3)


def token_of(
    queue: ScriptedQueue, joined: Joined, *, lasts_s: int = HALF_HOUR_S, **more: Any
) -> PositionClaims:
    """What the token of a join says that was answered just now."""
    assert isinstance(joined.place, Waiting)
    return PositionClaims(
        position_id=joined.position_id,
        queue_id=queue.queue_id,
        priority=joined.priority,
        enqueued_ms=joined.enqueued_ms,
        enqueued_part=joined.enqueued_part,
        issued_s=queue.now_ms // 1000,
        expires_s=queue.now_ms // 1000 + lasts_s,
        **more,
    )


def joins(queue: ScriptedQueue, count: int, **more: Any) -> list[PositionClaims]:
    return [token_of(queue, queue.join(**more)) for _ in range(count)]


def positions(queue: ScriptedQueue, tokens: list[PositionClaims]) -> list[int]:
    polled = [queue.poll(each.position_id)[0].place for each in tokens]
    return [place.position if isinstance(place, Waiting) else 0 for place in polled]


@pytest.fixture
def queue(make_queue: MakeQueue) -> ScriptedQueue:
    """A queue with room for two."""
    return make_queue(
        max_active_users=2, admission_rate=1000, max_places_per_address=500, heartbeat_interval_seconds=10
    )


def forgotten(queue: ScriptedQueue) -> None:
    """Has the queue forget, and a pass of a server notice it, ten seconds after what was before."""
    queue.advance(10)
    queue.forget()
    assert queue.admit(KNOWN).forgotten is not None


def test_a_pass_that_knows_of_more_passes_than_the_store_notices_and_lets_nobody_in_for_a_while(
    queue: ScriptedQueue,
) -> None:
    joins(queue, 1)
    done = queue.admit(Known(START_MS, passes=5, waiting=3))
    assert done.forgotten is not None
    forgotten = done.forgotten
    assert (forgotten.at_ms, forgotten.acknowledged, forgotten.restored) == (queue.now_ms, 3, 0)
    assert (done.is_held, done.admitted) == (True, [])
    queue.advance(0.001)
    again = queue.admit(Known(START_MS, passes=8, waiting=3))
    assert again.forgotten == done.forgotten, "other servers, which know of a little more, notice nothing new"
    queue.advance(9.998)
    assert queue.admit().admitted == []
    queue.advance(0.001)
    done = queue.admit()
    assert (done.is_held, len(done.admitted)) == (False, 1)


@pytest.mark.parametrize(("interval_s", "hold_s"), [(1, 3), (10, 10), (600, 60)])
def test_nobody_is_let_in_for_a_heartbeat_interval_but_neither_too_short_nor_too_long(
    make_queue: MakeQueue, interval_s: int, hold_s: int
) -> None:
    queue = make_queue(heartbeat_interval_seconds=interval_s, heartbeat_timeout_seconds=1200)
    done = queue.admit(KNOWN)
    assert done.forgotten is not None
    assert done.forgotten.held_until_ms == queue.now_ms + hold_s * 1000


def test_a_queue_that_was_made_anew_has_forgotten_nothing(queue: ScriptedQueue) -> None:
    assert queue.admit(Known(START_MS - 1, passes=5, waiting=3)).forgotten is None


def test_places_come_back_in_the_old_order_whoever_asks_first(queue: ScriptedQueue) -> None:
    low, high = joins(queue, 3), joins(queue, 2, priority=3)
    forgotten(queue)
    newcomer = queue.join().position_id
    assert queue.restore(low[2], high[1], low[0]) == [True] * 3
    queue.advance(1)
    assert queue.restore(high[0], low[1]) == [True] * 2
    assert positions(queue, [*high, *low]) == [1, 2, 3, 4, 5]
    assert queue.poll(newcomer)[0].place == Waiting(6)
    done = queue.admit()
    assert done.forgotten is not None
    assert done.forgotten.restored == 5
    assert queue.restore(low[0]) == [True], "it is there already"
    assert positions(queue, low) == [3, 4, 5]


def test_whoever_asks_before_the_first_pass_is_not_told_that_the_place_is_gone(queue: ScriptedQueue) -> None:
    (token,) = joins(queue, 1)
    queue.advance(10)
    queue.forget()
    assert queue.restore(token, known=KNOWN) == [True]
    assert queue.admit(KNOWN).forgotten is not None


def test_without_something_forgotten_nothing_comes_back(queue: ScriptedQueue) -> None:
    (gone,) = joins(queue, 1)
    joined = Joined(queue.now_ms, 0, new_id(), 0, Waiting(1), is_new=True, enqueued_ms=queue.now_ms)
    never = token_of(queue, joined)
    assert queue.restore(never) == [False]
    queue.leave(gone.position_id)
    queue.advance(3700)
    assert queue.restore(gone) == [False]


@pytest.mark.parametrize("ends", ["left", "admitted", "dropped"])
def test_what_ended_after_the_store_forgot_does_not_come_back(queue: ScriptedQueue, ends: str) -> None:
    (token,) = joins(queue, 1)
    forgotten(queue)
    assert queue.restore(token) == [True]
    if ends == "left":
        queue.leave(token.position_id)
    elif ends == "admitted":
        queue.advance(10)
        assert queue.admit().admitted == [token.position_id]
        queue.advance(3600)
        queue.admit()
    else:
        queue.configure(status="paused")
        queue.advance(60)
        assert queue.admit().dropped == [token.position_id]
    assert queue.restore(token) == [False]
    assert isinstance(queue.poll(token.position_id)[0].place, Gone)


def test_what_was_taken_after_the_store_forgot_or_in_another_queue_does_not_come_back(
    queue: ScriptedQueue,
) -> None:
    early = PositionClaims(
        position_id=new_id(),
        queue_id=queue.queue_id,
        priority=0,
        enqueued_ms=START_MS - 1,
        issued_s=START_MS // 1000,
        expires_s=START_MS // 1000 + HALF_HOUR_S,
    )
    forgotten(queue)
    queue.advance(1)
    (late,) = joins(queue, 1)
    queue.forget_place(late.position_id)
    assert queue.restore(early, late) == [False, False]


def test_a_token_whose_time_was_over_when_the_store_forgot_brings_nothing_back(queue: ScriptedQueue) -> None:
    over = token_of(queue, queue.join(), lasts_s=10)
    good = token_of(queue, queue.join(), lasts_s=11)
    forgotten(queue)
    queue.advance(60)
    assert queue.restore(over, good) == [False, True]


def test_an_hour_later_nothing_comes_back(queue: ScriptedQueue) -> None:
    first, second = joins(queue, 2)
    forgotten(queue)
    queue.advance(3539.999)
    assert queue.restore(first) == [True]
    queue.advance(0.001)
    assert queue.restore(second) == [False]


def test_a_place_counts_for_its_address_again_and_is_given_back_to_its_identity(queue: ScriptedQueue) -> None:
    person, tag = b"p" * 16, b"addr"
    joined = queue.join_at(tag, person, kind=IdentityKind.PROVED)
    token = token_of(queue, joined, holder=b"p" + person)
    counted = token_of(queue, queue.join_at(tag))
    forgotten(queue)
    assert queue.restore(token, counted) == [True, True]
    assert queue.size("addresses") == 1
    again = queue.join(person=person, kind=IdentityKind.PROVED)
    assert again.position_id == token.position_id
    queue.leave(token.position_id)
    queue.leave(counted.position_id)
    assert (queue.size("addresses"), queue.size("people"), queue.size("extras")) == (0, 0, 0)


def test_an_identity_that_holds_another_place_by_now_gets_no_second_one(queue: ScriptedQueue) -> None:
    person = b"p" * 16
    token = token_of(queue, queue.join(person=person, kind=IdentityKind.PROVED), holder=b"p" + person)
    forgotten(queue)
    queue.join(person=person, kind=IdentityKind.PROVED)
    assert queue.restore(token) == [False]


def session_of(queue: ScriptedQueue, position_id: bytes, started_ms: int) -> SessionClaims:
    ends_s = (started_ms + 3_600_000) // 1000
    return SessionClaims(
        position_id=position_id, queue_id=queue.queue_id, admitted_ms=started_ms, expires_s=ends_s
    )


def test_a_session_comes_back_with_its_times_and_counts_against_the_room(queue: ScriptedQueue) -> None:
    tokens = joins(queue, 3)
    started_ms = queue.now_ms
    assert len(queue.admit().admitted) == 2
    forgotten(queue)
    session = session_of(queue, tokens[0].position_id, started_ms)
    assert queue.restore(session, tokens[2]) == [True, True]
    assert queue.poll(tokens[0].position_id)[0].place == Admitted(started_ms, session.expires_s * 1000)
    queue.advance(10)
    assert queue.admit().active == 2, "one came back, one was let in"
    late = session_of(queue, new_id(), queue.now_ms)
    over = SessionClaims(
        position_id=new_id(),
        queue_id=queue.queue_id,
        admitted_ms=START_MS,
        expires_s=queue.now_ms // 1000,
    )
    assert queue.restore(late, over) == [False, False]


def test_whom_a_server_saw_let_in_gets_the_same_session_and_no_second_one(queue: ScriptedQueue) -> None:
    tokens = joins(queue, 2)
    forgotten(queue)
    ends_ms = queue.now_ms + 100_000
    inside, left = (each.position_id for each in tokens)
    assert queue.recall(AdmittedVisitor(inside, START_MS, ends_ms), AdmittedVisitor(left, START_MS, 0)) == 0
    assert queue.restore(*tokens) == [True, False]
    assert queue.poll(inside)[0].place == Admitted(START_MS, ends_ms)
    assert isinstance(queue.poll(left)[0].place, Unknown)


def test_a_server_that_tells_late_whom_it_let_in_brings_back_nobody_who_left_meanwhile(
    queue: ScriptedQueue,
) -> None:
    (token,) = joins(queue, 1)
    forgotten(queue)
    assert queue.restore(token) == [True]
    queue.leave(token.position_id)
    assert queue.recall(AdmittedVisitor(token.position_id, START_MS, queue.now_ms + 100_000)) == 0
    assert queue.size("recalled") == 0


def test_a_line_that_the_store_remembers_has_a_whole_timeout_to_be_heard_again(make_queue: MakeQueue) -> None:
    queue = make_queue(status="paused", heartbeat_timeout_seconds=60, heartbeat_interval_seconds=10)
    (token,) = joins(queue, 1)
    queue.heartbeat(token.position_id)
    queue.advance(70)
    assert queue.admit(KNOWN).dropped == []
    queue.advance(59.999)
    assert queue.admit().dropped == []
    queue.advance(0.001)
    assert queue.admit().dropped == [token.position_id]


def test_whom_a_server_saw_let_in_waits_no_more_in_an_older_store(queue: ScriptedQueue) -> None:
    tag = b"addr"
    inside, left, waits = (token_of(queue, queue.join_at(tag)) for _ in range(3))
    # Older, as the line is all there, but for the count of passes.
    queue.admit(Known(START_MS, passes=5, waiting=3))
    ends_ms = queue.now_ms + 100_000
    moved = queue.recall(
        AdmittedVisitor(inside.position_id, START_MS, ends_ms), AdmittedVisitor(left.position_id, START_MS, 0)
    )
    assert moved == 1
    assert queue.poll(inside.position_id)[0].place == Admitted(START_MS, ends_ms)
    assert queue.restore(left) == [False]
    assert positions(queue, [left, waits]) == [0, 1]
    queue.leave(waits.position_id)
    assert queue.size("addresses") == 0


def test_a_session_token_takes_its_place_out_of_an_older_line(queue: ScriptedQueue) -> None:
    token = token_of(queue, queue.join_at(b"addr"))
    queue.advance(1)
    started_ms = queue.now_ms
    queue.admit(KNOWN)
    assert queue.restore(session_of(queue, token.position_id, started_ms)) == [True]
    assert isinstance(queue.poll(token.position_id)[0].place, Admitted)
    assert (queue.size("waiting"), queue.size("seen"), queue.size("addresses")) == (0, 0, 0)


def round_of(queue: ScriptedQueue, known: int) -> list[Any]:
    keys = [queue.keys.shared("rounds"), queue.keys.shared("queues")]
    reply: list[Any] = evaluate(queue.client, load_script("round"), keys, [queue.now_ms, known])
    return reply


def test_rounds_are_counted_and_a_lower_count_than_is_known_means_that_the_store_forgot(
    queue: ScriptedQueue,
) -> None:
    assert [round_of(queue, 0)[:3] for _ in range(2)] == [[1, 0, 0], [2, 0, 0]]
    queue.client.sadd(queue.keys.shared("queues"), "a", "b")
    count, forgot, at_ms, listed = round_of(queue, 7)
    assert (count, forgot, at_ms, sorted(listed)) == (1007, 1, queue.now_ms, [b"a", b"b"])
    noticed_ms = queue.now_ms
    queue.advance(1)
    assert round_of(queue, 9)[:3] == [1008, 0, noticed_ms], "the others notice nothing new"
    assert round_of(queue, 1009)[1] == 1, "the round that the server knows of last was another"


def reinstated(queue: ScriptedQueue, version: int, name: str, *lists: Any, blocked_ms: int = 0) -> int:
    parts = ("config", "blocks", "block_notes", "passes", "pass_ends", "revoked")
    arguments = [START_MS, version, blocked_ms, 1, len(lists) // 3, "name", name, *lists]
    keys = queue.keys.queue(queue.queue_id, *parts)
    written: int = evaluate(queue.client, load_script("reinstate"), keys, arguments)
    return written


def test_settings_are_written_back_unless_the_store_has_newer_ones_and_blocks_with_them(
    queue: ScriptedQueue,
) -> None:
    (config,) = queue.keys.queue(queue.queue_id, "config")
    assert reinstated(queue, 1, "As old") == 0
    blocked_ms = queue.now_ms + 60_000
    assert reinstated(queue, 2, "Newer", b"aaddr", blocked_ms, "{}", blocked_ms=blocked_ms) == 1
    assert queue.client.hget(config, "name") == b"Newer"
    assert reinstated(queue, 1, "Older") == 0
    assert queue.client.hget(config, "name") == b"Newer"
    assert (queue.size("blocks"), queue.size("block_notes")) == (1, 1)
    queue.client.hset(config, "created_ms", START_MS + 1)
    assert reinstated(queue, 9, "Of the queue before") == 0
    assert queue.client.hget(config, "name") == b"Newer"
    queue.client.delete(config)
    assert reinstated(queue, 1, "Anew") == 1
    kept = queue.client.hmget(config, "name", "version", "created_ms")
    assert kept == [b"Anew", b"1", str(START_MS).encode()]


def test_a_queue_without_an_address_counts_for_none(queue: ScriptedQueue) -> None:
    token = token_of(queue, queue.join_at(NO_ADDRESS))
    forgotten(queue)
    assert queue.restore(token) == [True]
    assert queue.size("addresses") == 0
