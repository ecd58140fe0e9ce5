"""Webhooks and the deliveries that were given up: what all replicas know of them."""

from collections.abc import Sequence
from enum import IntEnum
from typing import Any

import msgspec
import redis
import structlog

from wr.model.webhooks import MOST_WEBHOOKS, Webhook
from wr.store.connection import Connection
from wr.store.dead_letter_repository import DeadLetters
from wr.store.key_names import KeyNames
from wr.store.script import load_script

log = structlog.get_logger("wr.store")

_KEEP = load_script("webhook")


class SaveOutcome(IntEnum):
    """Whether a webhook was written."""

    YES = 0
    CHANGED_MEANWHILE = 1
    TOO_MANY = 2


class WebhookRepository:
    """Reads and writes webhooks. All methods raise `Unavailable` while the store is away."""

    def __init__(self, connection: Connection, keys: KeyNames) -> None:
        self._connection = connection
        self._webhooks = keys.shared("webhooks")
        self.dead_letters = DeadLetters(connection, keys)
        self._unreadable: set[bytes] = set()

    async def list(self) -> Sequence[Webhook]:
        """Read every webhook, oldest first; what cannot be read is left out, and logged. One round trip."""
        entries: Any = await self._connection.run(
            self._webhooks, lambda client: client.hgetall(self._webhooks)
        )
        found: list[Webhook] = []
        unreadable: set[bytes] = set()
        for webhook_id, text in entries.items():
            try:
                found.append(msgspec.json.decode(text, type=Webhook))
            except (msgspec.DecodeError, UnicodeDecodeError):
                unreadable.add(webhook_id)
                # The list is read every two seconds.
                if webhook_id not in self._unreadable:
                    name = webhook_id.decode(errors="replace")
                    log.error("a webhook cannot be read, and is told nothing", webhook=name)  # noqa: TRY400 - secrets
        self._unreadable = unreadable
        return sorted(found, key=lambda webhook: (webhook.created_ms, webhook.id))

    async def add(self, webhook: Webhook) -> SaveOutcome:
        """Keep a new webhook, unless there are too many. One round trip."""
        return await self._keep(webhook.id, msgspec.json.encode(webhook), b"")

    async def replace(self, before: Webhook, after: Webhook) -> SaveOutcome:
        """Keep a webhook in place of what was read, unless that is not there any more. Two round trips."""

        def read(client: redis.Redis) -> Any:
            return client.hget(self._webhooks, before.id)

        # An entry may have been written by another version, in other words that mean the same.
        text: bytes | None = await self._connection.run(self._webhooks, read)
        if text is None or msgspec.json.decode(text, type=Webhook) != before:
            return SaveOutcome.CHANGED_MEANWHILE
        return await self._keep(after.id, msgspec.json.encode(after), text)

    async def delete(self, webhook_id: str) -> bool:
        """Forget a webhook; False when there is none of that id. One round trip."""
        return bool(
            await self._connection.run(self._webhooks, lambda client: client.hdel(self._webhooks, webhook_id))
        )

    async def _keep(self, webhook_id: str, text: bytes, before: bytes) -> SaveOutcome:
        arguments = [webhook_id, text, before, MOST_WEBHOOKS]
        return SaveOutcome(await self._connection.call(_KEEP, [self._webhooks], arguments))
