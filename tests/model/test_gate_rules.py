"""The gate's rules, without a gate."""

import pytest

from wr.model.entry_url import entry_url, is_way_back
from wr.model.gate_rules import Budget, is_open_path


def test_a_budget_lets_in_its_rate_and_a_second_of_it_at_once() -> None:
    budget = Budget(3, 0)
    assert sum(budget.spend(3, 0) for _ in range(10)) == 3
    assert sum(budget.spend(3, second / 10) for second in range(1, 101)) == 30


def test_a_budget_below_one_still_lets_somebody_in_now_and_then() -> None:
    budget = Budget(0.5, 0)
    assert sum(budget.spend(0.5, second) for second in range(21)) == 11


def test_a_budget_of_nothing_lets_nobody_in() -> None:
    budget = Budget(0, 0)
    assert not any(budget.spend(0, second) for second in range(100))


@pytest.mark.parametrize(
    ("path", "is_open"),
    [
        ("/a", True),
        ("/a/", False),
        ("/b/c", True),
        ("/b/", True),
        ("/b", False),
        ("/b/../c", False),
        ("/b/..", False),
        ("/b/%2e%2e/c", False),
        ("/b\\..\\c", False),
        ("/b/..;/c", False),
        ("b/c", False),
        ("", False),
    ],
)
def test_a_path_is_open_only_if_it_can_mean_nothing_else(path: str, is_open: bool) -> None:
    assert is_open_path(path, "/a /b/*") is is_open


@pytest.mark.parametrize(
    "back", ["//evil.example", "/\\evil.example", "https://evil", "evil", "/a b", "/\n", ""]
)
def test_a_way_back_to_anywhere_else_is_none(back: str) -> None:
    assert not is_way_back(back)
    assert entry_url("https://shop.example/in", "t", back) == "https://shop.example/in?wr_token=t"


def test_the_way_back_takes_the_place_of_the_targets_own_path() -> None:
    assert (
        entry_url("https://shop.example/in?a=1#x", "t", "/seat?row=1&wr_token=old#y")
        == "https://shop.example/seat?row=1&wr_token=t"
    )
