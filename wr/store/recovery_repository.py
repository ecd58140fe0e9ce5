"""Recovery in the store: rounds of passes, and what servers put back after a store has forgotten it."""

from collections.abc import Sequence
from typing import cast

import msgspec
import redis

from wr.model.queue_settings import QueueConfig
from wr.model.signing import SigningKey
from wr.model.webhooks import Webhook
from wr.store.block import Block
from wr.store.connection import Connection
from wr.store.key_names import KeyNames
from wr.store.recall import MOST_PER_CALL, AdmittedVisitor, RecallScript
from wr.store.reinstate import ReinstateScript, RevokedPassRecord
from wr.store.round import Round, RoundScript

MOST_REVOKED = 10_000


class RecoveryRepository:
    """Begins rounds, and puts back what the store has forgotten. Each method is one round trip unless it says
    otherwise."""

    def __init__(self, connection: Connection, keys: KeyNames) -> None:
        self._connection = connection
        self._keys = keys
        self._round = RoundScript(keys)
        self._reinstate = ReinstateScript(keys)
        self._recall = RecallScript(keys)

    async def begin_round(self, now_ms: int, known_rounds: int) -> Round:
        """Count a round of admission passes, and list the queues. 0 known rounds compare with nothing."""
        call = self._round.call(now_ms, known_rounds)
        return self._round.reply(await self._connection.call(self._round.script, *call))

    async def reinstate(
        self, config: QueueConfig, blocks: Sequence[Block], revoked: Sequence[RevokedPassRecord]
    ) -> bool:
        """Write a queue's settings, blocks and revoked passes back, and list the queue. Two round trips.

        The store keeps what it has that is as new or newer. Returns whether settings were written.
        """
        call = self._reinstate.call(config, blocks, revoked)
        written = self._reinstate.reply(await self._connection.call(self._reinstate.script, *call))
        registry = self._keys.shared("queues")
        await self._connection.run(registry, lambda client: client.sadd(registry, config.id))
        return written

    async def put_back_secrets(
        self, signing_keys: Sequence[SigningKey], admin_key: str, address_key: bytes
    ) -> None:
        """Write back the keys that the store does not have."""
        signing, admin, address = map(self._keys.shared, ("signing_keys", "admin_key", "address_key"))

        def write(client: redis.Redis) -> None:
            with client.pipeline(transaction=False) as pipeline:
                for key in signing_keys:
                    pipeline.hsetnx(signing, key.kid, msgspec.json.encode(key))
                if admin_key:
                    pipeline.set(admin, admin_key, nx=True)
                if address_key:
                    pipeline.set(address, address_key, nx=True)
                pipeline.execute()

        await self._connection.run(signing, write)

    async def put_back_webhooks(self, webhooks: Sequence[Webhook]) -> None:
        """Write back the webhooks that the store does not have."""
        if not webhooks:
            return
        repository = self._keys.shared("webhooks")

        def write(client: redis.Redis) -> None:
            with client.pipeline(transaction=False) as pipeline:
                for webhook in webhooks:
                    pipeline.hsetnx(repository, webhook.id, msgspec.json.encode(webhook))
                pipeline.execute()

        await self._connection.run(repository, write)

    async def recall(self, queue_id: str, now_ms: int, visitors: Sequence[AdmittedVisitor]) -> int:
        """Tell the store which visitors were let in; returns how many of them were in line again.

        One round trip for each 1,000 visitors.
        """
        moved = 0
        for start in range(0, len(visitors), MOST_PER_CALL):
            call = self._recall.call(queue_id, now_ms, visitors[start : start + MOST_PER_CALL])
            moved += self._recall.reply(await self._connection.call(self._recall.script, *call))
        return moved

    async def revoked_passes(self, queue_id: str, now_ms: int) -> list[RevokedPassRecord]:
        """List the revoked passes of a queue that have not expired; 10,000 at most."""
        (revoked,) = self._keys.queue(queue_id, "revoked")

        def read(client: redis.Redis) -> list[tuple[bytes, float]]:
            found = client.zrevrangebyscore(
                revoked, "+inf", f"({now_ms}", start=0, num=MOST_REVOKED, withscores=True
            )
            return cast("list[tuple[bytes, float]]", found)

        found = await self._connection.run(revoked, read)
        return [RevokedPassRecord(digest, int(until_ms)) for digest, until_ms in found]
