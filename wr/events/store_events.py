"""What the store did, as notes for the event book: the same whoever asked for it."""

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
    """Takes notes where the store's replies are read, so that none depends on who asked being there still.

    On one server a place is noted before whatever becomes of it: while joins of a queue are under way, all
    else that happens in it is held back. A pass may let in whom the store has put in line already and whose
    join is not answered yet.
    """

    def __init__(self, events: EventBus) -> None:
        self._events = events
        self._recovering: dict[str, int] = {}
        """When each queue's store forgot, where a pass of this server noticed it."""

    @property
    def wanted(self) -> bool:
        """Whether anybody is to be told."""
        return self._events.wanted

    @contextmanager
    def joining(self, queue_id: str) -> Iterator[Callable[[Sequence[Join], Sequence[Joined]], None]]:
        """Hold back what else happens in a queue until the joins that are under way have been noted."""
        with self._events.holding(queue_id) as first:
            yield lambda joins, replies: first.extend(_joins(queue_id, joins, replies))

    def departed(self, queue_id: str, departures: Sequence[Departure], replies: Sequence[Departed]) -> None:
        """Take notes of what departures ended, if they ended anything."""
        for departure, departed in zip(departures, replies, strict=True):
            place = departed.place
            if isinstance(place, Gone) and (departed.ended_now or departed.took_session):
                kind = EventType.SESSION_ENDED if departed.took_session else EventType.POSITION_CANCELLED
                reason = {"reason": place.reason.text}
                self._events.note(kind, queue_id, place.ended_ms, (departure.position_id,), reason)

    def passed(self, queue_id: str, done: AdmissionPass) -> None:
        """Take notes of what a pass did: some microseconds, however many people it is about."""
        at_ms, note = done.now_ms, self._events.note_people
        note(EventType.POSITION_EXPIRED, queue_id, at_ms, done.dropped, _SILENT)
        note(EventType.SESSION_ENDED, queue_id, at_ms, done.ended, _OVER)
        note(EventType.POSITION_ADMITTED, queue_id, at_ms, done.admitted, waits_ms=done.waits_ms)
        expires = {"expires_at": rfc3339_ms(done.sessions_end_ms)}
        note(EventType.SESSION_STARTED, queue_id, at_ms, done.admitted, expires)
        if done.forgotten is not None:
            self._recovery(queue_id, done, done.forgotten)

    def _recovery(self, queue_id: str, done: AdmissionPass, forgotten: Forgotten) -> None:
        """Take notes of a queue whose places come back from tokens: when that begins and when it is over.

        All servers give the two events the same ids.
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
        """Take a note of who was sent away."""
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
