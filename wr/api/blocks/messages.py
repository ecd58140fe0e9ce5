"""Request and response bodies for blocking visitors, listing blocks and ending them."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from wr.api.field_types import Reason, Time
from wr.room.blocks import LONGEST_BLOCK_S


class BlockRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """An address, a user id, or both, to block."""

    address: Annotated[str, Meta(max_length=64, examples=["203.0.113.9"])] = ""
    user_id: Annotated[
        str, Meta(max_length=256, description="The `sub` of passes, or the user id of calls by the site")
    ] = ""
    block_for: Annotated[int, Meta(ge=1, le=LONGEST_BLOCK_S, description="Seconds")] = 3600
    reason: Reason = "blocked"


class BlockResponse(msgspec.Struct, kw_only=True):
    """A visitor or an address that may not join the queue for now."""

    id: str
    scope: Annotated[Literal["person", "address"], Meta(description="What is blocked")]
    of: Annotated[str, Meta(description="How it was named: a session, a pass, an address or a user id")]
    reason: str
    operator: Annotated[str, Meta(description="The name in X-Operator; empty when none was given")]
    created_at: Time
    blocked_until: Time


class BlockListResponse(msgspec.Struct, kw_only=True):
    """Blocks of a queue. Those that end last come first. At most 1,000."""

    queue_id: str
    blocks: list[BlockResponse]


class BlockEndedResponse(msgspec.Struct, kw_only=True):
    """The block has ended."""

    id: str
    status: Literal["ended"] = "ended"
