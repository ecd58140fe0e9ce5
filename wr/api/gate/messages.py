"""What goes over the wire at the gate."""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from wr.api.field_types import Time
from wr.api.operators.session_messages import BlockedScope, BlockFor
from wr.model.queue import WEEK_S
from wr.room.blocks import BlockScope


class SessionCommandRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What the site says of a session: its visitor has finished, needs more time, or is to go."""

    command: Literal["end", "extend", "revoke"]
    seconds: Annotated[
        int, Meta(ge=1, le=WEEK_S, description="For `extend`: how long the session lasts from now")
    ] = 600
    block_for: BlockFor = 0
    block: BlockedScope = BlockScope.BOTH


class SessionCommandResponse(msgspec.Struct, kw_only=True):
    """What the site said is done."""

    session_id: str
    command: Literal["end", "extend", "revoke"]
    expires_at: Annotated[Time, Meta(description="When the session ends, or has ended")]
    session_token: (
        Annotated[str, Meta(description="For `extend`: the session's token from now on, with its new end")]
        | UnsetType
    ) = UNSET
