"""Events: what happens in the waiting room, as other systems are told of it."""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from hashlib import blake2b
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from wr.model.ids import id_text, session_id_text
from wr.model.times import rfc3339_ms
from wr.model.whole_numbers import plain

VERSION: Literal[1] = 1
"""Of the form of events; what is added later does not change it."""
SUBJECT_ROOT = "waitingroom"
MOST_METADATA_BYTES = 1024
"""Of a visitor's metadata in an event, as JSON; longer ones are left out. While a receiver is away, many
events are kept in memory, and what a visitor sends is not to decide how much they take."""


class EventType(StrEnum):
    """What can happen; people are called `position` while they wait and `session` once they are in."""

    POSITION_ENQUEUED = "position.enqueued"
    POSITION_ADMITTED = "position.admitted"
    POSITION_EXPIRED = "position.expired"
    POSITION_CANCELLED = "position.cancelled"
    SESSION_STARTED = "session.started"
    SESSION_ENDED = "session.ended"
    QUEUE_CREATED = "queue.created"
    QUEUE_UPDATED = "queue.updated"
    QUEUE_PAUSED = "queue.paused"
    QUEUE_RESUMED = "queue.resumed"
    QUEUE_DELETED = "queue.deleted"
    QUEUE_RECOVERING = "queue.recovering"
    QUEUE_RECOVERED = "queue.recovered"

    @property
    def subject(self) -> str:
        """Where it is published: `waitingroom.position.admitted.v1`."""
        return f"{SUBJECT_ROOT}.{self.value}.v{VERSION}"


Uuid = Annotated[str, Meta(extra_json_schema={"format": "uuid"})]
Time = Annotated[
    str,
    Meta(
        extra_json_schema={"format": "date-time"},
        pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$",
        examples=["2024-01-01T12:30:00.250Z"],
    ),
]


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened, as it is published."""

    id: Annotated[Uuid, Meta(description="The same however often it is sent: what to recognise repeats by")]
    version: Literal[1] = VERSION
    type: EventType
    timestamp: Annotated[Time, Meta(description="When it happened, by the store's clock")]
    source: Annotated[str, Meta(description="The server that noticed it")]
    queue_id: str
    data: dict[str, Any]


class EventNote(msgspec.Struct, frozen=True):
    """That something happened, at one moment, to some people of a queue or to the queue itself.

    Cheap to make where thousands are let in at once: the events it stands for are made when they are sent.
    """

    kind: EventType
    queue_id: str
    at_ms: int
    people: Sequence[bytes] = ()
    """Ids of positions; empty when it happened to the queue."""
    facts: dict[str, Any] | None = None
    """What `data` say beside who it was; the same for all."""
    waits_ms: Sequence[int] = ()
    """How long each of the people had waited, in their order; empty where that is nothing to tell."""
    mark: bytes = b""
    """What tells two events of one queue, kind and moment apart."""

    @property
    def size(self) -> int:
        """How many events it stands for."""
        return len(self.people) or 1

    def split(self, first: int) -> tuple["EventNote", "EventNote"]:
        """Divide it: the first so many people, and the others."""
        return (
            msgspec.structs.replace(self, people=self.people[:first], waits_ms=self.waits_ms[:first]),
            msgspec.structs.replace(self, people=self.people[first:], waits_ms=self.waits_ms[first:]),
        )


def events_of(note: EventNote, source: str) -> Iterator[tuple[bytes, Event]]:
    """Make the events a note stands for, each with whose it is (empty: the queue's). About 5 µs each."""
    timestamp = rfc3339_ms(note.at_ms)
    for index, who in enumerate(note.people or (b"",)):
        data = _data(note, who)
        if note.waits_ms:
            data["waited_seconds"] = plain(note.waits_ms[index] / 1000)
        yield (
            who,
            Event(
                id=event_id(note.kind, note.queue_id, note.at_ms, who or note.mark),
                type=note.kind,
                timestamp=timestamp,
                source=source,
                queue_id=note.queue_id,
                data=data,
            ),
        )


def event_id(kind: EventType, queue_id: str, at_ms: int, whose: bytes) -> str:
    """Name an event by what it is: whoever reports it, and however often, gives it the same id (UUID 8)."""
    # No queue id and no kind contains a slash.
    facts = f"{kind.value}/{queue_id}/{at_ms}/".encode() + whose
    raw = bytearray(blake2b(facts, digest_size=16, person=b"wr event").digest())
    raw[6] = raw[6] & 0x0F | 0x80
    raw[8] = raw[8] & 0x3F | 0x80
    return id_text(bytes(raw))


def _data(note: EventNote, who: bytes) -> dict[str, Any]:
    facts = note.facts or {}
    if not who:
        return facts
    data: dict[str, Any] = {"position_id": id_text(who)}
    if note.kind in (EventType.POSITION_ADMITTED, EventType.SESSION_STARTED, EventType.SESSION_ENDED):
        data["session_id"] = session_id_text(who)
    return {**data, **facts}
