"""Whom a server remembers as let in, for a store that forgets."""

from wr.recovery.admitted import AdmittedVisitors


def person(number: int) -> bytes:
    return number.to_bytes(16, "big")


def ids_of(visitors: AdmittedVisitors, now_ms: int) -> list[int]:
    return [int.from_bytes(each.position_id, "big") for each in visitors.list(now_ms)]


def test_those_whose_session_may_be_on_are_listed_with_its_times() -> None:
    visitors = AdmittedVisitors(most=100)
    visitors.let_in([person(1), person(2)], 1_000, 5_000)
    visitors.let_in([person(3)], 2_000, 6_000)
    assert ids_of(visitors, 4_999) == [1, 2, 3]
    assert ids_of(visitors, 5_000) == [3]
    (last,) = visitors.list(5_000)
    assert (last.started_ms, last.ends_ms) == (2_000, 6_000)


def test_a_session_that_was_seen_to_end_is_not_listed() -> None:
    visitors = AdmittedVisitors(most=100)
    visitors.let_in([person(1), person(2)], 1_000, 5_000)
    visitors.ended([person(1)], 2_000)
    assert ids_of(visitors, 3_000) == [2]


def test_the_newest_are_kept_and_the_oldest_forgotten() -> None:
    visitors = AdmittedVisitors(most=4)
    for number in range(10):
        visitors.let_in([person(2 * number), person(2 * number + 1)], 1_000 + number, 9_000)
    assert ids_of(visitors, 2_000) == [16, 17, 18, 19]


def test_nothing_is_kept_of_sessions_that_are_over() -> None:
    visitors = AdmittedVisitors(most=1_000)
    for number in range(100):
        visitors.let_in([person(number)], 1_000 * number, 1_000 * number + 500)
        visitors.ended([person(number)], 1_000 * number + 400)
    assert len(visitors._admissions) == 1
    assert len(visitors._ended) <= 2
