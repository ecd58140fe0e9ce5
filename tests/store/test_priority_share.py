"""What each priority gets of the admissions while lower ones wait."""

import pytest

from tests.store.conftest import MakeQueue
from tests.support.scripted_queue import ScriptedQueue

Line = tuple[ScriptedQueue, dict[bytes, int]]
"""A queue, and the priority of each place."""


def line(make_queue: MakeQueue, share: float, **of_each: int) -> Line:
    """A queue that lets one in a second; `p3=4` is four visitors of priority 3, and so on."""
    queue = make_queue(admission_rate=1, priority_share=share, heartbeat_timeout_seconds=100_000)
    wanted = [int(name[1]) for name, count in of_each.items() for _ in range(count)]
    return queue, {queue.join(priority).position_id: priority for priority in wanted}


@pytest.mark.parametrize(
    ("share", "of_each", "order"),
    [
        (0.8, {"p3": 9, "p0": 3}, "333303333030"),
        (0.5, {"p3": 4, "p0": 4}, "30303030"),
        (0.75, {"p2": 6, "p1": 2}, "22212221"),
        (1, {"p3": 3, "p0": 3}, "333000"),
        # The lower ones share what is theirs in the same way.
        (0.5, {"p3": 8, "p2": 4, "p1": 2, "p0": 2}, "3231323032313230"),
    ],
)
def test_higher_priorities_get_their_share_and_no_more_while_lower_ones_wait(
    make_queue: MakeQueue, share: float, of_each: dict[str, int], order: str
) -> None:
    queue, priorities = line(make_queue, share, **of_each)
    let_in = ""
    for _ in order:
        queue.advance(1)
        (visitor,) = queue.admit().admitted
        let_in += str(priorities[visitor])
    assert let_in == order


def test_what_is_owed_to_lower_priorities_is_carried_from_pass_to_pass_and_holds_within_one(
    make_queue: MakeQueue,
) -> None:
    queue, priorities = line(make_queue, 0.8, p3=20, p0=20)
    queue.configure(admission_rate=10)
    queue.advance(1)
    first = [priorities[visitor] for visitor in queue.admit().admitted]
    assert (first.count(3), first.count(0)) == (8, 2)


@pytest.mark.parametrize(("share", "at_once", "expected"), [(0.8, 5, (20, 4, 1)), (0.9, 1, (90, 9, 1))])
def test_each_priority_keeps_what_it_is_owed_when_another_is_owed_nothing(
    make_queue: MakeQueue, share: float, at_once: int, expected: tuple[int, int, int]
) -> None:
    queue, priorities = line(make_queue, share, p3=100, p2=20, p0=20)
    queue.configure(admission_rate=at_once)
    let_in: list[int] = []
    while len(let_in) < sum(expected):
        queue.advance(1)
        let_in += [priorities[visitor] for visitor in queue.admit().admitted]
    assert (let_in.count(3), let_in.count(2), let_in.count(0)) == expected


def test_inside_a_priority_the_order_is_that_of_arrival(make_queue: MakeQueue) -> None:
    queue = make_queue(admission_rate=1000, priority_share=0.6)
    ids = [queue.join(number % 2 * 3).position_id for number in range(40)]
    queue.advance(1)
    admitted = queue.admit().admitted
    for parity in (0, 1):
        mine = [visitor for visitor in admitted if ids.index(visitor) % 2 == parity]
        assert mine == sorted(mine, key=ids.index)


def test_a_pass_tells_how_many_wait_of_each_priority(make_queue: MakeQueue) -> None:
    queue, _ = line(make_queue, 0.8, p3=3, p1=2, p0=4)
    assert queue.admit().waiting_by_priority == (4, 2, 0, 2)
    only, _ = line(make_queue, 0.8, p2=3)
    assert only.admit().waiting_by_priority == (0, 0, 2, 0)
    none, _ = line(make_queue, 0.8)
    assert none.admit().waiting_by_priority == (0, 0, 0, 0)
