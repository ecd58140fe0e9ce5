"""Request and response bodies of the gate."""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from wr.api.field_types import Time
from wr.api.operators.session_messages import BlockedScope, BlockFor
from wr.model.queue_settings import WEEK_S
from wr.room.blocks import BlockScope


class SessionCommandRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The site's command about a session: end it, extend it, or revoke it."""

    command: Literal["end", "extend", "revoke"]
    seconds: Annotated[
        int,
        Meta(ge=1, le=WEEK_S, description="For `extend`: how long the session lasts from now, in seconds"),
    ] = 600
    block_for: BlockFor = 0
    block: BlockedScope = BlockScope.BOTH


class SessionCommandResponse(msgspec.Struct, kw_only=True):
    """The command is executed."""

    session_id: str
    command: Literal["end", "extend", "revoke"]
    expires_at: Annotated[Time, Meta(description="When the session ends, or has ended")]
    session_token: (
        Annotated[str, Meta(description="For `extend`: a new token of the session, with its new end")]
        | UnsetType
    ) = UNSET
