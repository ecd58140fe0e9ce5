"""What a queue's history makes of the notes taken at the beginning of each step."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from wr.model.history import HistoryNote, HistorySpan, points_of

FINE = HistorySpan.QUARTER_HOUR
START_MS = 1_800_000_000_000
EMPTY = HistoryNote(START_MS, 0, 0, 0, 0, 0, 0, 0)


def note(step: int, late_ms: int = 0, **counts: int) -> HistoryNote:
    return msgspec.structs.replace(EMPTY, at_ms=START_MS + step * 10_000 + late_ms, **counts)


def steps_of(notes: list[HistoryNote], now_step: float) -> list[int]:
    points = points_of(notes, round(START_MS + now_step * 10_000), FINE)
    return [(point.at_ms - START_MS) // 10_000 for point in points]


def test_a_point_says_how_its_step_began_and_what_happened_in_it() -> None:
    begin = note(0, waiting=7, active=3, joined=100, admitted=50, expired=5, cancelled=2, waited_ms=80_000)
    end = note(1, waiting=9, active=4, joined=130, admitted=60, expired=6, cancelled=4, waited_ms=105_000)
    (point,) = points_of([begin, end], START_MS + 10_000, FINE)
    assert (point.at_ms, point.waiting, point.active) == (START_MS, 7, 3)
    assert (point.joined_per_s, point.admitted_per_s) == (3.0, 1.0)
    assert (point.expired_per_s, point.cancelled_per_s) == (0.1, 0.2)
    assert point.average_wait_s == 2.5


def test_nobody_let_in_is_no_wait_rather_than_one_of_zero() -> None:
    (point,) = points_of([note(0), note(1)], START_MS + 10_000, FINE)
    assert point.average_wait_s is None


def test_rates_are_by_the_time_between_the_notes_not_by_the_length_of_the_step() -> None:
    (point,) = points_of([note(0, 200), note(1, 2_200, joined=24)], START_MS + 15_000, FINE)
    assert (point.at_ms, point.joined_per_s) == (START_MS, 2.0)


def test_a_step_is_told_once_it_is_over() -> None:
    notes = [note(0), note(1)]
    assert steps_of(notes, 0.999) == []
    assert steps_of(notes, 1) == [0]


def test_steps_that_began_or_ended_without_a_note_are_missing() -> None:
    notes = [note(step) for step in (0, 1, 2, 5, 7, 8)]
    assert steps_of(notes, 8.5) == [0, 1, 7]


def test_a_step_of_which_less_than_half_is_known_is_missing() -> None:
    assert steps_of([note(0, 5_001), note(1), note(2)], 2) == [1]
    assert steps_of([note(0, 5_000), note(1), note(2)], 2) == [0, 1]


def test_a_step_in_which_a_count_fell_is_missing() -> None:
    notes = [note(0, joined=5), note(1, joined=4), note(2, joined=4)]
    assert steps_of(notes, 2) == [1]


def test_points_are_oldest_first_whatever_the_order_of_the_notes() -> None:
    assert steps_of([note(3), note(1), note(2), note(0)], 3) == [0, 1, 2]


def test_what_an_older_round_of_the_ring_left_is_not_told() -> None:
    assert steps_of([note(step) for step in range(100)], 99) == list(range(9, 99))


def test_a_day_has_288_steps_of_five_minutes() -> None:
    notes = [msgspec.structs.replace(EMPTY, at_ms=START_MS + step * 300_000) for step in range(300)]
    points = points_of(notes, notes[-1].at_ms, HistorySpan.DAY)
    assert [point.at_ms for point in points] == [each.at_ms for each in notes[-289:-1]]


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 5_000), st.integers(0, 1_000)), min_size=1, max_size=120)
)
def test_what_the_points_say_happened_is_what_happened_between_their_notes(
    steps: list[tuple[bool, int, int]],
) -> None:
    joined = 0
    notes = {}
    for step, (is_noted, late_ms, joins) in enumerate(steps):
        if is_noted:
            notes[step] = note(step, late_ms, joined=joined)
        joined += joins
    points = points_of(notes.values(), START_MS + len(steps) * 10_000, FINE)
    for point in points:
        step = (point.at_ms - START_MS) // 10_000
        lasted_s = (notes[step + 1].at_ms - notes[step].at_ms) / 1000
        assert round(point.joined_per_s * lasted_s) == notes[step + 1].joined - notes[step].joined
    neighbours = {step for step in notes if step + 1 in notes and step >= len(steps) - 90}
    assert {(point.at_ms - START_MS) // 10_000 for point in points} == neighbours
