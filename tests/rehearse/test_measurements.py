"""The measures agree with what one would count by hand, and are quick enough for a large sale."""

import math

from hypothesis import given
from hypothesis import strategies as st

from wr.rehearse.measurements import (
    Admission,
    Entrant,
    Offset,
    clock_offset,
    inversions,
    most_at_once,
    most_beyond,
    most_within,
    passed_over,
    quantile,
)

TIMES = st.integers(0, 20)


@st.composite
def an_entrant(draw: st.DrawFn) -> Entrant:
    sent_s = draw(TIMES)
    admitted_ms = draw(st.none() | TIMES)
    return Entrant(
        priority=draw(st.integers(0, 2)),
        join_sent_s=sent_s,
        join_received_s=sent_s + draw(st.integers(1, 5)),
        not_before_ms=draw(TIMES) if admitted_ms is None else admitted_ms,
        admitted_ms=admitted_ms,
    )


@given(st.lists(an_entrant(), max_size=30))
def test_inversions_are_the_pairs_that_one_would_count(entrants: list[Entrant]) -> None:
    assert inversions(entrants) == sum(
        a.priority == b.priority
        and a.join_received_s < b.join_sent_s
        and b.admitted_ms is not None
        and a.not_before_ms > b.admitted_ms
        for a in entrants
        for b in entrants
    )


def test_joins_that_overlap_have_no_order() -> None:
    first = Entrant(0, 0.0, 1.0, not_before_ms=9, admitted_ms=9)
    overlapping = Entrant(0, 0.9, 1.9, not_before_ms=5, admitted_ms=5)
    later = Entrant(0, 1.1, 1.9, not_before_ms=5, admitted_ms=5)
    assert inversions([first, overlapping]) == 0
    assert inversions([first, later]) == 1


def test_a_hundred_thousand_joins_in_the_worst_order_are_counted_in_seconds() -> None:
    many = 100_000
    entrants = [Entrant(0, n, n + 0.5, not_before_ms=many - n, admitted_ms=many - n) for n in range(many)]
    assert inversions(entrants) == many * (many - 1) // 2


@given(st.lists(an_entrant(), max_size=30), st.integers(-5000, 5000), st.integers(0, 3000))
def test_people_passed_over_are_those_that_one_would_count(
    entrants: list[Entrant], earliest_ms: int, width_ms: int
) -> None:
    offset = Offset(earliest_ms, earliest_ms + width_ms)
    assert passed_over(entrants, offset) == sum(
        any(
            a.priority > b.priority
            and a.join_received_s * 1000 + offset.latest_ms < b.admitted_ms
            and a.not_before_ms > b.admitted_ms
            for a in entrants
        )
        for b in entrants
        if b.admitted_ms is not None
    )


@given(st.lists(st.tuples(TIMES, st.integers(0, 5)), max_size=30))
def test_the_most_at_once_is_what_one_would_count(spans: list[tuple[int, int]]) -> None:
    def active_at(time: int) -> int:
        return sum(
            start <= time < start + length or (length == 0 and start == time) for start, length in spans
        )

    assert most_at_once((start, start + length) for start, length in spans) == max(
        map(active_at, range(30)), default=0
    )


@given(st.lists(st.integers(0, 5000), min_size=1, max_size=30), st.sampled_from([0.5, 3.0, 100.0]))
def test_the_most_beyond_a_rate_is_the_worst_of_all_windows(times_ms: list[int], rate: float) -> None:
    times = sorted(times_ms)
    worst = max(
        last - first + 1 - rate * (times[last] - times[first]) / 1000
        for first in range(len(times))
        for last in range(first, len(times))
    )
    assert math.isclose(most_beyond(times, rate)[0], worst)


@given(st.lists(st.integers(0, 5000), max_size=30))
def test_the_most_within_a_window_is_the_fullest_of_all_windows(times_ms: list[int]) -> None:
    fullest = max((sum(0 <= time - start < 1000 for time in times_ms) for start in times_ms), default=0)
    assert most_within(times_ms, 1000) == fullest


@given(
    st.floats(-1e6, 1e6),
    st.lists(st.tuples(st.floats(0, 100), st.floats(0, 2), st.floats(0, 2)), min_size=1, max_size=20),
)
def test_the_true_offset_lies_within_its_bounds(
    ahead_ms: float, admissions: list[tuple[float, float, float]]
) -> None:
    offset = clock_offset(
        Admission(math.floor(at_s * 1000 + ahead_ms), at_s - before_s, at_s + after_s)
        for at_s, before_s, after_s in admissions
    )
    assert offset is not None
    assert offset.earliest_ms <= ahead_ms <= offset.latest_ms


def test_a_clock_that_is_set_widens_the_bounds_to_hold_both_times() -> None:
    offset = clock_offset([Admission(10_000, 9.9, 10.1), Admission(25_000, 19.9, 20.1)])
    assert offset is not None
    assert offset.contradiction_ms > 4000
    assert offset.earliest_ms <= 0
    assert offset.latest_ms >= 5000


def test_without_an_admission_no_offset_is_known() -> None:
    assert clock_offset([]) is None


def test_quantiles_are_values_that_were_there() -> None:
    assert quantile([1.0, 2.0, 3.0, 10.0], 0.5) == 2.0
    assert quantile([1.0, 2.0, 3.0, 10.0], 0.9) == 10.0
    assert math.isnan(quantile([], 0.5))
