"""Joins that are tried again find their place, and places whose token is never used are dropped early."""

import pytest

from tests.store.conftest import MakeQueue
from tests.support.scripted_queue import ScriptedQueue, new_id
from wr.model.idempotency_key import retry_of
from wr.model.join_denials import AddressAtLimit, Denial
from wr.model.places import Admitted, Waiting
from wr.model.refusals import InvalidRequest
from wr.store.enqueue import IdentityKind, Join, Joined

KEY = retry_of("0b0f0a4c-6d0c-4d2e-8f3a-1b2c3d4e5f60", {"priority": 0})
SAME_KEY_OTHER_WISH = retry_of("0b0f0a4c-6d0c-4d2e-8f3a-1b2c3d4e5f60", {"priority": 1})
OTHER_KEY = retry_of("another-key-0123456789", {"priority": 0})
UNUSED_S = 30


def is_new(joined: Joined) -> bool:
    assert isinstance(joined.place, Waiting)
    return joined.is_new


def test_the_same_key_finds_the_same_place_for_ten_minutes(make_queue: MakeQueue) -> None:
    queue = make_queue(status="paused", heartbeat_timeout_seconds=7200)
    first = queue.join(retry=KEY)
    other = queue.join(retry=OTHER_KEY)
    assert is_new(first)
    assert other.position_id != first.position_id
    for pause_s in (0, 1, 598):
        queue.advance(pause_s)
        again = queue.join(retry=KEY)
        assert (again.position_id, is_new(again)) == (first.position_id, False)
    assert queue.size("waiting") == 2
    queue.advance(602)
    assert is_new(queue.join(retry=KEY))


def test_the_same_key_twice_in_one_batch_is_one_place(make_queue: MakeQueue) -> None:
    queue = make_queue(status="paused")
    keys = (KEY, OTHER_KEY, KEY, b"", KEY)
    joined = queue.join_many([Join(new_id(), b"", 0, b"x", b"", b"", retry=key) for key in keys])
    ids = [each.position_id for each in joined]
    assert ids[0] == ids[2] == ids[4]
    assert queue.size("waiting") == len(set(ids)) == 3


def test_a_key_with_another_wish_is_refused_and_changes_nothing(make_queue: MakeQueue) -> None:
    queue = make_queue(status="paused")
    first = queue.join(retry=KEY)
    assert queue.join(retry=SAME_KEY_OTHER_WISH).place == Denial.OTHER_JOIN
    assert queue.size("waiting") == 1
    assert queue.join(retry=KEY).position_id == first.position_id


def test_a_key_gives_back_a_place_that_otherwise_its_token_alone_gives_back(make_queue: MakeQueue) -> None:
    queue = make_queue(status="paused")
    first = queue.join(person=b"p" * 16, kind=IdentityKind.TOKEN, retry=KEY)
    other = queue.join(person=b"p" * 16, kind=IdentityKind.TOKEN, retry=OTHER_KEY)
    assert other.place == Denial.IDENTITY_HELD
    assert queue.join(person=b"p" * 16, kind=IdentityKind.TOKEN, retry=KEY).position_id == first.position_id


def test_a_key_finds_its_place_in_a_full_line_and_after_its_holder_was_let_in(make_queue: MakeQueue) -> None:
    queue = make_queue(max_queue_size=1)
    first = queue.join(retry=KEY)
    assert queue.join(retry=KEY).position_id == first.position_id
    queue.admit()
    again = queue.join(retry=KEY)
    assert (again.position_id, type(again.place)) == (first.position_id, Admitted)


def test_a_key_whose_place_is_over_gives_a_new_place(make_queue: MakeQueue) -> None:
    queue = make_queue(status="paused")
    first = queue.join(retry=KEY)
    queue.leave(first.position_id)
    again = queue.join(retry=KEY)
    assert is_new(again)
    assert queue.join(retry=KEY).position_id == again.position_id != first.position_id


def test_joins_without_a_key_leave_nothing_and_what_keys_leave_expires_whole(make_queue: MakeQueue) -> None:
    queue = make_queue(status="paused", heartbeat_timeout_seconds=7200)
    parts = ("retries_even", "retries_odd")
    queue.join()
    assert [queue.client.exists(key) for key in queue.keys.queue(queue.queue_id, *parts)] == [0, 0]
    for _ in range(4):
        queue.join(retry=KEY)
        queue.join(retry=OTHER_KEY)
        lasts_ms = [queue.client.pttl(key) for key in queue.keys.queue(queue.queue_id, *parts)]
        assert all(0 < each <= 1_200_000 for each in lasts_ms if each != -2)
        assert max(lasts_ms) > 0
        sizes = [queue.client.hlen(key) for key in queue.keys.queue(queue.queue_id, *parts)]
        assert max(sizes) <= 3
        queue.advance(1201)


def test_a_retry_counts_as_a_join_but_not_as_another_place_of_its_address(make_queue: MakeQueue) -> None:
    queue = make_queue(status="paused", max_places_per_address=1)
    first = queue.join(address=b"adr1", retry=KEY)
    assert queue.join(address=b"adr1", retry=KEY).position_id == first.position_id
    assert queue.join(address=b"adr1", retry=OTHER_KEY).place == AddressAtLimit(1)


