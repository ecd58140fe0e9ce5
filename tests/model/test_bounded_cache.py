"""What is remembered: what was used lately, and never more than a bound."""

from copy import deepcopy

import pytest

from wr.model.bounded_cache import BoundedCache


def test_what_was_put_is_recalled_and_what_was_not_is_not() -> None:
    memory: BoundedCache[str, int] = BoundedCache(10)
    memory.put("a", 1)
    assert memory.get("a") == 1
    assert memory.get("b") is None
    memory.put("a", 2)
    assert memory.get("a") == 2


@pytest.mark.parametrize("most", [2, 10, 100])
def test_it_never_holds_more_than_its_bound(most: int) -> None:
    memory: BoundedCache[int, int] = BoundedCache(most)
    for number in range(10 * most):
        memory.put(number, number)
        memory.get(number // 2)
        assert len(memory) <= most


def test_the_latest_half_is_always_recalled() -> None:
    memory: BoundedCache[int, int] = BoundedCache(20)
    for number in range(200):
        memory.put(number, -number)
        for recent in range(max(0, number - 9), number + 1):
            # A copy, because what is recalled is kept for longer.
            assert deepcopy(memory).get(recent) == -recent


def test_what_is_asked_for_again_and_again_is_kept_among_a_thousand_others() -> None:
    memory: BoundedCache[int, str] = BoundedCache(20)
    memory.put(-1, "kept")
    memory.put(-2, "forgotten")
    for number in range(1000):
        memory.put(number, "other")
        assert memory.get(-1) == "kept"
    assert memory.get(-2) is None


def test_a_new_value_is_not_overtaken_by_an_old_one() -> None:
    memory: BoundedCache[str, int] = BoundedCache(4)
    memory.put("a", 1)
    memory.put("b", 1)
    memory.put("a", 2)  # A generation later: the old value is still there, behind the new one.
    assert memory.get("a") == 2
    assert len(memory) == 2


def test_everything_can_be_forgotten() -> None:
    memory: BoundedCache[int, int] = BoundedCache(4)
    for number in range(4):
        memory.put(number, number)
    memory.clear()
    assert len(memory) == 0
    assert [memory.get(number) for number in range(4)] == [None] * 4
