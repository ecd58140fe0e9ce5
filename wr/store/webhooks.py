"""Webhooks and the deliveries that were given up: what all replicas know of them."""

from collections.abc import Sequence
from typing import Any

import msgspec
import redis

from wr.model.webhooks import DeadLetter, Webhook
from wr.store.connection import Connection
from wr.store.keys import Keys

MOST_DEAD_LETTERS = 1_000
"""The newest that are kept: less than 1 MB of the store."""
_LETTER = b"letter"


class KeptLetter(msgspec.Struct, frozen=True):
    """A dead letter and the id that the store gave it; ids grow."""

    id: str
    letter: DeadLetter


class WebhookShelf:
    """Reads and writes webhooks and dead letters. All methods raise `Unavailable` while the store is away."""

    def __init__(self, connection: Connection, keys: Keys, most: int = MOST_DEAD_LETTERS) -> None:
        self._connection = connection
        self._webhooks = keys.shared("webhooks")
        self._letters = keys.shared("dead_letters")
        self._most = most

    async def list(self) -> Sequence[Webhook]:
        """Read every webhook, oldest first. One round trip."""
        values: Any = await self._connection.run(lambda client: client.hvals(self._webhooks))
        found = [msgspec.json.decode(value, type=Webhook) for value in values]
        return sorted(found, key=lambda webhook: (webhook.created_ms, webhook.id))

    async def add(self, webhook: Webhook) -> None:
        """Keep a webhook. One round trip."""
        text = msgspec.json.encode(webhook)
        await self._connection.run(lambda client: client.hset(self._webhooks, webhook.id, text))

    async def delete(self, webhook_id: str) -> bool:
        """Forget a webhook; False when there is none of that id. One round trip."""
        return bool(await self._connection.run(lambda client: client.hdel(self._webhooks, webhook_id)))

    async def bury(self, letters: Sequence[DeadLetter]) -> None:
        """Keep deliveries that were given up; the oldest go when there are too many. One round trip."""

        def append(client: redis.Redis) -> None:
            with client.pipeline(transaction=False) as pipeline:
                for letter in letters:
                    fields: Any = {_LETTER: msgspec.json.encode(letter)}
                    pipeline.xadd(self._letters, fields, maxlen=self._most, approximate=False)
                pipeline.execute()

        await self._connection.run(append)

    async def dead_letters(self) -> Sequence[KeptLetter]:
        """Read every dead letter, newest first. One round trip."""
        entries: Any = await self._connection.run(lambda client: client.xrevrange(self._letters))
        return [_kept(entry_id, fields) for entry_id, fields in entries]

    async def take_letter(self, letter_id: str) -> DeadLetter | None:
        """Take a dead letter away, for one caller and no other; None when it is gone. Two round trips."""

        def take(client: redis.Redis) -> Any:
            entries: Any = client.xrange(self._letters, letter_id, letter_id)
            return entries[0] if entries and client.xdel(self._letters, letter_id) else None

        entry = await self._connection.run(take)
        return None if entry is None else _kept(*entry).letter


def _kept(entry_id: bytes, fields: dict[bytes, bytes]) -> KeptLetter:
    return KeptLetter(entry_id.decode(), msgspec.json.decode(fields[_LETTER], type=DeadLetter))
