"""Webhooks, and the deliveries that were given up: all servers share them through the store."""

from collections.abc import Sequence
from typing import cast

import msgspec
import redis
import structlog

from wr.model.webhooks import Webhook
from wr.store.connection import Connection
from wr.store.dead_letter_repository import DeadLetters
from wr.store.key_names import KeyNames
from wr.store.webhook import SaveOutcome, WebhookScript

log = structlog.get_logger("wr.store")


class WebhookRepository:
    """Reads and writes webhooks. All methods raise `Unavailable` if the store is away."""

    def __init__(self, connection: Connection, keys: KeyNames) -> None:
        self._connection = connection
        self._webhooks = keys.shared("webhooks")
        self._webhook = WebhookScript(keys)
        self.dead_letters = DeadLetters(connection, keys)
        self._unreadable: set[bytes] = set()

    async def list(self) -> Sequence[Webhook]:
        """Read every webhook, oldest first; what cannot be read is left out and logged. One round trip."""

        def read(client: redis.Redis) -> dict[bytes, bytes]:
            return cast("dict[bytes, bytes]", client.hgetall(self._webhooks))

        entries = await self._connection.run(self._webhooks, read)
        found: list[Webhook] = []
        unreadable: set[bytes] = set()
        for webhook_id, text in entries.items():
            try:
                found.append(msgspec.json.decode(text, type=Webhook))
            except (msgspec.DecodeError, UnicodeDecodeError):
                unreadable.add(webhook_id)
                # Logged once: the list is read every two seconds.
                if webhook_id not in self._unreadable:
                    name = webhook_id.decode(errors="replace")
                    log.error("a webhook cannot be read, and is told nothing", webhook=name)  # noqa: TRY400 - secrets
        self._unreadable = unreadable
        return sorted(found, key=lambda webhook: (webhook.created_ms, webhook.id))

    async def add(self, webhook: Webhook) -> SaveOutcome:
        """Write a new webhook, unless there are too many. One round trip."""
        return await self._write(webhook.id, msgspec.json.encode(webhook), b"")

    async def replace(self, before: Webhook, after: Webhook) -> SaveOutcome:
        """Replace a webhook that was read, unless another server has changed it. Two round trips."""

        def read(client: redis.Redis) -> bytes | None:
            return cast("bytes | None", client.hget(self._webhooks, before.id))

        # Another version of the server may have spelled the same webhook in another way.
        text = await self._connection.run(self._webhooks, read)
        if text is None or msgspec.json.decode(text, type=Webhook) != before:
            return SaveOutcome.CHANGED_MEANWHILE
        return await self._write(after.id, msgspec.json.encode(after), text)

    async def delete(self, webhook_id: str) -> bool:
        """Delete a webhook; False if there is none of that id. One round trip."""
        return bool(
            await self._connection.run(self._webhooks, lambda client: client.hdel(self._webhooks, webhook_id))
        )

    async def _write(self, webhook_id: str, text: bytes, before: bytes) -> SaveOutcome:
        call = self._webhook.call(webhook_id, text, before)
        return self._webhook.reply(await self._connection.call(self._webhook.script, *call))
