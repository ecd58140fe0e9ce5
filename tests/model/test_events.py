"""Events and webhooks, as far as they need neither clock nor network."""

import hmac
import json
from hashlib import sha256

import msgspec
import pytest
from jsonschema import Draft202012Validator

from tests.support.readme import README, block
from wr.model.event_schema import DATA, event_schema
from wr.model.events import EventNote, EventType, event_id, events_of
from wr.model.refusals import InvalidRequest
from wr.model.webhooks import check_webhook, kinds_of, retry_pause_s, signature

A, B, C = (bytes([n]) * 16 for n in (1, 2, 3))


def test_whoever_reports_an_event_and_however_often_gives_it_the_same_id() -> None:
    note = EventNote(EventType.POSITION_ADMITTED, "q", 1_700_000_000_123, [A, B])
    one = [event.id for _, event in events_of(note, "one")]
    assert one == [event.id for _, event in events_of(note, "other")]
    assert len(set(one)) == 2
    assert all(text[14] == "8" for text in one), "a UUID of version 8"


@pytest.mark.parametrize(
    "other",
    [
        (EventType.POSITION_EXPIRED, "q", 5, A),
        (EventType.POSITION_ADMITTED, "r", 5, A),
        (EventType.POSITION_ADMITTED, "q", 6, A),
        (EventType.POSITION_ADMITTED, "q", 5, B),
    ],
)
def test_another_kind_queue_moment_or_person_is_another_event(
    other: tuple[EventType, str, int, bytes],
) -> None:
    assert event_id(EventType.POSITION_ADMITTED, "q", 5, A) != event_id(*other)


def test_a_divided_note_stands_for_the_same_events() -> None:
    note = EventNote(EventType.POSITION_ADMITTED, "q", 5, [A, B, C], None, [10, 20, 30])
    first, rest = note.split(1)
    assert (first.size, rest.size) == (1, 2)
    divided = [*events_of(first, "s"), *events_of(rest, "s")]
    assert divided == list(events_of(note, "s"))
    assert [event.data["waited_seconds"] for _, event in divided] == [0.01, 0.02, 0.03]


def test_a_wait_of_whole_seconds_is_told_as_an_integer() -> None:
    note = EventNote(EventType.POSITION_ADMITTED, "q", 5, [A, B], None, [3000, 2500])
    told = [msgspec.json.encode(event.data["waited_seconds"]) for _, event in events_of(note, "s")]
    assert told == [b"3", b"2.5"]


def test_a_time_is_told_with_its_milliseconds() -> None:
    ((_, event),) = events_of(EventNote(EventType.QUEUE_DELETED, "q", 1_704_112_200_007), "s")
    assert event.timestamp == "2024-01-01T12:30:00.007Z"


def test_every_kind_has_its_alternative_in_the_schema() -> None:
    assert set(DATA) == set(EventType)
    assert [each["title"] for each in event_schema()["oneOf"]] == [kind.value for kind in EventType]
    assert msgspec.json.encode(event_schema())


def test_the_example_of_the_readme_is_an_event_as_the_schema_says() -> None:
    text = block(README.read_text(), "event")
    assert text is not None
    example = json.loads(text.removeprefix("```json").removesuffix("```"))
    Draft202012Validator(event_schema()).validate(example)


@pytest.mark.parametrize(
    ("patterns", "count"),
    [(["*"], 13), (["position.*"], 4), (["session.*", "queue.paused"], 3), (["position.admitted"], 1)],
)
def test_patterns_mean_the_kinds_they_look_like(patterns: list[str], count: int) -> None:
    assert len(kinds_of(patterns)) == count


@pytest.mark.parametrize("pattern", ["", "position", "position.", "pos*", "**", ".*", "position.admitted.*"])
def test_a_pattern_that_means_nothing_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidRequest):
        check_webhook("https://example.com/", [pattern])


def test_a_signature_covers_the_timestamp_and_the_body() -> None:
    expected = hmac.new(b"secret", b"1700000000.body", sha256).hexdigest()
    assert signature("secret", "1700000000", b"body") == f"v1={expected}"
    assert signature("secret", "1700000001", b"body") != signature("secret", "1700000000", b"body")


def test_pauses_double_and_differ_by_a_quarter() -> None:
    assert [retry_pause_s(n, 2.0, 0.5) for n in range(1, 8)] == [2, 4, 8, 16, 32, 64, 128]
    assert (retry_pause_s(1, 2.0, 0.0), retry_pause_s(1, 2.0, 1.0)) == (1.5, 2.5)
