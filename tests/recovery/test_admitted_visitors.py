"""Whom a server remembers as let in, for a store that forgets."""

from wr.recovery.admitted_visitors import AdmittedVisitors

HOUR_MS = 3_600_000


def person(number: int) -> bytes:
    return number.to_bytes(16, "big")


def ends_of(visitors: AdmittedVisitors, now_ms: int) -> dict[int, int]:
    return {int.from_bytes(each.position_id, "big"): each.ends_ms for each in visitors.listed(now_ms)}


def test_everyone_is_remembered_for_an_hour_and_while_the_session_is_on() -> None:
    visitors = AdmittedVisitors(most=100)
    visitors.let_in([person(1), person(2)], 1_000, 5_000)
    visitors.let_in([person(3)], 2_000, 2 * HOUR_MS)
    assert ends_of(visitors, HOUR_MS) == {1: 5_000, 2: 5_000, 3: 2 * HOUR_MS}
    assert ends_of(visitors, HOUR_MS + 1_000) == {3: 2 * HOUR_MS}


def test_a_session_that_was_seen_to_end_has_an_end_in_the_past() -> None:
    visitors = AdmittedVisitors(most=100)
    visitors.let_in([person(1), person(2)], 1_000, 5_000)
    visitors.ended([person(1)], 2_000)
    assert ends_of(visitors, 3_000) == {1: 0, 2: 5_000}


def test_the_newest_are_kept_and_the_oldest_forgotten() -> None:
    visitors = AdmittedVisitors(most=4)
    for number in range(10):
        visitors.let_in([person(2 * number), person(2 * number + 1)], 1_000 + number, 9_000)
    assert sorted(ends_of(visitors, 2_000)) == [16, 17, 18, 19]


def test_what_is_kept_does_not_grow_with_time() -> None:
    visitors = AdmittedVisitors(most=1_000)
    for number in range(100):
        visitors.let_in([person(number)], HOUR_MS * number, HOUR_MS * number + 500)
        visitors.ended([person(number)], HOUR_MS * number + 400)
    admissions, ends = visitors.kept_lists
    assert admissions == 1
    assert ends <= 2


def test_the_most_recent_are_listed_without_looking_at_the_others() -> None:
    visitors = AdmittedVisitors(most=100)
    for number in range(10):
        visitors.let_in([person(2 * number), person(2 * number + 1)], 1_000 * number, HOUR_MS)
    visitors.ended([person(19), person(3)], 9_500)

    def recent(since_ms: int, most: int) -> dict[int, int]:
        listed = visitors.recent(since_ms, most)
        return {int.from_bytes(each.position_id, "big"): each.ends_ms for each in listed}

    assert recent(7_000, 100) == {16: HOUR_MS, 17: HOUR_MS, 18: HOUR_MS, 19: 0}
    assert len(recent(0, 3)) == 3
    assert set(recent(0, 2)) == {18, 19}
