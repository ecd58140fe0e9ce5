"""Messages with which operators issue and revoke passes."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from wr.api.blocks.messages import Reason
from wr.api.field_types import Count, Time
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
            description="The visitor that holds the pass, with one place in line for each. Of several, each "
            "gets a number behind it; left out, each gets a name of its own",
            examples=["user-123"],
        ),
    ] = ""
    priority: Annotated[int, Meta(ge=0, le=HIGHEST_PRIORITY)] = 0
    uses: Annotated[
        int,
        Meta(
            ge=0, le=1_000_000, description="How many places each gives, one after the other; 0: any number"
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
            description="The number behind the first subject, for a call that continues an earlier one; 0: "
            "numbers begin at 1, and a single subject has none",
        ),
    ] = 0


class IssuedPassResponse(msgspec.Struct, kw_only=True):
    """A pass of this waiting room."""

    pass_id: PassId
    subject: str
    pass_: Annotated[str, Meta(description="What a visitor brings as `X-WR-Pass`")] = msgspec.field(
        name="pass"
    )
    link: Annotated[str, Meta(description="The waiting page, with the pass: an invitation")]


class IssuedPassesResponse(msgspec.Struct, kw_only=True):
    """Passes that were signed. They are told only now."""

    queue_id: str
    priority: int
    uses: int
    expires_at: Time
    passes: list[IssuedPassResponse]


class RevokePassRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The pass to take back: as a whole, or by its id."""

    pass_: Annotated[str, Meta(max_length=4096)] = msgspec.field(default="", name="pass")
    pass_id: PassId = ""
    reason: Reason = "revoked"
    block_for: BlockFor = 0
    block: BlockedScope = BlockScope.PERSON


class RevokedPassResponse(msgspec.Struct, kw_only=True):
    """The pass gives no place any more."""

    queue_id: str
    pass_id: PassId
    status: Literal["revoked"] = "revoked"
    uses: Annotated[Count, Meta(description="Places that it had given")]
    place_ended: Annotated[
        bool, Meta(description="Whether the place or session that it gave last was ended now")
    ]
