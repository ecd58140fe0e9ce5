"""What servers and a store that has forgotten tell each other: `round.lua`, `restore.lua`, `recall.lua` and
`reinstate.lua`."""

from collections.abc import Sequence
from typing import Any

import msgspec
import redis

from wr.model.queue import QueueConfig
from wr.model.signing import SigningKey
from wr.model.tokens import PositionClaims, SessionClaims
from wr.model.webhooks import Webhook
from wr.store.admit import LONGEST_HOLD_S, Known
from wr.store.block import Block
from wr.store.connection import Connection
from wr.store.enqueue import line_score
from wr.store.key_names import KeyNames
from wr.store.queue_repository import setting_text
from wr.store.script import load_script

_ROUND = load_script("round")
_RECALL = load_script("recall")
_REINSTATE = load_script("reinstate")
_RECALLED_PER_CALL = 1_000
MOST_REVOKED = 10_000


RECALL_PARTS = (
    *("config", "waiting", "seen", "sessions", "records", "extras", "tombstones"),
    *("bucket", "addresses", "recalled"),
)
"""The keys of `recall.lua`, in its order."""


class Round(msgspec.Struct, frozen=True):
    """What the store says at the beginning of a round of admission passes."""

    count: int
    """Rounds of all servers so far; it only grows, unless the store forgets."""
    has_forgotten: bool
    """Whether the server knows of more rounds than the store does."""
    forgot_ms: int
    """When the store last forgot, in milliseconds since 1970; 0 is never."""
    queue_ids: list[str]


class AdmittedVisitor(msgspec.Struct, frozen=True):
    """Somebody a server saw let in; times in milliseconds since 1970."""

    position_id: bytes
    started_ms: int
    ends_ms: int


class RevokedPassRecord(msgspec.Struct, frozen=True):
    """A pass that was taken back, and until when that has to be remembered."""

    digest: bytes
    until_ms: int


class RestoreScript:
    """Calls of `restore.lua`."""

    script = load_script("restore")
    _PARTS = (
        *("config", "waiting", "seen", "sessions", "records", "extras", "people", "tombstones"),
        *("counters", "bucket", "addresses", "recalled"),
    )

    def __init__(self, keys: KeyNames, longest_hold_s: float = LONGEST_HOLD_S) -> None:
        self._keys = keys
        self._longest_hold_ms = int(longest_hold_s * 1000)

    def call(
        self, queue_id: str, now_ms: int, known: Known, claims: Sequence[PositionClaims | SessionClaims]
    ) -> tuple[list[str], list[Any]]:
        """Spell KEYS and ARGV for these verified tokens of one queue."""
        arguments: list[Any] = [now_ms, known.created_ms, known.passes, known.waiting, self._longest_hold_ms]
        for each in claims:
            if isinstance(each, SessionClaims):
                arguments += ("s", each.position_id, each.admitted_ms, each.expires_s * 1000, 0)
            else:
                score = line_score(each.priority, each.enqueued_ms, each.enqueued_part)
                arguments += ("p", each.position_id, score, each.holder, each.expires_s * 1000)
        return self._keys.queue(queue_id, *self._PARTS), arguments

    def replies(self, raw: list[int]) -> list[bool]:
        """Read the reply: for each token whether its place or session is there now."""
        return [bool(outcome) for outcome in raw]


class Recoveries:
    """Rounds, and what is put back when a store has forgotten. Each method is one round trip unless it says
    otherwise."""

    def __init__(self, connection: Connection, keys: KeyNames) -> None:
        self._connection = connection
        self._keys = keys

    async def begin_round(self, now_ms: int, known_rounds: int) -> Round:
        """Count a round of admission passes and list the queues; 0 known rounds compare with nothing."""
        keys = [self._keys.shared("rounds"), self._keys.shared("queues")]
        count, forgot, forgot_ms, names = await self._connection.call(_ROUND, keys, [now_ms, known_rounds])
        return Round(count, bool(forgot), forgot_ms, sorted(name.decode() for name in names))

    async def reinstate(
        self, config: QueueConfig, blocks: Sequence[Block], revoked: Sequence[RevokedPassRecord]
    ) -> bool:
        """Write a queue's settings, its blocks and its revoked passes back, and list the queue.

        What the store has as new or newer stays. Returns whether settings were written. Two round trips.
        """
        settings: list[Any] = []
        for field, value in msgspec.to_builtins(config).items():
            if field not in ("created_ms", "version"):
                settings += (field, setting_text(value))
        blocked_until_ms = max((block.until_ms for block in blocks), default=0)
        counts = (len(settings) // 2, len(blocks))
        arguments: list[Any] = [config.created_ms, config.version, blocked_until_ms, *counts, *settings]
        for block in blocks:
            arguments += (block.member, block.until_ms, msgspec.json.encode(block.note))
        for taken_back in revoked:
            arguments += (taken_back.digest, taken_back.until_ms)
        parts = ("config", "blocks", "block_notes", "passes", "pass_ends", "revoked")
        written = await self._connection.call(_REINSTATE, self._keys.queue(config.id, *parts), arguments)
        registry = self._keys.shared("queues")
        await self._connection.run(registry, lambda client: client.sadd(registry, config.id))
        return bool(written)

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

    async def recall(self, queue_id: str, now_ms: int, people: Sequence[AdmittedVisitor]) -> int:
        """Tell the store who was let in; returns how many of them stood in line again. One round trip for
        each 1,000 people."""
        moved = 0
        for start in range(0, len(people), _RECALLED_PER_CALL):
            arguments: list[Any] = [now_ms]
            for each in people[start : start + _RECALLED_PER_CALL]:
                arguments += (each.position_id, each.started_ms, each.ends_ms)
            keys = self._keys.queue(queue_id, *RECALL_PARTS)
            moved += await self._connection.call(_RECALL, keys, arguments)
        return moved

    async def revoked_passes(self, queue_id: str, now_ms: int) -> list[RevokedPassRecord]:
        """List the passes of a queue that were taken back and would not be over; 10,000 at most."""
        (revoked,) = self._keys.queue(queue_id, "revoked")
        found: Any = await self._connection.run(
            revoked,
            lambda client: client.zrevrangebyscore(
                revoked, "+inf", f"({now_ms}", start=0, num=MOST_REVOKED, withscores=True
            ),
        )
        return [RevokedPassRecord(digest, int(until_ms)) for digest, until_ms in found]
