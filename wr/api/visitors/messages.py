"""Messages between visitors and the server (contract: Enqueue to Session Activity)."""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from wr.api.field_types import Count, HeldStatus, Recovering, Seconds, Time, Timestamp, Uuid
from wr.api.setting_fields import public_fields

_KEPT = Meta(description="Left out where the client asked with `X-WR-Token: cookie` to keep it in a cookie")


class EnqueueRequest(msgspec.Struct, kw_only=True):
    """A wish to join; all of it may be left out."""

    priority: Annotated[int, Meta(ge=0, le=3)] = 0
    metadata: dict[str, str | int | float | bool] = {}
    pass_: Annotated[
        str,
        Meta(max_length=4096, description="A pass of the site, where it does not come as `X-WR-Pass`"),
    ] = msgspec.field(default="", name="pass")


class EnqueueResponse(msgspec.Struct, kw_only=True):
    """A place in line; for a person who has been let in already also the way in."""

    position_id: Uuid
    queue_id: str
    position: int
    queue_length: int
    estimated_wait_seconds: int
    priority: Annotated[
        int, Meta(description="The priority that the place has: lower than asked for where that took a proof")
    ]
    status: Literal["waiting", "admitted", "expired"]
    token: Annotated[str, _KEPT] | UnsetType
    heartbeat_interval_seconds: int
    heartbeat_timeout_seconds: int
    expires_at: Time
    session_id: str | UnsetType = UNSET
    session_token: str | UnsetType = UNSET
    redirect_url: str | UnsetType = UNSET
    session_expires_at: Time | UnsetType = UNSET
    queue_status: HeldStatus | UnsetType = UNSET
    recovering: Recovering | UnsetType = UNSET


class WaitingStatus(msgspec.Struct, kw_only=True):
    """Where somebody in line stands."""

    position_id: Uuid
    queue_id: str
    status: Literal["waiting"] = "waiting"
    position: int
    queue_length: int
    estimated_wait_seconds: int
    admitted: bool = False
    token: Annotated[str, _KEPT] | UnsetType
    expires_at: Time
    queue_status: HeldStatus | UnsetType = UNSET
    recovering: Recovering | UnsetType = UNSET


class AdmittedStatus(msgspec.Struct, kw_only=True):
    """The way in for somebody who has been let in."""

    position_id: Uuid
    queue_id: str
    status: Literal["admitted"] = "admitted"
    position: int = 0
    queue_length: int
    estimated_wait_seconds: int = 0
    admitted: bool = True
    session_id: str
    session_token: str
    redirect_url: str
    session_expires_at: Time


class HeartbeatRequest(msgspec.Struct, kw_only=True):
    """A sign of life; all of it may be left out."""

    timestamp: Timestamp | UnsetType = UNSET
    client_id: Annotated[str, Meta(max_length=256)] | UnsetType = UNSET


class WaitingHeartbeat(msgspec.Struct, kw_only=True):
    """The place is kept."""

    position_id: Uuid
    status: Literal["waiting"] = "waiting"
    position: int
    queue_length: int
    estimated_wait_seconds: int
    token: Annotated[str, _KEPT] | UnsetType
    next_heartbeat_seconds: int
    heartbeat_timeout_seconds: int
    queue_status: HeldStatus | UnsetType = UNSET
    recovering: Recovering | UnsetType = UNSET


class AdmittedHeartbeat(msgspec.Struct, kw_only=True):
    """No more heartbeats are needed: this is the way in."""

    position_id: Uuid
    status: Literal["admitted"] = "admitted"
    session_id: str
    session_token: str
    redirect_url: str


class CancelResponse(msgspec.Struct, kw_only=True):
    """The place is given up."""

    position_id: Uuid
    status: Literal["cancelled"] = "cancelled"
    cancelled_at: Time


class EndSessionResponse(msgspec.Struct, kw_only=True):
    """The session is ended by its holder."""

    session_id: str
    status: Literal["ended"] = "ended"
    ended_at: Time


class SessionResponse(msgspec.Struct, kw_only=True):
    """An active session."""

    session_id: str
    queue_id: str
    position_id: Uuid
    status: Literal["active"] = "active"
    started_at: Time
    expires_at: Time
    last_activity: Time
    page_views: Count
    remaining_seconds: Seconds


class ActivityRequest(msgspec.Struct, kw_only=True):
    """What a visitor did; the action `page_view` counts as one."""

    action: Annotated[str, Meta(min_length=1, max_length=64, examples=["page_view"])] = "activity"
    page: Annotated[str, Meta(max_length=2048, examples=["/checkout"])] | UnsetType = UNSET
    timestamp: Timestamp | UnsetType = UNSET


class ActivityResponse(msgspec.Struct, kw_only=True):
    """The activity is recorded."""

    session_id: str
    status: Literal["active"] = "active"
    page_views: Count
    expires_at: Time


PublicQueueResponse = msgspec.defstruct(
    "PublicQueueResponse",
    public_fields(
        ("queue_length", Annotated[Count, Meta(description="People in line, a moment ago")]),
        (
            "estimated_wait_seconds",
            Annotated[Seconds, Meta(description="For somebody who joins now with priority 0")],
        ),
    ),
    module=__name__,
    namespace={"__doc__": "What anybody may know of a queue before joining it."},
    kw_only=True,
)
