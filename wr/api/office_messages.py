"""What goes over the wire for operators beyond queues and keys: history, changes, people."""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from wr.api.messages import Count, Seconds, Time, Uuid
from wr.model.audit import Action
from wr.model.queue import WEEK_S

Rate = Annotated[float, Meta(ge=0, description="People per second, over this step")]


class HistoryQuery(msgspec.Struct, kw_only=True):
    """Which history is asked for."""

    span: Annotated[
        Literal["15m", "24h"], Meta(description="15m: steps of 10 seconds; 24h: steps of 5 minutes")
    ] = "15m"


class HistoryPoint(msgspec.Struct, kw_only=True):
    """One step of a queue's history."""

    at: Annotated[Time, Meta(description="When the step began")]
    waiting: Annotated[Count, Meta(description="People in line when the step began")]
    active: Annotated[Count, Meta(description="Sessions that were on when the step began")]
    joined_per_second: Rate
    admitted_per_second: Rate
    expired_per_second: Annotated[Rate, Meta(description="Places lost by silence, per second")]
    cancelled_per_second: Annotated[Rate, Meta(description="Places given up or flushed, per second")]
    average_wait_seconds: Annotated[
        float | None,
        Meta(description="Mean of the exact waits of those let in during this step; null when nobody was"),
    ]


class HistoryResponse(msgspec.Struct, kw_only=True):
    """A queue's history, oldest step first, up to the last step that is over.

    Steps that began or ended without a server are missing, and so are those that are less than half known. A
    step that is told once is told the same ever after.
    """

    queue_id: str
    span: Literal["15m", "24h"]
    step_seconds: Annotated[int, Meta(description="How long each step lasts", examples=[10])]
    points: list[HistoryPoint]


class SilentQuery(msgspec.Struct, kw_only=True):
    """Which silence is asked about."""

    timeout_seconds: Annotated[
        int, Meta(ge=1, le=WEEK_S, description="A heartbeat timeout that the queue may be given")
    ]


class SilentResponse(msgspec.Struct, kw_only=True):
    """What a heartbeat timeout would cost."""

    queue_id: str
    timeout_seconds: int
    waiting: Annotated[Count, Meta(description="People in line")]
    silent: Annotated[
        Count,
        Meta(description="Those of them not heard for so long: if they stay silent, they lose their places"),
    ]


class AuditQuery(msgspec.Struct, kw_only=True):
    """Which changes are asked for."""

    queue_id: Annotated[str, Meta(max_length=64, description="Changes of this queue only")] = ""
    limit: Annotated[int, Meta(ge=1, le=200, description="How many changes to tell")] = 50
    before: Annotated[
        str,
        Meta(
            pattern="^([0-9]{1,15}-[0-9]{1,15})?$",
            description="Changes before the one of this id: the `next` of an earlier answer",
        ),
    ] = ""


class AuditChange(msgspec.Struct, kw_only=True):
    """What a setting was, and what it became; a text of more than 200 characters is cut."""

    before: str | int | float = msgspec.field(name="from")
    after: str | int | float = msgspec.field(name="to")


class AuditEntryResponse(msgspec.Struct, kw_only=True):
    """One change that an operator made."""

    id: Annotated[str, Meta(examples=["1704067200000-0"])]
    at: Time
    operator: Annotated[
        str, Meta(description="The name in X-Operator, claimed and not proved; empty when none was given")
    ]
    address: Annotated[str, Meta(description="The client's address; empty for the server itself")]
    action: Action
    queue_id: Annotated[str | None, Meta(description="The queue, which may be gone; null for signing keys")]
    changes: Annotated[dict[str, AuditChange], Meta(description="Settings that were changed, by name")]
    facts: Annotated[
        dict[str, str | int | float | list[str]],
        Meta(description="What else there is to know: all settings of a new queue, how many were sent away"),
    ]


class AuditResponse(msgspec.Struct, kw_only=True):
    """Changes, newest first; the newest 10,000 are kept."""

    entries: list[AuditEntryResponse]
    next: Annotated[
        str | None, Meta(description="Ask with before=next for the changes before these; null at the end")
    ]


PositionState = Literal[
    "waiting", "admitted", "expired", "cancelled", "flushed", "session_expired", "session_terminated"
]
Ended = Annotated[str, Meta(description="Why it ended", examples=["heartbeat_timeout"])]


FoundMetadata = Annotated[
    dict[str, str | int | float | bool],
    Meta(description="What the visitor sent with the join, which nobody has verified"),
]


class FoundPositionResponse(msgspec.Struct, kw_only=True):
    """A place in line, or what became of it; what does not apply is left out."""

    position_id: Uuid
    queue_id: str
    status: Annotated[
        PositionState,
        Meta(
            description="waiting; admitted: has a session; expired: was silent; cancelled: left the "
            "line or the session; flushed: was sent away; session_expired, session_terminated: was inside"
        ),
    ]
    queue_length: Annotated[Count, Meta(description="People in line now")]
    position: Annotated[int, Meta(ge=1, description="Place in line, from 1")] | UnsetType = UNSET
    priority: Annotated[int, Meta(ge=0, le=3)] | UnsetType = UNSET
    estimated_wait_seconds: Seconds | UnsetType = UNSET
    enqueued_at: Time | UnsetType = UNSET
    last_seen_at: Annotated[Time, Meta(description="The last sign of life")] | UnsetType = UNSET
    session_id: Uuid | UnsetType = UNSET
    session_started_at: Time | UnsetType = UNSET
    session_expires_at: Time | UnsetType = UNSET
    ended_at: Time | UnsetType = UNSET
    reason: Ended | UnsetType = UNSET
    metadata: FoundMetadata | UnsetType = UNSET


class FoundSessionResponse(msgspec.Struct, kw_only=True):
    """A session, or how it ended; what does not apply is left out."""

    session_id: Uuid
    position_id: Uuid
    queue_id: str
    status: Annotated[
        Literal["active", "expired", "cancelled", "terminated"],
        Meta(description="cancelled: the visitor left, perhaps before it was a session"),
    ]
    started_at: Time | UnsetType = UNSET
    expires_at: Time | UnsetType = UNSET
    remaining_seconds: Seconds | UnsetType = UNSET
    last_activity: Time | UnsetType = UNSET
    page_views: Count | UnsetType = UNSET
    addresses: (
        Annotated[
            int,
            Meta(
                ge=0,
                description="From how many addresses the session was used at the gate, an IPv6 /64 "
                "counting as one; 32 stands for 32 or more",
            ),
        ]
        | UnsetType
    ) = UNSET
    ended_at: Time | UnsetType = UNSET
    reason: Ended | UnsetType = UNSET
    metadata: FoundMetadata | UnsetType = UNSET
