"""Why a join gave no place. The API turns each into a refusal; see `wr.room.join_rules`."""

from enum import Enum

import msgspec

from wr.model.places import Unserved


class Denial(Enum):
    """Why a visitor got no place, where one word says it all."""

    LINE_FULL = "line_full"
    """The line is as long as it may be."""
    LINE_CLOSED = "line_closed"
    """The queue is in maintenance."""
    NO_MEMORY = "no_memory"
    """The store has no memory for another place."""
    IDENTITY_HELD = "identity_held"
    """Another visitor holds a place under the identity that this one names."""
    OTHER_JOIN = "other_join"
    """The `Idempotency-Key` of the join was used before, for a join that asked for something else."""
    PASS_MISSING = "pass_missing"  # noqa: S105 - no password
    """The queue takes only visitors that bring a pass."""
    PASS_USED_UP = "pass_used_up"  # noqa: S105 - no password
    """The pass has given as many places as it may."""
    PASS_REVOKED = "pass_revoked"  # noqa: S105 - no password
    """The pass was revoked."""


class AddressAtLimit(msgspec.Struct, frozen=True):
    """The visitor's address holds as many places as it may: `most`."""

    most: int


class BlockedUntil(msgspec.Struct, frozen=True):
    """The visitor or its address is blocked until then, in milliseconds since 1970."""

    until_ms: int


JoinDenied = Denial | AddressAtLimit | BlockedUntil | Unserved
"""Why a join gave no place."""
