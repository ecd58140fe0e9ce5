"""Limits and what is left of them."""

import pytest

from wr.model.limits import Limit, Usage, parse_limit


@pytest.mark.parametrize(
    ("text", "limit"),
    [("10/60", Limit(10, 60)), (" 5/1 ", Limit(5, 1)), ("0", Limit(0)), ("0/60", Limit(0, 60))],
)
def test_a_limit_reads_as_it_is_written(text: str, limit: Limit) -> None:
    assert parse_limit(text) == limit


@pytest.mark.parametrize("text", ["", "10", "-1/60", "10/0", "10/60s", "ten", "1.5/60"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a limit"):
        parse_limit(text)


def test_usage_counts_down_to_zero_and_names_the_next_window() -> None:
    half_past = 1_800_000_030_000
    usage = Usage(Limit(10), 3, half_past)
    assert usage.told == (10, 7, 1_800_000_060)
    assert (usage.reset_s, usage.retry_after_s) == (1_800_000_060, 30)
    assert Usage(Limit(10), 12, half_past).told[1] == 0
    assert Usage(Limit(10), 12, 1_800_000_059_999).retry_after_s == 1
    assert Usage(Limit(10), 12, 1_800_000_060_000).reset_s == 1_800_000_120
