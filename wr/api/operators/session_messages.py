"""Request and response bodies for terminating a session and blocking its visitor."""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from wr.api.field_types import Reason, Time
from wr.room.blocks import LONGEST_BLOCK_S, BlockScope

BlockFor = Annotated[
    int,
    Meta(ge=0, le=LONGEST_BLOCK_S, description="Seconds for which the visitor may not join this queue again"),
]
BlockedScope = Annotated[
    BlockScope,
    Meta(
        description="What is blocked: the person (the place, and the identity that holds it), the address "
        "(for IPv6 its /64), or both"
    ),
]


class TerminateRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The reason for terminating a session, and how long its visitor is blocked. May be left out."""

    reason: Reason = "terminated"
    block_for: BlockFor = 0
    block: BlockedScope = BlockScope.BOTH


class TerminateResponse(msgspec.Struct, kw_only=True):
    """The session is terminated."""

    session_id: str
    status: Literal["terminated"] = "terminated"
    terminated_at: Time
    reason: str
    blocked_until: Annotated[Time, Meta(description="Left out if nothing is blocked")] | UnsetType = UNSET
