"""JSON Schema of events. Imported only when a client asks for it: most servers never need it in memory."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from wr.model.audit import Change
from wr.model.events import VERSION, Event, EventType, Time, Uuid

PositionId = Annotated[Uuid, Meta(description="The place in line")]
SessionId = Annotated[Uuid, Meta(description="The session that the place became")]


class Enqueued(msgspec.Struct, forbid_unknown_fields=True):
    """A visitor joined a queue."""

    position_id: PositionId
    position: Annotated[int, Meta(ge=1, description="Place in line at that moment, from 1")]
    priority: Annotated[int, Meta(ge=0, le=3)]
    metadata: (
        Annotated[
            dict[str, str | int | float | bool],
            Meta(
                description="What the visitor sent with the join, which nobody has verified; left out if "
                "that was nothing, or more than 1 KiB as JSON"
            ),
        ]
        | UnsetType
    ) = UNSET


class Admitted(msgspec.Struct, forbid_unknown_fields=True):
    """A visitor was admitted; `session.started` follows with the session."""

    position_id: PositionId
    session_id: SessionId
    waited_seconds: Annotated[float, Meta(ge=0, description="From joining until now")]


class Expired(msgspec.Struct, forbid_unknown_fields=True):
    """A waiting visitor sent no heartbeat for too long and lost the place."""

    position_id: PositionId
    reason: Literal["heartbeat_timeout"]


class Cancelled(msgspec.Struct, forbid_unknown_fields=True):
    """A waiting visitor gave up the place, or an operator flushed the queue."""

    position_id: PositionId
    reason: Literal["cancelled", "flushed"]


class Started(msgspec.Struct, forbid_unknown_fields=True):
    """A session began."""

    session_id: SessionId
    position_id: PositionId
    expires_at: Annotated[Time, Meta(description="When it ends unless it is ended before")]


class Ended(msgspec.Struct, forbid_unknown_fields=True):
    """A session ended: it expired, the visitor left, or an operator ended it."""

    session_id: SessionId
    position_id: PositionId
    reason: Literal["session_timeout", "cancelled", "terminated"]


class Created(msgspec.Struct, forbid_unknown_fields=True):
    """An operator created a queue."""

    settings: Annotated[
        dict[str, str | int | float], Meta(description="By name; texts are cut at 200 characters")
    ]


class Updated(msgspec.Struct, forbid_unknown_fields=True):
    """An operator changed settings of a queue."""

    changes: Annotated[dict[str, Change], Meta(description="By name; texts are cut at 200 characters")]


class Paused(msgspec.Struct, forbid_unknown_fields=True):
    """An operator stopped admission; comes together with `queue.updated`."""

    status: Literal["paused", "maintenance"]


class Resumed(msgspec.Struct, forbid_unknown_fields=True):
    """An operator resumed admission; comes together with `queue.updated`."""

    status: Literal["active"]


class Deleted(msgspec.Struct, forbid_unknown_fields=True):
    """An operator deleted a queue. There are no events for its visitors."""


class Recovering(msgspec.Struct, forbid_unknown_fields=True):
    """The store lost acknowledged places; the servers restore them from visitors' tokens."""

    acknowledged: Annotated[int, Meta(ge=0, description="How many waited at the last pass before")]
    restored: Annotated[int, Meta(ge=0, description="Places and sessions that have come back so far")]


class Recovered(msgspec.Struct, forbid_unknown_fields=True):
    """The queue is restored, and admission goes on."""

    acknowledged: Annotated[int, Meta(ge=0, description="How many waited at the last pass before")]
    restored: Annotated[int, Meta(ge=0, description="Places and sessions that have come back so far")]


DATA: dict[EventType, type[msgspec.Struct]] = {
    EventType.POSITION_ENQUEUED: Enqueued,
    EventType.POSITION_ADMITTED: Admitted,
    EventType.POSITION_EXPIRED: Expired,
    EventType.POSITION_CANCELLED: Cancelled,
    EventType.SESSION_STARTED: Started,
    EventType.SESSION_ENDED: Ended,
    EventType.QUEUE_CREATED: Created,
    EventType.QUEUE_UPDATED: Updated,
    EventType.QUEUE_PAUSED: Paused,
    EventType.QUEUE_RESUMED: Resumed,
    EventType.QUEUE_DELETED: Deleted,
    EventType.QUEUE_RECOVERING: Recovering,
    EventType.QUEUE_RECOVERED: Recovered,
}
"""The form of `data` for each type. Servers build plain dictionaries; tests compare them with these types."""


def event_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of all events, with one alternative for each type."""
    _, components = msgspec.json.schema_components([Event, *DATA.values()], ref_template="#/$defs/{name}")
    whole = components.pop(Event.__name__)
    components.pop(EventType.__name__)
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
