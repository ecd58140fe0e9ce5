"""Events: what happens in the waiting room, as other systems are told of it."""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from hashlib import blake2b
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from wr.model.audit import Change
from wr.model.ids import id_text, session_id_text
from wr.model.times import rfc3339_ms

VERSION: Literal[1] = 1
"""Of the form of events; what is added later does not change it."""
SUBJECT_ROOT = "waitingroom"


class Kind(StrEnum):
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
PositionId = Annotated[Uuid, Meta(description="The place in line")]
SessionId = Annotated[Uuid, Meta(description="The session that the place became")]


class Enqueued(msgspec.Struct, forbid_unknown_fields=True):
    """Somebody new is in line."""

    position_id: PositionId
    position: Annotated[int, Meta(ge=1, description="Place in line at that moment, from 1")]
    priority: Annotated[int, Meta(ge=0, le=3)]


class Admitted(msgspec.Struct, forbid_unknown_fields=True):
    """Somebody was let in; `session.started` tells the rest."""

    position_id: PositionId
    session_id: SessionId
    waited_seconds: Annotated[float, Meta(ge=0, description="From joining until now")]


class Expired(msgspec.Struct, forbid_unknown_fields=True):
    """Somebody in line was silent for too long and lost the place."""

    position_id: PositionId
    reason: Literal["heartbeat_timeout"]


class Cancelled(msgspec.Struct, forbid_unknown_fields=True):
    """Somebody in line gave up the place, or was sent away with the whole line."""

    position_id: PositionId
    reason: Literal["cancelled", "flushed"]


class Started(msgspec.Struct, forbid_unknown_fields=True):
    """A session began."""

    session_id: SessionId
    position_id: PositionId
    expires_at: Annotated[Time, Meta(description="When it ends unless it is ended before")]


class Ended(msgspec.Struct, forbid_unknown_fields=True):
    """A session ended: its time was over, the visitor left, or an operator ended it."""

    session_id: SessionId
    position_id: PositionId
    reason: Literal["session_timeout", "cancelled", "terminated"]


class Created(msgspec.Struct, forbid_unknown_fields=True):
    """An operator made a queue."""

    settings: Annotated[
        dict[str, str | int | float], Meta(description="By name; texts are cut at 200 characters")
    ]


class Updated(msgspec.Struct, forbid_unknown_fields=True):
    """An operator changed settings of a queue."""

    changes: Annotated[dict[str, Change], Meta(description="By name; texts are cut at 200 characters")]


class Paused(msgspec.Struct, forbid_unknown_fields=True):
    """Nobody is let in any more; comes beside `queue.updated`."""

    status: Literal["paused", "maintenance"]


class Resumed(msgspec.Struct, forbid_unknown_fields=True):
    """People are let in again; comes beside `queue.updated`."""

    status: Literal["active"]


class Deleted(msgspec.Struct, forbid_unknown_fields=True):
    """An operator deleted a queue; the people in it have no events of their own."""


DATA: dict[Kind, type[msgspec.Struct]] = {
    Kind.POSITION_ENQUEUED: Enqueued,
    Kind.POSITION_ADMITTED: Admitted,
    Kind.POSITION_EXPIRED: Expired,
    Kind.POSITION_CANCELLED: Cancelled,
    Kind.SESSION_STARTED: Started,
    Kind.SESSION_ENDED: Ended,
    Kind.QUEUE_CREATED: Created,
    Kind.QUEUE_UPDATED: Updated,
    Kind.QUEUE_PAUSED: Paused,
    Kind.QUEUE_RESUMED: Resumed,
    Kind.QUEUE_DELETED: Deleted,
}
"""What the `data` of each kind are: made as plain dictionaries, described here, compared by the tests."""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened, as it is published."""

    id: Annotated[Uuid, Meta(description="The same however often it is sent: what to recognise repeats by")]
    version: Literal[1] = VERSION
    type: Kind
    timestamp: Annotated[Time, Meta(description="When it happened, by the store's clock")]
    source: Annotated[str, Meta(description="The server that noticed it")]
    queue_id: str
    data: dict[str, Any]


class Note(msgspec.Struct, frozen=True):
    """That something happened, at one moment, to some people of a queue or to the queue itself.

    Cheap to make where thousands are let in at once: the events it stands for are made when they are sent.
    """

    kind: Kind
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

    def split(self, first: int) -> tuple["Note", "Note"]:
        """Divide it: the first so many people, and the others."""
        return (
            msgspec.structs.replace(self, people=self.people[:first], waits_ms=self.waits_ms[:first]),
            msgspec.structs.replace(self, people=self.people[first:], waits_ms=self.waits_ms[first:]),
        )


def events_of(note: Note, source: str) -> Iterator[tuple[bytes, Event]]:
    """Make the events a note stands for, each with whose it is (empty: the queue's). About 5 µs each."""
    timestamp = rfc3339_ms(note.at_ms)
    for index, who in enumerate(note.people or (b"",)):
        data = _data(note, who)
        if note.waits_ms:
            data["waited_seconds"] = note.waits_ms[index] / 1000
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


def event_id(kind: Kind, queue_id: str, at_ms: int, whose: bytes) -> str:
    """Name an event by what it is: whoever reports it, and however often, gives it the same id (UUID 8)."""
    # No queue id and no kind contains a slash.
    facts = f"{kind.value}/{queue_id}/{at_ms}/".encode() + whose
    raw = bytearray(blake2b(facts, digest_size=16, person=b"wr event").digest())
    raw[6] = raw[6] & 0x0F | 0x80
    raw[8] = raw[8] & 0x3F | 0x80
    return id_text(bytes(raw))


def _data(note: Note, who: bytes) -> dict[str, Any]:
    facts = note.facts or {}
    if not who:
        return facts
    data: dict[str, Any] = {"position_id": id_text(who)}
    if note.kind in (Kind.POSITION_ADMITTED, Kind.SESSION_STARTED, Kind.SESSION_ENDED):
        data["session_id"] = session_id_text(who)
    return {**data, **facts}


def event_schema() -> dict[str, Any]:
    """Describe every event as JSON Schema (2020-12), one alternative for each type."""
    _, components = msgspec.json.schema_components([Event, *DATA.values()], ref_template="#/$defs/{name}")
    whole = components.pop(Event.__name__)
    components.pop(Kind.__name__)
    alternatives = []
    for kind, data in DATA.items():
        properties = {
            **whole["properties"],
            "type": {"const": kind.value},
            "version": {"const": VERSION},
            "data": {"$ref": f"#/$defs/{data.__name__}"},
        }
        alternatives.append(
            {
                "title": kind.value,
                "type": "object",
                "properties": properties,
                "required": list(properties),
                "additionalProperties": False,
            }
        )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Waiting room event",
        "oneOf": alternatives,
        "$defs": components,
    }
