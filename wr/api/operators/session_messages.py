"""Messages with which operators end a session and keep its visitor out."""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from wr.api.field_types import Time
from wr.room.blocks import LONGEST_BLOCK_S, BlockScope

BlockFor = Annotated[
    int,
    Meta(ge=0, le=LONGEST_BLOCK_S, description="Seconds for which the visitor may not join this queue again"),
]
BlockedScope = Annotated[
    BlockScope,
    Meta(
        description="What is blocked: the person (the place, and the identity that holds it), the address "
        "(of IPv6 its /64), or both"
    ),
]


class TerminateRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Why a session is terminated, and for how long its visitor is kept out; may be left out."""

    reason: Annotated[str, Meta(max_length=200, examples=["abuse_detected"])] = "terminated"
    block_for: BlockFor = 0
    block: BlockedScope = BlockScope.BOTH


class TerminateResponse(msgspec.Struct, kw_only=True):
    """The session has ended."""

    session_id: str
    status: Literal["terminated"] = "terminated"
    terminated_at: Time
    reason: str
    blocked_until: Annotated[Time, Meta(description="Left out where nothing is blocked")] | UnsetType = UNSET
