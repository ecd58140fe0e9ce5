"""The rules of joining: what a visitor may ask the store for with its proofs, and how a join is refused.

A place belongs to the visitor that can prove it, and so does a priority. A position token, a pass that the
site has signed, and a call by the site itself are proofs. A user id in the request proves nothing.
"""

from collections.abc import Callable

import msgspec

from wr.model.client_address import limited_address
from wr.model.identities import (
    NO_ADDRESS,
    Scalar,
    address_digest,
    address_tag,
    client_digest,
    pass_digest,
    subject_digest,
)
from wr.model.ids import new_position_id
from wr.model.join_denials import AddressAtLimit, BlockedUntil, Denial, JoinDenied
from wr.model.limits import Usage
from wr.model.passes import Pass
from wr.model.places import Unserved
from wr.model.priorities import EntryRule
from wr.model.queue_settings import QueueConfig, UniqueBy
from wr.model.refusals import (
    Blocked,
    IdentityTaken,
    InvalidRequest,
    KeyReused,
    Maintenance,
    PassInvalid,
    PassRequired,
    QueueFull,
    Refusal,
    StoreFull,
    TooManyPlaces,
)
from wr.model.times import rfc3339
from wr.model.tokens import PositionProof
from wr.store.enqueue import IdentityKind, Join, Joined, PassUse

MAX_METADATA_BYTES = 4096
_REMEMBERED_MS = 3_600_000
"""How long a pass is remembered after it has expired, because the clocks of servers and store may differ."""
Metadata = dict[str, Scalar]


class JoiningVisitor(msgspec.Struct, frozen=True):
    """A visitor that asks for a place: what its request says, and what it proves."""

    address: str
    user_agent: str
    proof: PositionProof | None = None
    used_pass: Pass | None = None
    """A verified pass for the queue."""
    is_site: bool = False
    """Whether the site itself asks for the visitor, with its key."""
    keeps_token: bool = False
    """Whether the client says that it keeps the token and will show it. Then the place is given back to the
    token only."""
    retry: bytes = b""
    """Finds the place of an earlier attempt of the same join; empty if no `Idempotency-Key` was sent."""


def join_of(
    config: QueueConfig,
    visitor: JoiningVisitor,
    priority: int,
    metadata: Metadata,
    *,
    address_key: bytes,
    random_bytes: Callable[[int], bytes],
) -> Join:
    """Make the question to the store for a visitor that joins.

    Raises:
        InvalidRequest: the metadata is longer than 4 KiB.
    """
    given = visitor.used_pass
    person, kind, name = _identity(config, visitor, metadata)
    limited = limited_address(visitor.address)
    # A call by the site comes from the site's address, not the visitor's.
    address = b"" if visitor.is_site else address_tag(config.id, limited, address_key)
    is_counted = given is None and not visitor.is_site
    known = visitor.proof.claims if visitor.proof is not None else None
    return Join(
        new_id=new_position_id(random_bytes, address if is_counted else NO_ADDRESS),
        known_id=known.position_id if known is not None and known.queue_id == config.id else b"",
        priority=granted_priority(config, visitor, priority),
        subject=b"" if visitor.is_site else limited.encode(),
        person=person,
        metadata=_metadata_text(metadata),
        kind=kind,
        name=name,
        address=address,
        is_counted=is_counted,
        retry=visitor.retry,
        used_pass=None
        if given is None
        else PassUse(pass_digest(given.pass_id), given.uses, given.expires_s * 1000 + _REMEMBERED_MS),
    )


def holder_of(visitor: JoiningVisitor, join: Join, joined: Joined) -> bytes:
    """Tell what the token of a place in line says of its holder.

    That is the kind of identity, which says how the place is found again, and the identity's 16 bytes; empty
    for a place that only its token holds.
    """
    known = visitor.proof.claims if visitor.proof is not None else None
    if not joined.is_new and known is not None and known.priority == joined.priority:
        return known.holder
    if not join.person:
        return b""
    # A pass that raises a place leaves it with its token.
    kind = join.kind if joined.is_new or visitor.used_pass is None else IdentityKind.TOKEN
    return kind.value + join.person