def test_a_place_whose_token_is_never_used_is_dropped_early(make_queue: MakeQueue) -> None:
    queue = make_queue(status="paused", heartbeat_interval_seconds=10, heartbeat_timeout_seconds=60)
    ghost = queue.join().position_id
    queue.advance(UNUSED_S - 1)
    assert queue.admit().dropped == []
    queue.advance(1)
    assert queue.admit().dropped == [ghost]


@pytest.mark.parametrize(
    ("interval_s", "timeout_s", "unused_s"), [(10, 20, 20), (30, 600, 90), (1, 600, 30), (60, 120, 120)]
)
def test_unused_is_three_intervals_at_least_half_a_minute_and_never_more_than_the_timeout(
    make_queue: MakeQueue, interval_s: int, timeout_s: int, unused_s: int
) -> None:
    queue = make_queue(
        status="paused", heartbeat_interval_seconds=interval_s, heartbeat_timeout_seconds=timeout_s
    )
    ghost = queue.join().position_id
    queue.advance(unused_s - 0.001)
    assert queue.admit().dropped == []
    queue.advance(0.001)
    assert queue.admit().dropped == [ghost]


def use_by_heartbeat(queue: ScriptedQueue, position_id: bytes) -> None:
    queue.heartbeat(position_id)


def use_by_status(queue: ScriptedQueue, position_id: bytes) -> None:
    queue.poll(position_id)


def use_by_joining_again(queue: ScriptedQueue, position_id: bytes) -> None:
    queue.join(known=position_id)


@pytest.mark.parametrize("use", [use_by_heartbeat, use_by_status, use_by_joining_again])
def test_a_token_that_was_used_at_once_keeps_its_place_for_the_whole_timeout(
    make_queue: MakeQueue, use: object
) -> None:
    queue = make_queue(status="paused", heartbeat_interval_seconds=10, heartbeat_timeout_seconds=60)
    position_id = queue.join().position_id
    use(queue, position_id)  # type: ignore[operator]
    queue.advance(59)
    assert queue.admit().dropped == []
    queue.advance(1)
    assert queue.admit().dropped == [position_id]


def test_asking_again_and_again_keeps_a_place_no_longer_than_the_timeout_after_the_join(
    make_queue: MakeQueue,
) -> None:
    queue = make_queue(status="paused", heartbeat_interval_seconds=10, heartbeat_timeout_seconds=60)
    asker = queue.join().position_id
    for _ in range(6):
        queue.advance(9.9)
        assert queue.poll(asker)[0].place == Waiting(1)
        assert queue.admit().dropped == []
    queue.advance(0.6)
    assert queue.admit().dropped == [asker]


def test_a_status_call_takes_nothing_from_what_a_heartbeat_gave(make_queue: MakeQueue) -> None:
    queue = make_queue(status="paused", heartbeat_interval_seconds=10, heartbeat_timeout_seconds=60)
    position_id = queue.join().position_id
    queue.advance(20)
    queue.heartbeat(position_id)
    queue.poll(position_id)
    queue.join(retry=KEY)
    queue.advance(59)
    assert position_id not in queue.admit().dropped


def test_a_retry_is_no_use_of_the_token_and_takes_no_use_back(make_queue: MakeQueue) -> None:
    queue = make_queue(status="paused", heartbeat_interval_seconds=10, heartbeat_timeout_seconds=60)
    position_id = queue.join(retry=KEY).position_id
    queue.advance(20)
    queue.join(retry=KEY)
    queue.advance(UNUSED_S - 1)
    assert queue.admit().dropped == []
    queue.heartbeat(position_id)
    queue.join(retry=KEY)
    queue.advance(59)
    assert queue.admit().dropped == []
    queue.advance(1)
    assert queue.admit().dropped == [position_id]


def test_a_user_of_the_second_api_keeps_a_place_that_was_never_asked_for(make_queue: MakeQueue) -> None:
    queue = make_queue(status="paused", heartbeat_interval_seconds=10, heartbeat_timeout_seconds=60)
    queue.join(kind=IdentityKind.USER)
    queue.advance(59)
    assert queue.admit().dropped == []


def test_an_operator_is_told_of_no_heartbeat_before_the_join(make_queue: MakeQueue) -> None:
    queue = make_queue(status="paused", heartbeat_interval_seconds=10, heartbeat_timeout_seconds=600)
    joined = queue.join()
    queue.advance(5)
    found = queue.find(joined.position_id)
    assert found is not None
    assert isinstance(found.place, Waiting)
    assert abs(found.last_seen_ms - (queue.now_ms - 5000)) <= 1


@pytest.mark.parametrize(
    "key", ["", "short", "k" * 15, "k" * 129, "with a space in it", "ünvisible-0123456789"]
)
def test_a_key_that_is_no_key_is_refused(key: str) -> None:
    with pytest.raises(InvalidRequest):
        retry_of(key, {})


def test_a_key_is_the_same_with_and_without_quotes() -> None:
    assert retry_of('"0123456789abcdef"', {"a": 1}) == retry_of("0123456789abcdef", {"a": 1})
