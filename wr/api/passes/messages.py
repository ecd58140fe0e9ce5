"""Request and response bodies for issuing and revoking passes."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from wr.api.field_types import Count, Reason, Time
from wr.api.operators.session_messages import BlockedScope, BlockFor
from wr.model.priorities import HIGHEST_PRIORITY
from wr.room.blocks import BlockScope
from wr.room.passes import MOST_AT_ONCE
from wr.room.signing_keys import LONGEST_PASS_S

PassId = Annotated[str, Meta(max_length=256, description="The pass's `jti`")]


class IssuePassesRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Passes to sign."""

    subject: Annotated[
        str,
        Meta(
            max_length=200,
            description="The visitor who holds the pass. Each subject gets one place in line. With `count`, "
            "a number is appended for each pass. If left out, each pass gets a random subject",
            examples=["user-123"],
        ),
    ] = ""
    priority: Annotated[int, Meta(ge=0, le=HIGHEST_PRIORITY)] = 0
    uses: Annotated[
        int,
        Meta(
            ge=0,
            le=1_000_000,
            description="How many places each pass gives, one after the other. 0: any number",
        ),
    ] = 1
    expires_in: Annotated[int, Meta(ge=1, le=LONGEST_PASS_S, description="Seconds until they expire")] = (
        86_400
    )
    count: Annotated[int, Meta(ge=1, le=MOST_AT_ONCE, description="How many to sign")] = 1
    first_number: Annotated[
        int,
        Meta(
            ge=0,
            le=1_000_000_000,
            description="The number appended to the first subject, to continue an earlier call. 0: numbers "
            "begin at 1, and a single subject gets no number",
        ),
    ] = 0


class IssuedPassResponse(msgspec.Struct, kw_only=True):
    """A pass of this waiting room."""

    pass_id: PassId
    subject: str
    pass_: Annotated[str, Meta(description="The value for `X-WR-Pass`")] = msgspec.field(name="pass")
    link: Annotated[str, Meta(description="URL of the waiting page with the pass, for an invitation")]


class IssuedPassesResponse(msgspec.Struct, kw_only=True):
    """New passes. They are shown only in this response."""

    queue_id: str
    priority: int
    uses: int
    expires_at: Time
    passes: list[IssuedPassResponse]


class RevokePassRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The pass to revoke: the pass itself, or its id."""

    pass_: Annotated[str, Meta(max_length=4096)] = msgspec.field(default="", name="pass")
    pass_id: PassId = ""
    reason: Reason = "revoked"
    block_for: BlockFor = 0
    block: BlockedScope = BlockScope.PERSON


class RevokedPassResponse(msgspec.Struct, kw_only=True):
    """The pass is revoked and gives no more places."""

    queue_id: str
    pass_id: PassId
    status: Literal["revoked"] = "revoked"
    uses: Annotated[Count, Meta(description="Number of places that the pass gave")]
    place_ended: Annotated[
        bool, Meta(description="Whether the revocation ended the last place or session of the pass")
    ]
