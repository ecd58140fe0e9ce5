"""Messages of a visitor's live stream, over a WebSocket or server-sent events (contract: WebSocket API)."""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from wr.api.field_types import HeldStatus, Recovering
from wr.api.visitors.messages import HeartbeatRequest


class PositionUpdateEventData(msgspec.Struct, kw_only=True):
    """Where somebody in line stands."""

    position: int
    queue_length: int
    estimated_wait_seconds: int
    heartbeat_timeout_seconds: (
        Annotated[int, Meta(description="In the first update of a stream, and whenever it has changed since")]
        | UnsetType
    ) = UNSET
    queue_status: HeldStatus | UnsetType = UNSET
    recovering: Recovering | UnsetType = UNSET


class PositionUpdateEvent(msgspec.Struct, kw_only=True):
    """Somebody in line has moved."""

    type: Literal["position_update"] = "position_update"
    data: PositionUpdateEventData


class TokenEventData(msgspec.Struct, kw_only=True):
    """A fresh position token, and when its time is over."""

    token: str
    expires_at: str


class TokenEvent(msgspec.Struct, kw_only=True):
    """A fresh position token, sent when half the time of the last one is over. It may be overlooked."""

    type: Literal["token"] = "token"
    data: TokenEventData


class AdmittedEventData(msgspec.Struct, kw_only=True):
    """The way in."""

    session_id: str
    session_token: str
    redirect_url: str


class AdmittedEvent(msgspec.Struct, kw_only=True):
    """Somebody has been let in; nothing more will come."""

    type: Literal["admitted"] = "admitted"
    data: AdmittedEventData


class ExpiredEventData(msgspec.Struct, kw_only=True):
    """Why a place is over."""

    reason: Annotated[str, Meta(examples=["heartbeat_timeout"])]


class ExpiredEvent(msgspec.Struct, kw_only=True):
    """A place is over; nothing more will come."""

    type: Literal["expired"] = "expired"
    data: ExpiredEventData


class ClientHeartbeat(msgspec.Struct, kw_only=True, tag_field="type", tag="heartbeat"):
    """What a client may say on a WebSocket: that it is there."""

    data: HeartbeatRequest | UnsetType = UNSET
