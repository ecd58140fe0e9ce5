"""Request and response bodies for visitors (contract: Enqueue to Session Activity)."""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from wr.api.field_types import Count, HeldStatus, Recovering, Seconds, Time, Timestamp, Uuid
from wr.api.setting_fields import public_fields

_KEPT = Meta(description="Left out if the client sent `X-WR-Token: cookie`: then it is in a cookie")


class EnqueueRequest(msgspec.Struct, kw_only=True):
    """A request to join. All fields may be left out."""

    priority: Annotated[int, Meta(ge=0, le=3)] = 0
    metadata: dict[str, str | int | float | bool] = {}
    pass_: Annotated[
        str,
        Meta(max_length=4096, description="A pass of the site, if it is not sent as `X-WR-Pass`"),
    ] = msgspec.field(default="", name="pass")


class EnqueueResponse(msgspec.Struct, kw_only=True):
    """A place in line. If the visitor is already admitted, also the session and where to go."""

    position_id: Uuid
    queue_id: str
    position: int
    queue_length: int
    estimated_wait_seconds: int
    priority: Annotated[
        int,
        Meta(description="Priority of the place. It is lower than requested if the request needs a pass"),
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
    """The position of a visitor in line."""

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
    """The session of an admitted visitor, and where to go."""

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
    """A heartbeat. All fields may be left out."""

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
    """The visitor is admitted and needs no more heartbeats: the session, and where to go."""

    position_id: Uuid
    status: Literal["admitted"] = "admitted"
    session_id: str
    session_token: str
    redirect_url: str


class CancelResponse(msgspec.Struct, kw_only=True):
    """The place is cancelled."""

    position_id: Uuid
    status: Literal["cancelled"] = "cancelled"
    cancelled_at: Time


class EndSessionResponse(msgspec.Struct, kw_only=True):
    """The visitor has ended the session."""

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
    """An activity of a visitor. The action `page_view` counts as a page view."""

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
        ("queue_length", Annotated[Count, Meta(description="Visitors in line, a moment ago")]),
        (
            "estimated_wait_seconds",
            Annotated[Seconds, Meta(description="For a visitor who joins now with priority 0")],
        ),
    ),
    module=__name__,
    namespace={"__doc__": "The public facts about a queue, which need no token."},
    kw_only=True,
)
