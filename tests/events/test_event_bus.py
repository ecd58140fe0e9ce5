"""The event bus: bounded, counted, and next to nothing while nobody is to be told."""

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from wr.events.event_bus import EventBus, Outbox
from wr.metrics.event_metrics import EventTally
from wr.model.events import EventNote, EventType

PEOPLE = [bytes([n]) * 16 for n in range(10)]


def test_nothing_is_wanted_unless_somebody_is_to_be_told() -> None:
    event_bus = EventBus()
    assert not event_bus.wanted
    outbox = Outbox("x", EventTally(), 10)
    event_bus.add(outbox)
    assert event_bus.wanted
    event_bus.remove(outbox)
    assert not event_bus.wanted


def test_what_comes_first_is_kept_and_the_rest_counted() -> None:
    tally = EventTally()
    outbox = Outbox("x", tally, 4)
    event_bus = EventBus()
    event_bus.add(outbox)
    event_bus.note(EventType.POSITION_EXPIRED, "q", 1, PEOPLE[:3])
    event_bus.note(EventType.POSITION_EXPIRED, "q", 2, PEOPLE[3:6])
    event_bus.note(EventType.QUEUE_DELETED, "q", 3)
    assert (tally.noted, tally.dropped, tally.waiting) == (7, 3, 4)
    assert [list(note.people) for note in outbox.take_now(99)] == [PEOPLE[:3], PEOPLE[3:4]]


def test_what_is_taken_needs_room_until_it_is_settled() -> None:
    tally = EventTally()
    outbox = Outbox("x", tally, 3)
    event_bus = EventBus()
    event_bus.add(outbox)
    event_bus.note(EventType.POSITION_EXPIRED, "q", 1, PEOPLE[:3])
    assert sum(note.size for note in outbox.take_now(2)) == 2
    event_bus.note(EventType.QUEUE_DELETED, "q", 1)
    assert tally.dropped == 1
    outbox.settle(2)
    event_bus.note(EventType.QUEUE_DELETED, "q", 2)
    assert (tally.dropped, tally.waiting) == (1, 2)


def test_a_note_about_nobody_is_none() -> None:
    tally = EventTally()
    event_bus = EventBus()
    event_bus.add(Outbox("x", tally, 3))
    event_bus.note_people(EventType.POSITION_EXPIRED, "q", 1, [])
    assert tally.noted == 0


def test_each_receiver_has_its_own_room_and_hears_what_it_asked_for() -> None:
    full, other = EventTally(), EventTally()
    event_bus = EventBus()
    event_bus.add(Outbox("full", full, 1))
    event_bus.add(Outbox("other", other, 10, kinds=frozenset({EventType.POSITION_EXPIRED}), queue_id="q"))
    for queue_id in ("q", "r"):
        event_bus.note(EventType.POSITION_EXPIRED, queue_id, 1, PEOPLE[:2])
        event_bus.note(EventType.QUEUE_DELETED, queue_id, 1)
    assert (full.noted, full.dropped) == (6, 5)
    assert (other.noted, other.dropped) == (2, 0)


def test_what_is_held_back_comes_after_what_comes_first_and_other_queues_do_not_wait() -> None:
    outbox = Outbox("x", EventTally(), 100)
    event_bus = EventBus()
    event_bus.add(outbox)
    with event_bus.holding("q") as first:
        event_bus.note(EventType.POSITION_ADMITTED, "q", 2, PEOPLE[:1])
        event_bus.note(EventType.QUEUE_DELETED, "other", 3)
        assert [note.queue_id for note in outbox.take_now(99)] == ["other"]
        first.append(EventNote(EventType.POSITION_ENQUEUED, "q", 1, PEOPLE[:1]))
    event_bus.note(EventType.QUEUE_DELETED, "q", 4)
    assert [note.at_ms for note in outbox.take_now(99)] == [1, 2, 4]


def test_what_is_held_back_is_told_though_what_it_waited_for_failed() -> None:
    outbox = Outbox("x", EventTally(), 100)
    event_bus = EventBus()
    event_bus.add(outbox)
    with pytest.raises(ZeroDivisionError), event_bus.holding("q"):
        event_bus.note(EventType.POSITION_ADMITTED, "q", 2, PEOPLE[:1])
        raise ZeroDivisionError
    assert [note.at_ms for note in outbox.take_now(99)] == [2]


def test_what_is_too_much_to_be_held_back_is_told_in_its_order_and_no_more_is_held() -> None:
    outbox = Outbox("x", EventTally(), 100_000)
    event_bus = EventBus()
    event_bus.add(outbox)
    crowd = PEOPLE[:1] * 2000
    with event_bus.holding("q") as first:
        for at_ms in range(10):
            event_bus.note(EventType.POSITION_ADMITTED, "q", at_ms, crowd)
        assert outbox.is_empty
        event_bus.note(EventType.POSITION_ADMITTED, "q", 10, crowd)
        assert [note.at_ms for note in outbox.take_now(99_999)] == list(range(11))
        event_bus.note(EventType.SESSION_ENDED, "q", 11, PEOPLE[:1])
        assert [note.at_ms for note in outbox.take_now(99_999)] == [11]
        first.append(EventNote(EventType.POSITION_ENQUEUED, "q", 12, PEOPLE[:1]))
    assert [note.at_ms for note in outbox.take_now(99_999)] == [12]
    with event_bus.holding("q"):
        event_bus.note(EventType.POSITION_ADMITTED, "q", 13, PEOPLE[:1])
        assert outbox.is_empty, "the next block holds back again"


async def test_who_waits_for_notes_is_woken_by_the_first() -> None:
    outbox = Outbox("x", EventTally(), 10)
    event_bus = EventBus()
    event_bus.add(outbox)
    taken: list[int] = []

    async def take() -> None:
        taken.extend(note.size for note in await outbox.take(2))

    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(take)
            await wait_all_tasks_blocked()
            event_bus.note(EventType.POSITION_EXPIRED, "q", 1, PEOPLE)
    assert taken == [2]


async def test_drained_is_when_all_is_settled_and_abandoned_is_for_good() -> None:
    tally = EventTally()
    outbox = Outbox("x", tally, 10)
    outbox_book = EventBus()
    outbox_book.add(outbox)
    outbox_book.note(EventType.POSITION_EXPIRED, "q", 1, PEOPLE[:4])
    outbox.take_now(99)
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(outbox.drained)
            await wait_all_tasks_blocked()
            assert nursery.child_tasks
            outbox.settle(4)
    outbox_book.note(EventType.POSITION_EXPIRED, "q", 1, PEOPLE[:4])
    assert outbox.abandon() == 4
    outbox.settle(4)
    assert tally.waiting == 0
