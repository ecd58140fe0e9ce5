"""Deliveries that were given up: a bounded list for each webhook, so that one cannot push out another's."""

from collections.abc import Sequence
from typing import cast

import msgspec
import redis
import structlog
from redis.typing import EncodableT, FieldT

from wr.model.webhooks import MOST_WEBHOOKS, DeadLetter
from wr.store.audit_repository import StreamEntry
from wr.store.connection import Connection
from wr.store.key_names import KeyNames

log = structlog.get_logger("wr.store")

MOST_DEAD_LETTERS = 1_000
"""How many are kept of each webhook, the newest: less than 1 MB of the store."""
_MOST_OWNERS = 2 * MOST_WEBHOOKS
"""How many webhooks have letters: all that exist, and those that were deleted last."""
_LETTER = b"letter"


class KeptLetter(msgspec.Struct, frozen=True):
    """A dead letter and its id: `<milliseconds>-<number>.<id of the webhook>`."""

    id: str
    letter: DeadLetter


class DeadLetters:
    """Reads and writes dead letters. All methods raise `Unavailable` if the store is away."""

    def __init__(self, connection: Connection, keys: KeyNames, most: int = MOST_DEAD_LETTERS) -> None:
        self._connection = connection
        self._keys = keys
        self._webhooks = keys.shared("webhooks")
        self._owners = keys.shared("dead_letters")
        """The ids of webhooks with letters, by when their last delivery was given up."""
        self._most = most

    async def bury(self, dead_letters: Sequence[DeadLetter]) -> int:
        """Write deliveries that were given up; returns how many older ones were deleted to make room.

        One round trip. Three if there are letters of too many webhooks, some of which were deleted.
        """

        def append(client: redis.Redis) -> int:
            # No transaction is needed: each server counts the letters that it cuts off.
            with client.pipeline(transaction=False) as pipeline:
                for letter in dead_letters:
                    fields: dict[FieldT, EncodableT] = {_LETTER: msgspec.json.encode(letter)}
                    pipeline.xadd(self._list_of(letter.webhook_id), fields)
                    pipeline.zadd(self._owners, {letter.webhook_id: letter.died_ms})
                pipeline.zcard(self._owners)
                for webhook_id in {letter.webhook_id for letter in dead_letters}:
                    pipeline.xtrim(self._list_of(webhook_id), maxlen=self._most, approximate=False)
                replies: list[int] = pipeline.execute()[2 * len(dead_letters) :]
            owners, *cut = replies
            return sum(cut) + (self._forget_the_gone(client) if owners > _MOST_OWNERS else 0)

        return await self._connection.run(self._owners, append)

    async def newest(self, webhook_id: str = "") -> Sequence[KeptLetter]:
        """Read the newest dead letters, newest first, of one webhook or of all; 1,000 at most.

        Letters that cannot be read are left out and logged. Two round trips.
        """

        def read(client: redis.Redis) -> list[tuple[str, list[StreamEntry]]]:
            names = [webhook_id]
            if not webhook_id:
                owners = cast("list[bytes]", client.zrange(self._owners, 0, -1))
                names = [owner.decode() for owner in owners]
            with client.pipeline(transaction=False) as pipeline:
                for name in names:
                    pipeline.xrevrange(self._list_of(name), count=self._most)
                return list(zip(names, pipeline.execute() if names else [], strict=True))

        found = []
        for name, entries in await self._connection.run(self._owners, read):
            found += [(_order(entry_id), entry_id, fields, name) for entry_id, fields in entries]
        found.sort(key=lambda each: each[0], reverse=True)
        kept = (_kept(entry_id, fields, name) for _, entry_id, fields, name in found[: self._most])
        return [letter for letter in kept if letter is not None]

    async def find(self, letter_id: str) -> DeadLetter | None:
        """Read one dead letter; None if there is none of that id. One round trip."""
        place = _place(letter_id)
        if place is None:
            return None
        entry_id, webhook_id = place
        key = self._list_of(webhook_id)

        def read(client: redis.Redis) -> list[StreamEntry]:
            return cast("list[StreamEntry]", client.xrange(key, entry_id, entry_id))

        for found_id, fields in await self._connection.run(key, read):
            kept = _kept(found_id, fields, webhook_id)
            return None if kept is None else kept.letter
        return None

    async def remove(self, letter_id: str) -> bool:
        """Delete a dead letter. If several callers do so at once, one gets True. One round trip."""
        place = _place(letter_id)
        if place is None:
            return False
        entry_id, webhook_id = place
        key = self._list_of(webhook_id)
        return bool(await self._connection.run(key, lambda client: client.xdel(key, entry_id)))

    def _list_of(self, webhook_id: str) -> str:
        return self._keys.shared(f"dead_letters:{webhook_id}")

    def _forget_the_gone(self, client: redis.Redis) -> int:
        """Delete the letters of webhooks that were deleted, the oldest first, down to the bound."""
        owners = cast("list[bytes]", client.zrange(self._owners, 0, -1))
        known = set(cast("list[bytes]", client.hkeys(self._webhooks)))
        gone = [owner for owner in owners if owner not in known][: len(owners) - _MOST_OWNERS]
        with client.pipeline(transaction=False) as pipeline:
            for owner in gone:
                pipeline.xlen(self._list_of(owner.decode()))
                pipeline.unlink(self._list_of(owner.decode()))
                pipeline.zrem(self._owners, owner)
            forgotten: list[int] = pipeline.execute()[::3]
        return sum(forgotten)


def _place(letter_id: str) -> tuple[str, str] | None:
    """Read the id of a letter: of the entry, and of the webhook; None if it is no such id."""
    entry_id, _, webhook_id = letter_id.partition(".")
    milliseconds, _, number = entry_id.partition("-")
    is_sound = all(part.isascii() and part.isdigit() and len(part) < 19 for part in (milliseconds, number))
    return (entry_id, webhook_id) if is_sound and webhook_id else None


def _order(entry_id: bytes) -> tuple[int, int]:
    milliseconds, _, number = entry_id.partition(b"-")
    return int(milliseconds), int(number)


def _kept(entry_id: bytes, fields: dict[bytes, bytes], webhook_id: str) -> KeptLetter | None:
    letter_id = f"{entry_id.decode()}.{webhook_id}"
    try:
        return KeptLetter(letter_id, msgspec.json.decode(fields[_LETTER], type=DeadLetter))
    except (KeyError, msgspec.DecodeError, UnicodeDecodeError):
        log.error("a dead letter cannot be read", dead_letter=letter_id)  # noqa: TRY400 - the text has personal data
        return None
