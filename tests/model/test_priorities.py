"""How many are let in before somebody, where each priority has its share."""

import random

import pytest

from wr.model.priorities import admissions_until


def let_in(waiting: list[int], share: float) -> list[int]:
    """The order of priorities as the store lets them in: one at a time, each level owing the lower ones."""
    left, owed, order = list(waiting), [0.0] * len(waiting), []
    while sum(left):
        for priority in reversed(range(len(left))):
            if not left[priority]:
                continue
            if any(left[:priority]):
                owed[priority] += 1 - share
                if owed[priority] > 1 - 1e-6:
                    owed[priority] -= 1
                    continue
            left[priority] -= 1
            order.append(priority)
            break
    return order


@pytest.mark.parametrize("share", [0.5, 0.8, 0.95])
@pytest.mark.parametrize("waiting", [[5, 0, 0, 40], [30, 0, 0, 10], [10, 20, 5, 40], [0, 3, 0, 3]])
def test_the_estimate_is_within_a_few_admissions_of_what_happens(waiting: list[int], share: float) -> None:
    order = let_in(waiting, share)
    for priority, count in enumerate(waiting):
        ahead = sum(waiting[priority + 1 :])
        above = sum(count > 0 for count in waiting[priority + 1 :])
        turns = [turn for turn, each in enumerate(order, 1) if each == priority]
        for rank in range(1, count + 1):
            estimate = admissions_until(ahead + rank, priority, waiting, share)
            # A tenth of the admissions comes once in ten, and a tenth of that once in a hundred.
            assert abs(estimate - turns[rank - 1]) <= 1 + (1 / (1 - share)) ** max(1, above)


@pytest.mark.parametrize(("waiting", "share"), [([10, 0, 0, 10], 1.0), ([0, 0, 20, 0], 0.5), ([], 0.5)])
def test_in_strict_order_or_with_one_priority_it_is_the_position(waiting: list[int], share: float) -> None:
    assert [admissions_until(position, 2, waiting, share) for position in (1, 7, 20)] == [1, 7, 20]


def test_it_ends_whatever_the_store_has_counted_meanwhile() -> None:
    chance = random.Random(3)
    for _ in range(2_000):
        waiting = [chance.choice((0, 1, chance.randrange(10**6))) for _ in range(4)]
        priority, position = chance.randrange(4), chance.randrange(1, 10**7)
        assert admissions_until(position, priority, waiting, chance.uniform(0.01, 1)) >= 1


def test_nobody_of_a_lower_priority_is_told_a_longer_wait_than_with_strict_order() -> None:
    waiting = [10, 0, 0, 1000]
    assert admissions_until(1001, 0, waiting, 0.8) == 5
    assert admissions_until(1010, 0, waiting, 0.8) == 50
