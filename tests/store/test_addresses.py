"""How many places in line an address holds: counted when one is taken, and whenever one ends."""

import random

import pytest

from tests.store.conftest import MakeQueue
from tests.support.scripted_queue import new_id
from wr.model.join_denials import AddressAtLimit
from wr.model.places import Reason, Waiting
from wr.store.enqueue import Join

HOME, WORK = b"home", b"work"


def of(address: bytes, *, is_named: bool = True) -> Join:
    """A visitor from that address; unless `is_named`, the place's id does not tell it."""
    own = new_id()
    position_id = own[:12] + address if is_named else own
    return Join(position_id, b"", 0, b"x", b"", b"", address=address)


def test_the_cap_is_of_each_address_and_within_one_call_too(make_queue: MakeQueue) -> None:
    queue = make_queue(status="paused", max_places_per_address=2)
    joined = queue.join_many([of(HOME), of(HOME), of(WORK), of(HOME), of(WORK), of(WORK)])
    assert [isinstance(each.place, Waiting) for each in joined] == [True, True, True, False, True, False]
    assert joined[3].place == AddressAtLimit(2)


def test_a_place_that_names_no_address_counts_for_none(make_queue: MakeQueue) -> None:
    queue = make_queue(status="paused", max_places_per_address=1)
    uncounted = [Join(new_id()[:12] + bytes(4), b"", 0, b"x", b"", b"") for _ in range(3)]
    assert all(isinstance(each.place, Waiting) for each in queue.join_many(uncounted))
    assert queue.size("addresses") == 0


@pytest.mark.parametrize("is_named", [True, False])
@pytest.mark.parametrize("end", ["leave", "flush", "silence", "admission"])
def test_a_place_that_ends_however_it_does_counts_no_more(
    make_queue: MakeQueue, end: str, is_named: bool
) -> None:
    queue = make_queue(status="paused", max_places_per_address=2, admission_rate=1000)
    ids = [each.position_id for each in queue.join_many([of(HOME, is_named=is_named) for _ in range(2)])]
    assert queue.join_many([of(HOME)])[0].place == AddressAtLimit(2)
    if end == "leave":
        queue.leave(ids[0])
    elif end == "flush":
        queue.flush(1)
    elif end == "silence":
        queue.advance(1)
        queue.heartbeat(ids[1])
        queue.advance(59)
        assert queue.admit().dropped == [ids[0]]
    else:
        queue.configure(status="active", max_active_users=1)
        assert len(queue.admit().admitted) == 1
        queue.configure(status="paused")
    codes = [isinstance(queue.join_many([of(HOME)])[0].place, Waiting) for _ in range(2)]
    assert codes == [True, False]


def test_to_terminate_a_session_gives_no_address_a_place_too_many(make_queue: MakeQueue) -> None:
    queue = make_queue(max_places_per_address=1, admission_rate=1000)
    (first,) = queue.join_many([of(HOME)])
    queue.admit()
    queue.join_many([of(HOME)])
    queue.leave(first.position_id, Reason.TERMINATED)
    assert queue.join_many([of(HOME)])[0].place == AddressAtLimit(1)


def test_when_everybody_is_gone_nothing_is_counted(make_queue: MakeQueue) -> None:
    chance = random.Random(7)
    queue = make_queue(max_places_per_address=3, admission_rate=5, session_timeout_seconds=5)
    for _ in range(40):
        wishes = [
            of(chance.choice((HOME, WORK, b"cafe")), is_named=chance.random() < 0.5)
            for _ in range(chance.randrange(4))
        ]
        joined = queue.join_many(wishes) if wishes else []
        for each in joined:
            if isinstance(each.place, Waiting) and chance.random() < 0.3:
                queue.leave(each.position_id)
        queue.advance(chance.randrange(1, 20))
        queue.admit()
    queue.advance(120)
    queue.admit()
    queue.advance(120)
    queue.admit()
    assert {part: queue.size(part) for part in ("waiting", "addresses", "extras", "people")} == {
        "waiting": 0,
        "addresses": 0,
        "extras": 0,
        "people": 0,
    }
