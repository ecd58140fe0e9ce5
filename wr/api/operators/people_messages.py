"""Response bodies about one visitor, found by the id of a position or a session."""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from wr.api.field_types import Count, Seconds, Time, Uuid

PositionState = Literal[
    "waiting", "admitted", "expired", "cancelled", "flushed", "session_expired", "session_terminated"
]
Ended = Annotated[str, Meta(description="Why it ended", examples=["heartbeat_timeout"])]


FoundMetadata = Annotated[
    dict[str, str | int | float | bool],
    Meta(description="Metadata that the visitor sent with the join. It is not verified"),
]


class FoundPositionResponse(msgspec.Struct, kw_only=True):
    """A place in line, or how it ended. Fields that do not apply are left out."""

    position_id: Uuid
    queue_id: str
    status: Annotated[
        PositionState,
        Meta(
            description="waiting; admitted: has a session; expired: sent no heartbeats; cancelled: left the "
            "line or the session; flushed: removed by an operator; session_expired and session_terminated: "
            "had a session that ended"
        ),
    ]
    queue_length: Annotated[Count, Meta(description="Visitors in line now")]
    position: Annotated[int, Meta(ge=1, description="Place in line, from 1")] | UnsetType = UNSET
    priority: Annotated[int, Meta(ge=0, le=3)] | UnsetType = UNSET
    estimated_wait_seconds: Seconds | UnsetType = UNSET
    enqueued_at: Time | UnsetType = UNSET
    last_seen_at: Annotated[Time, Meta(description="When the last heartbeat came")] | UnsetType = UNSET
    session_id: Uuid | UnsetType = UNSET
    session_started_at: Time | UnsetType = UNSET
    session_expires_at: Time | UnsetType = UNSET
    ended_at: Time | UnsetType = UNSET
    reason: Ended | UnsetType = UNSET
    metadata: FoundMetadata | UnsetType = UNSET


class FoundSessionResponse(msgspec.Struct, kw_only=True):
    """A session, or how it ended. Fields that do not apply are left out."""

    session_id: Uuid
    position_id: Uuid
    queue_id: str
    status: Annotated[
        Literal["active", "expired", "cancelled", "terminated"],
        Meta(description="cancelled: the visitor left, perhaps before the session began"),
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
                description="Number of addresses from which the session was used at the gate. An IPv6 /64 "
                "counts as one. 32 means 32 or more",
            ),
        ]
        | UnsetType
    ) = UNSET
    ended_at: Time | UnsetType = UNSET
    reason: Ended | UnsetType = UNSET
    metadata: FoundMetadata | UnsetType = UNSET
