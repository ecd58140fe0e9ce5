"""Messages of a visitor's live stream, over a WebSocket or server-sent events (contract: WebSocket API)."""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from wr.api.field_types import HeldStatus, Recovering
from wr.api.visitors.messages import HeartbeatRequest


class PositionUpdateEventData(msgspec.Struct, kw_only=True):
    """The position of a visitor in line."""

    position: int
    queue_length: int
    estimated_wait_seconds: int
    heartbeat_timeout_seconds: (
        Annotated[int, Meta(description="Sent in the first update of a stream, and when it has changed")]
        | UnsetType
    ) = UNSET
    queue_status: HeldStatus | UnsetType = UNSET
    recovering: Recovering | UnsetType = UNSET


class PositionUpdateEvent(msgspec.Struct, kw_only=True):
    """The position of the visitor, sent when it changes."""

    type: Literal["position_update"] = "position_update"
    data: PositionUpdateEventData


class TokenEventData(msgspec.Struct, kw_only=True):
    """A new position token, and when it expires."""

    token: str
    expires_at: str


class TokenEvent(msgspec.Struct, kw_only=True):
    """A new position token, sent when half the lifetime of the last one is over. Clients may ignore it."""

    type: Literal["token"] = "token"
    data: TokenEventData


class AdmittedEventData(msgspec.Struct, kw_only=True):
    """The session of an admitted visitor, and where to go."""

    session_id: str
    session_token: str
    redirect_url: str


class AdmittedEvent(msgspec.Struct, kw_only=True):
    """The visitor is admitted. This is the last event."""

    type: Literal["admitted"] = "admitted"
    data: AdmittedEventData


class ExpiredEventData(msgspec.Struct, kw_only=True):
    """Why the place has ended."""

    reason: Annotated[str, Meta(examples=["heartbeat_timeout"])]


class ExpiredEvent(msgspec.Struct, kw_only=True):
    """The place has ended. This is the last event."""

    type: Literal["expired"] = "expired"
    data: ExpiredEventData


class ClientHeartbeat(msgspec.Struct, kw_only=True, tag_field="type", tag="heartbeat"):
    """A heartbeat that a client sends over a WebSocket."""

    data: HeartbeatRequest | UnsetType = UNSET
