"""Blocks: visitors and addresses that may not join a queue for a while: `block.lua`, and the list of them."""

from collections.abc import Sequence
from typing import Any

import msgspec
import redis

from wr.store.connection import Connection
from wr.store.key_names import KeyNames
from wr.store.script import load_script

_BLOCK = load_script("block")
_PARTS = ("config", "extras", "sessions", "blocks", "block_notes")
MOST_LISTED = 1_000


class BlockNote(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of a block beside whom it is of and when it ends."""

    created_ms: int
    reason: str
    of: str
    """What the operator or the site named: the id of a session or of a pass, an address, a user id."""
    operator: str = ""


class Block(msgspec.Struct, frozen=True):
    """One block: `member` is whom it keeps out, as the store spells it: `a` and an address tag, `p` and an
    identity digest, or `i` and the id of a place."""

    member: bytes
    until_ms: int
    note: BlockNote


class Blocking(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to block: the holder of a place, further members, or both."""

    until_ms: int
    note: BlockNote
    position_id: bytes = b""
    is_person: bool = False
    """Whether the person that holds the place is blocked."""
    is_address: bool = False
    """Whether the address that took the place is blocked."""
    is_session: bool = False
    """Whether either is blocked only if the place is a session that is on."""
    members: Sequence[bytes] = ()


def address_member(tag: bytes) -> bytes:
    """Spell the member that blocks an address."""
    return b"a" + tag


def subject_member(digest: bytes) -> bytes:
    """Spell the member that blocks an identity: the `sub` of a pass, or a user id."""
    return b"p" + digest


class Blocks:
    """Adds blocks, lists them, and ends them."""

    def __init__(self, connection: Connection, keys: KeyNames) -> None:
        self._connection = connection
        self._keys = keys

    async def add(self, queue_id: str, now_ms: int, blocking: Blocking) -> list[bytes] | None:
        """Block; returns the members that are blocked now, None when there is no such queue. One round trip.

        To be called before a place is ended: its identity is forgotten with it.
        """
        arguments: list[Any] = [
            now_ms,
            blocking.until_ms,
            msgspec.json.encode(blocking.note),
            blocking.position_id,
            int(blocking.is_person),
            int(blocking.is_address),
            int(blocking.is_session),
            *blocking.members,
        ]
        exists, members = await self._connection.call(_BLOCK, self._keys.queue(queue_id, *_PARTS), arguments)
        return list(members) if exists else None

    async def list(self, queue_id: str, now_ms: int) -> list[Block]:
        """List the blocks of a queue that are not over, those that end last first; 1,000 at most."""
        ends, notes = self._keys.queue(queue_id, "blocks", "block_notes")

        def read(client: redis.Redis) -> Any:
            found: Any = client.zrevrangebyscore(
                ends, "+inf", f"({now_ms}", start=0, num=MOST_LISTED, withscores=True
            )
            return found, client.hmget(notes, [member for member, _ in found]) if found else []

        found, noted = await self._connection.run(ends, read)
        return [
            Block(member, int(until_ms), msgspec.json.decode(note, type=BlockNote))
            for (member, until_ms), note in zip(found, noted, strict=True)
            if note is not None
        ]

    async def end(self, queue_id: str, member: bytes) -> bool:
        """End a block; False when there is none of that member."""
        ends, notes = self._keys.queue(queue_id, "blocks", "block_notes")

        def remove(client: Any) -> Any:
            removed = client.zrem(ends, member)
            client.hdel(notes, member)
            return removed

        return bool(await self._connection.run(ends, remove))
