"""Blocks: visitors and addresses that may not join a queue for a while: `block.lua`, and the list of them."""

from collections.abc import Sequence
from typing import cast

import msgspec
import redis

from wr.store.connection import Connection
from wr.store.key_names import KeyNames
from wr.store.script import Script, ScriptCall, load_script

_PARTS = ("config", "extras", "sessions", "blocks", "block_notes")
MOST_LISTED = 1_000


class BlockNote(msgspec.Struct, frozen=True, kw_only=True):
    """What the store keeps of a block, besides its member and its end."""

    created_ms: int
    reason: str
    of: str
    """What the operator or the site named: the id of a session or of a pass, an address, or a user id."""
    operator: str = ""


class Block(msgspec.Struct, frozen=True):
    """One block. `member` says who may not join: `a` and an address tag, `p` and an identity digest, or `i`
    and the id of a place."""

    member: bytes
    until_ms: int
    note: BlockNote


class Blocking(msgspec.Struct, frozen=True, kw_only=True):
    """What to block: the holder of a place, further members, or both."""

    until_ms: int
    note: BlockNote
    position_id: bytes = b""
    is_person: bool = False
    """Whether the person that holds the place is blocked."""
    is_address: bool = False
    """Whether the address that took the place is blocked."""
    is_session: bool = False
    """Whether to block only if the place is an active session."""
    members: Sequence[bytes] = ()


def address_member(tag: bytes) -> bytes:
    """Spell the member that blocks an address."""
    return b"a" + tag


def subject_member(digest: bytes) -> bytes:
    """Spell the member that blocks an identity: the `sub` of a pass, or a user id."""
    return b"p" + digest


class BlockScript:
    """Calls of `block.lua`."""

    script: Script[tuple[int, list[bytes]]] = load_script("block")

    def __init__(self, keys: KeyNames) -> None:
        self._keys = keys

    def call(self, queue_id: str, now_ms: int, blocking: Blocking) -> ScriptCall:
        """Spell KEYS and ARGV for one block."""
        return self._keys.queue(queue_id, *_PARTS), [
            now_ms,
            blocking.until_ms,
            msgspec.json.encode(blocking.note),
            blocking.position_id,
            int(blocking.is_person),
            int(blocking.is_address),
            int(blocking.is_session),
            *blocking.members,
        ]

    def reply(self, raw: tuple[int, list[bytes]]) -> list[bytes] | None:
        """Read the reply: the members that are blocked now; None if there is no such queue."""
        exists, members = raw
        return members if exists else None


class Blocks:
    """Adds blocks, lists them, and ends them."""

    def __init__(self, connection: Connection, keys: KeyNames) -> None:
        self._connection = connection
        self._keys = keys
        self._block = BlockScript(keys)

    async def add(self, queue_id: str, now_ms: int, blocking: Blocking) -> list[bytes] | None:
        """Block; returns the members that are blocked now, None if there is no such queue. One round trip.

        Call this before the place is ended: the store forgets the identity of its holder then.
        """
        call = self._block.call(queue_id, now_ms, blocking)
        return self._block.reply(await self._connection.call(self._block.script, *call))

    async def list(self, queue_id: str, now_ms: int) -> list[Block]:
        """List the blocks of a queue that have not ended, the last to end first; 1,000 at most."""
        ends, notes = self._keys.queue(queue_id, "blocks", "block_notes")

        def read(client: redis.Redis) -> list[Block]:
            ranged = client.zrevrangebyscore(
                ends, "+inf", f"({now_ms}", start=0, num=MOST_LISTED, withscores=True
            )
            found = cast("list[tuple[bytes, float]]", ranged)
            if not found:
                return []
            noted = cast("list[bytes | None]", client.hmget(notes, [member for member, _ in found]))
            return [
                Block(member, int(until_ms), msgspec.json.decode(note, type=BlockNote))
                for (member, until_ms), note in zip(found, noted, strict=True)
                if note is not None
            ]

        return await self._connection.run(ends, read)

    async def end(self, queue_id: str, member: bytes) -> bool:
        """End a block; False if there is no block of that member."""
        ends, notes = self._keys.queue(queue_id, "blocks", "block_notes")

        def remove(client: redis.Redis) -> bool:
            removed = bool(client.zrem(ends, member))
            client.hdel(notes, member)
            return removed

        return await self._connection.run(ends, remove)