def granted_priority(config: QueueConfig, visitor: JoiningVisitor, wished: int) -> int:
    """Tell the priority of a place: what the visitor asks for up to the queue's `open_priority`, above that
    only what it proves."""
    if visitor.is_site:
        return wished
    open_to_all = min(wished, config.open_priority)
    return open_to_all if visitor.used_pass is None else max(open_to_all, visitor.used_pass.priority)


def _identity(
    config: QueueConfig, visitor: JoiningVisitor, metadata: Metadata
) -> tuple[bytes, IdentityKind, bytes]:
    """Tell the digest of a visitor's identity, how it counts, and the digest of an identity that the visitor
    only claims."""
    user_id = metadata.get("user_id", "")
    if visitor.used_pass is not None:
        return subject_digest(visitor.used_pass.subject), IdentityKind.PROVED, b""
    if visitor.is_site:
        return subject_digest(user_id) if user_id != "" else b"", IdentityKind.PROVED, b""
    if config.entry is EntryRule.PASS:
        return b"", IdentityKind.NO_ENTRY, b""
    if config.unique_by is UniqueBy.IP:
        return address_digest(limited_address(visitor.address)), IdentityKind.TOKEN, b""
    # A page without a user sends an empty id. Its guests are not all the same visitor.
    if config.unique_by is UniqueBy.NONE or user_id == "":
        return b"", IdentityKind.OPEN, b""
    claimed = subject_digest(user_id)
    if config.unique_by is UniqueBy.USER_ID:
        return b"", IdentityKind.OPEN, claimed
    kind = IdentityKind.TOKEN if visitor.keeps_token else IdentityKind.OPEN
    return client_digest(user_id, visitor.address, visitor.user_agent), kind, claimed


def _metadata_text(metadata: Metadata) -> bytes:
    text = msgspec.json.encode(metadata) if metadata else b""
    if len(text) > MAX_METADATA_BYTES:
        raise InvalidRequest(f"metadata is longer than {MAX_METADATA_BYTES} bytes", field="metadata")
    return text


_PASS_INVALID = {
    "invalid": "The pass is not valid",
    "expired": "The pass has expired",
    "not_yet": "The pass is not valid yet",
    "other_queue": "The pass is for another queue",
    "used_up": "The pass has been used",
    "revoked": "The pass has been taken back",
}


def pass_invalid(reason: str, usage: Usage | None = None) -> PassInvalid:
    """The refusal of a pass. `reason` is a word that the answer names."""
    return PassInvalid(_PASS_INVALID[reason], usage=usage, reason=reason)


_REFUSALS: dict[Denial, tuple[type[Refusal], str]] = {
    Denial.LINE_FULL: (QueueFull, "The queue is at its maximum capacity"),
    Denial.LINE_CLOSED: (Maintenance, "The queue is in maintenance and takes no new visitors"),
    Denial.NO_MEMORY: (
        StoreFull,
        "The waiting room has no memory for more places just now; those that are held are kept",
    ),
    Denial.IDENTITY_HELD: (IdentityTaken, "A place is held under this identity already"),
    Denial.OTHER_JOIN: (KeyReused, "This Idempotency-Key was used for another join"),
    Denial.PASS_MISSING: (PassRequired, "This queue takes visitors with a pass only"),
}


def join_refusal(denied: JoinDenied, queue_id: str, usage: Usage | None) -> Refusal | None:
    """Make a refusal of a join that gave no place; None if the store did not look at the join at all."""
    if isinstance(denied, Unserved):
        return None
    if isinstance(denied, AddressAtLimit):
        return TooManyPlaces(
            f"Your network holds as many places in this line as one may: {denied.most}",
            usage=usage,
            most=denied.most,
        )
    if isinstance(denied, BlockedUntil):
        return Blocked(
            "You cannot join this queue for now", usage=usage, blocked_until=rfc3339(denied.until_ms)
        )
    if denied is Denial.PASS_USED_UP:
        return pass_invalid("used_up", usage)
    if denied is Denial.PASS_REVOKED:
        return pass_invalid("revoked", usage)
    refusal, message = _REFUSALS[denied]
    return refusal(message, usage=usage, queue_id=queue_id)
