"""Blocks: operators and the site keep a visitor, an address or both out of a queue for a while."""

from enum import StrEnum

import msgspec

from wr.model.audit import Action, Actor
from wr.model.client_address import canonical_address, limited_address
from wr.model.identities import address_tag, subject_digest
from wr.model.refusals import InvalidRequest, NotFound
from wr.room.audit_trail import AuditTrail
from wr.room.queue_cache import QueueCache, no_such_queue
from wr.room.signing_keys import SigningKeys
from wr.store.block import Block, Blocking, BlockNote, address_member, subject_member
from wr.store.store import Store

LONGEST_BLOCK_S = 366 * 24 * 3600


class BlockScope(StrEnum):
    """What of a visitor is blocked."""

    PERSON = "person"
    """The place, and the identity that holds it: the `sub` of a pass, or a user id."""
    ADDRESS = "address"
    """The address that took the place (its /64 for IPv6)."""
    BOTH = "both"


class BlockTerms(msgspec.Struct, frozen=True):
    """For how many seconds to block what of a visitor; 0 seconds is no block."""

    seconds: int = 0
    scope: BlockScope = BlockScope.BOTH


NO_BLOCK = BlockTerms()


class BlockService:
    """Use cases of operators and of the site around blocks. All raise `Unavailable` if the store is away.

    A block keeps its visitor from joining. It ends no place and no session. Changes take the actor, and are
    recorded in the audit trail once they are made.
    """

    def __init__(self, store: Store, signing_keys: SigningKeys, queue_cache: QueueCache) -> None:
        self._store = store
        self._signing_keys = signing_keys
        self._queue_cache = queue_cache
        self._audit = AuditTrail(store)

    async def block_holder(
        self,
        actor: Actor,
        queue_id: str,
        position_id: bytes,
        wish: BlockTerms,
        *,
        of: str,
        reason: str,
        is_session: bool = True,
    ) -> int | None:
        """Block the holder of a session, or of any place if `is_session` is False.

        Returns when the block ends, in milliseconds since 1970; None if nothing was blocked, because of 0
        seconds or because there is no active session. Call it before the place is ended: the store forgets
        the identity of its holder then. `of` is how the caller named the place.

        Raises:
            NotFound: there is no such queue.
        """
        if not wish.seconds:
            return None
        now_ms = await self._store.clock_ms()
        blocking = Blocking(
            until_ms=now_ms + wish.seconds * 1000,
            note=BlockNote(created_ms=now_ms, reason=reason, of=of, operator=actor.operator),
            position_id=position_id,
            is_person=wish.scope is not BlockScope.ADDRESS,
            is_address=wish.scope is not BlockScope.PERSON,
            is_session=is_session,
        )
        return blocking.until_ms if await self._add(actor, queue_id, now_ms, blocking) else None

    async def block(
        self, actor: Actor, queue_id: str, seconds: int, *, address: str, user_id: str, reason: str
    ) -> list[Block]:
        """Block an address, a user id, or both; an empty one is left out.

        Raises:
            NotFound: there is no such queue.
            InvalidRequest: neither is given, or the address is not valid.
        """
        members = []
        if address:
            known = canonical_address(address)
            if known is None:
                raise InvalidRequest("address is no IPv4 or IPv6 address", field="address")
            address = limited_address(known)
            members.append(address_member(address_tag(queue_id, address, self._signing_keys.address_key)))
        if user_id:
            members.append(subject_member(subject_digest(user_id)))
        if not members:
            raise InvalidRequest("Name an address, a user_id, or both", field="address")
        now_ms = await self._store.clock_ms()
        named = ", ".join(part for part in (address, user_id) if part)
        note = BlockNote(created_ms=now_ms, reason=reason, of=named, operator=actor.operator)
        until_ms = now_ms + seconds * 1000
        blocked = await self._add(
            actor, queue_id, now_ms, Blocking(until_ms=until_ms, note=note, members=members)
        )
        return [Block(member, until_ms, note) for member in blocked]

    async def all(self, queue_id: str) -> list[Block]:
        """List the blocks of a queue that have not ended, the last to end first; 1,000 at most.

        Raises:
            NotFound: there is no such queue.
        """
        await self._queue_cache.reload(queue_id)
        return await self._store.blocks.list(queue_id, await self._store.clock_ms())

    async def end(self, actor: Actor, queue_id: str, block_id: str) -> None:
        """End a block.

        Raises:
            NotFound: there is no such block.
        """
        async with self._audit.recording(actor, Action.BLOCK_ENDED, queue_id) as draft:
            member = parse_block_id(block_id)
            if member is None or not await self._store.blocks.end(queue_id, member):
                raise NotFound("There is no such block", block_id=block_id)
            draft.made(facts={"block_id": block_id})

    async def _add(self, actor: Actor, queue_id: str, now_ms: int, blocking: Blocking) -> list[bytes]:
        async with self._audit.recording(actor, Action.VISITOR_BLOCKED, queue_id) as draft:
            members = await self._store.blocks.add(queue_id, now_ms, blocking)
            if members is None:
                raise no_such_queue(queue_id)
            note = blocking.note
            seconds = (blocking.until_ms - now_ms) // 1000
            facts: dict[str, str | int] = {"of": note.of, "reason": note.reason, "seconds": seconds}
            if members:
                draft.made(facts={**facts, "blocks": [block_id(member) for member in members]})
        return members


def block_id(member: bytes) -> str:
    """Spell the id of a block: its kind, and what it blocks in hexadecimal."""
    return f"{member[:1].decode()}-{member[1:].hex()}"


def parse_block_id(text: str) -> bytes | None:
    """Read the id of a block; None if it is not one."""
    kind, _, rest = text.partition("-")
    length = {"a": 4, "p": 16, "i": 16}.get(kind)
    try:
        raw = bytes.fromhex(rest)
    except ValueError:
        return None
    return kind.encode() + raw if len(raw) == length else None


def block_scope(block: Block) -> BlockScope:
    """Tell whether a block is of an address or of a person."""
    return BlockScope.ADDRESS if block.member.startswith(b"a") else BlockScope.PERSON
