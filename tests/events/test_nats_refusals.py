"""What becomes of an event that NATS does not take: certain for one, and in doubt never for all at once."""

from dataclasses import dataclass

import pytest
from nats.js.errors import NoStreamResponseError

from wr.events.nats_connection import Connected
from wr.events.nats_refusals import Refusals, RetryDecision, SubjectForbidden

SUBJECT = "waitingroom.session.started.v1"


@dataclass(frozen=True)
class Event:
    id: str
    subject: str = SUBJECT


def verdicts(
    refusals: Refusals, link: Connected, event: Event, error: Exception, count: int
) -> list[RetryDecision]:
    return [refusals.judge(link, event, error) for _ in range(count)]


def test_an_event_that_nobody_answers_for_is_given_up_after_ten_tries_and_each_after_it_has_as_many() -> None:
    refusals, link = Refusals(), Connected()
    for number in range(3):
        assert verdicts(refusals, link, Event(str(number)), NoStreamResponseError(), 10) == [
            *[RetryDecision.FAILED] * 9,
            RetryDecision.GIVEN_UP,
        ]


@pytest.mark.parametrize(
    ("error", "untaken", "tries_of_the_first"),
    [(SubjectForbidden(SUBJECT), set(), 3), (NoStreamResponseError(), {SUBJECT}, 1)],
)
def test_events_of_a_subject_that_is_refused_for_certain_are_tried_once_from_the_second_on(
    error: Exception, untaken: set[str], tries_of_the_first: int
) -> None:
    refusals, link = Refusals(), Connected()
    link.untaken = frozenset(untaken)
    tried = verdicts(refusals, link, Event("0"), error, tries_of_the_first)
    assert tried == [*[RetryDecision.REFUSED] * (tries_of_the_first - 1), RetryDecision.GIVEN_UP]
    assert refusals.judge(link, Event("1"), error) is RetryDecision.GIVEN_UP


def test_what_was_certain_over_one_connection_is_in_doubt_over_another_that_found_a_stream() -> None:
    refusals, before, after = Refusals(), Connected(), Connected()
    before.untaken = frozenset({SUBJECT})
    assert refusals.judge(before, Event("0"), NoStreamResponseError()) is RetryDecision.GIVEN_UP
    assert refusals.judge(after, Event("1"), NoStreamResponseError()) is RetryDecision.FAILED
