"""Events: what happens in the waiting room, in the form in which other systems receive it."""

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
"""Version of the event format. New fields do not change it."""
SUBJECT_ROOT = "waitingroom"
MOST_METADATA_BYTES = 1024
"""The most JSON bytes of a visitor's metadata in an event; larger metadata are left out. While a receiver is
unreachable, many events stay in memory, so visitors must not determine their size."""


class EventType(StrEnum):
    """Type of an event. A visitor is a `position` while waiting and a `session` after admission."""

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
        """The NATS subject: `waitingroom.position.admitted.v1`."""
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
    """One event, as it is published."""

    id: Annotated[Uuid, Meta(description="The same however often it is sent: what to recognise repeats by")]
    version: Literal[1] = VERSION
    type: EventType
    timestamp: Annotated[Time, Meta(description="When it happened, by the store's clock")]
    source: Annotated[str, Meta(description="The server that noticed it")]
    queue_id: str
    data: dict[str, Any]


class EventNote(msgspec.Struct, frozen=True):
    """A compact record of events of one type and time, for some visitors of a queue or for the queue itself.

    Cheap to create when thousands are admitted at once: the events themselves are created when they are sent.
    """

    kind: EventType
    queue_id: str
    at_ms: int
    people: Sequence[bytes] = ()
    """Ids of the visitors' positions; empty for an event of the queue itself."""
    facts: dict[str, Any] | None = None
    """Further fields of `data`, the same for all visitors."""
    waits_ms: Sequence[int] = ()
    """How long each visitor had waited, in the same order; empty if the event does not say that."""
    mark: bytes = b""
    """Distinguishes two events of the same queue, type and time."""

    @property
    def size(self) -> int:
        """Number of events in the record."""
        return len(self.people) or 1

    def split(self, first: int) -> tuple["EventNote", "EventNote"]:
        """Split the record: the first `first` visitors, and the others."""
        return (
            msgspec.structs.replace(self, people=self.people[:first], waits_ms=self.waits_ms[:first]),
            msgspec.structs.replace(self, people=self.people[first:], waits_ms=self.waits_ms[first:]),
        )


def events_of(note: EventNote, source: str) -> Iterator[tuple[bytes, Event]]:
    """Create the events of a record, each with its position id (empty for the queue). About 5 µs each."""
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
    """Compute an event's id (UUID 8) from its content, so that every server gives it the same id each
    time."""
    # Neither queue ids nor types contain a slash.
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
