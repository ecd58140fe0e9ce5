"""Turns replies of the store into events, so that each change creates its event wherever it was requested."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec

from wr.events.event_bus import EventBus
from wr.model.events import MOST_METADATA_BYTES, EventNote, EventType
from wr.model.places import Gone, Reason, Waiting
from wr.model.times import rfc3339_ms
from wr.store.admit import AdmissionPass, Forgotten
from wr.store.enqueue import Join, Joined
from wr.store.leave import Departed, Departure

_SILENT = {"reason": Reason.HEARTBEAT_TIMEOUT.text}
_OVER = {"reason": Reason.SESSION_TIMEOUT.text}
_FLUSHED = {"reason": Reason.FLUSHED.text}


class StoreEvents:
    """Creates events where the store's replies are read. So an event is created even if the client has gone.

    On one server, the event that a visitor joined comes before all other events of that visitor. But an
    admission pass may admit a visitor before the store's reply to the join arrives. So all other events of a
    queue are held back while joins are in progress.
    """

    def __init__(self, events: EventBus) -> None:
        self._events = events
        self._recovering: dict[str, int] = {}
        """For each queue in recovery: when the store lost its data, as an admission pass noticed it."""

    @property
    def wanted(self) -> bool:
        """Whether there is any receiver."""
        return self._events.wanted

    @contextmanager
    def joining(self, queue_id: str) -> Iterator[Callable[[Sequence[Join], Sequence[Joined]], None]]:
        """Hold back the other events of a queue until the joins in progress have created theirs."""
        with self._events.holding(queue_id) as first:
            yield lambda joins, replies: first.extend(_joins(queue_id, joins, replies))

    def departed(self, queue_id: str, departures: Sequence[Departure], replies: Sequence[Departed]) -> None:
        """Create the events of departures that ended a place or a session."""
        for departure, departed in zip(departures, replies, strict=True):
            place = departed.place
            if isinstance(place, Gone) and (departed.ended_now or departed.took_session):
                kind = EventType.SESSION_ENDED if departed.took_session else EventType.POSITION_CANCELLED
                reason = {"reason": place.reason.text}
                self._events.note(kind, queue_id, place.ended_ms, (departure.position_id,), reason)

    def passed(self, queue_id: str, done: AdmissionPass) -> None:
        """Create the events of an admission pass. Takes some microseconds for any number of visitors."""
        at_ms, note = done.now_ms, self._events.note_people
        note(EventType.POSITION_EXPIRED, queue_id, at_ms, done.dropped, _SILENT)
        note(EventType.SESSION_ENDED, queue_id, at_ms, done.ended, _OVER)
        note(EventType.POSITION_ADMITTED, queue_id, at_ms, done.admitted, waits_ms=done.waits_ms)
        expires = {"expires_at": rfc3339_ms(done.sessions_end_ms)}
        note(EventType.SESSION_STARTED, queue_id, at_ms, done.admitted, expires)
        if done.forgotten is not None:
            self._recovery(queue_id, done, done.forgotten)

    def _recovery(self, queue_id: str, done: AdmissionPass, forgotten: Forgotten) -> None:
        """Create the events for the start and the end of a queue's recovery.

        All servers create the same ids for these two events.
        """
        is_noted = self._recovering.get(queue_id) == forgotten.at_ms
        facts = {"acknowledged": forgotten.acknowledged, "restored": forgotten.restored}
        if done.is_held and not is_noted:
            self._recovering[queue_id] = forgotten.at_ms
            self._events.note(EventType.QUEUE_RECOVERING, queue_id, forgotten.at_ms, facts=facts)
        elif is_noted and not done.is_held:
            del self._recovering[queue_id]
            self._events.note(EventType.QUEUE_RECOVERED, queue_id, forgotten.held_until_ms, facts=facts)

    def flushed(self, queue_id: str, at_ms: int, people: list[bytes]) -> None:
        """Create the events of visitors whose places were removed by a flush."""
        self._events.note_people(EventType.POSITION_CANCELLED, queue_id, at_ms, people, _FLUSHED)


def _joins(queue_id: str, joins: Sequence[Join], replies: Sequence[Joined]) -> Iterator[EventNote]:
    for join, joined in zip(joins, replies, strict=True):
        place = joined.place
        if isinstance(place, Waiting) and joined.is_new:
            facts: dict[str, Any] = {"position": place.position, "priority": joined.priority}
            if 0 < len(join.metadata) <= MOST_METADATA_BYTES:
                facts["metadata"] = msgspec.Raw(join.metadata)
            yield EventNote(
                EventType.POSITION_ENQUEUED, queue_id, joined.now_ms, (joined.position_id,), facts
            )
