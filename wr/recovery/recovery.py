"""Notices that the store has lost data, and restores what this server has acknowledged.

A store without persistence, or one that was set back, may lose acknowledged places, queues and keys.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import msgspec
import structlog
import trio

from wr.model.refusals import Unavailable
from wr.model.signing import SigningKey
from wr.model.webhooks import Webhook
from wr.recovery.acknowledged_state import AcknowledgedState, QueueRecord
from wr.recovery.recovery_file import KeptSecrets, RecoveryContents, read_kept, write_kept
from wr.store.recall import AdmittedVisitor
from wr.store.round import Round
from wr.store.store import Store

log = structlog.get_logger("wr.recovery")

KEEP_S = 1.0
"""Seconds between two checks whether the recovery file must be written."""
_COUNTS_EVERY = 10
"""Number of checks after which the file is written even if only the counts changed."""
_LISTS_EVERY = 2
"""Number of checks after which blocks and revoked passes are read again."""
_LISTS_AT_ONCE = 32
"""Number of queues whose blocks are read each time, in turn."""
_LAST_WRITE_S = 2.0
_RECENT_MS = 120_000
_MOST_RECENT = 5_000


class Keys(Protocol):
    """The part of the signing keys that recovery needs."""

    address_key: bytes

    def signing_keys(self) -> Sequence[SigningKey]:
        """List the loaded keys."""
        ...


class Recovery:
    """Keeps what the store must not lose, and restores it.

    Also gives the admission loop its list of queues.
    """

    def __init__(
        self,
        store: Store,
        memory: AcknowledgedState,
        keys: Keys,
        *,
        webhooks_seen: Callable[[], Sequence[Webhook]],
        clock_ms: Callable[[], int],
        folder: Path,
        store_mark: str,
    ) -> None:
        self._store = store
        self._memory = memory
        self._keys = keys
        self._webhooks_seen = webhooks_seen
        self._clock_ms = clock_ms
        self._folder = folder
        self._store_mark = store_mark
        self.admin_key = ""
        """The admin key, if it is a generated one that servers share through the store."""
        self._forgot_ms: int | None = None
        self._owes = False
        """Whether lost data must still be restored."""
        self._earlier = KeptSecrets()
        self._webhooks: Sequence[Webhook] = ()
        """The webhooks as of the last round without a loss of data."""
        self._written: RecoveryContents | None = None
        self._cannot_write = False
        self.times = 0
        """How often this server noticed that the store had lost data."""

    async def open(self) -> None:
        """Load the recovery file from the data folder, and restore its content if the store has lost it.

        Call it before keys are created or read.

        Raises:
            Unavailable: the store is unreachable.
        """
        try:
            kept = await trio.to_thread.run_sync(read_kept, self._folder, self._store_mark)
        except (OSError, ValueError) as error:
            log.error(  # noqa: TRY400 - no traceback for operators
                "the recovery file cannot be read; if the store has lost data, this server cannot restore it",
                folder=str(self._folder),
                error=str(error),
            )
            kept = None
        if kept is not None:
            self._memory.adopt(kept.rounds, kept.queues, kept.admitted)
            self._earlier, self._webhooks = kept.secrets, kept.webhooks
            self.admin_key = kept.secrets.admin_key
        await self.names()

    async def names(self) -> list[str]:
        """Start a round of admission passes: list the ids of all queues.

        Notices whether the store has lost data, and restores it. One round trip if it has not.
        """
        found = await self._begin()
        is_first = self._forgot_ms is None
        if found.has_forgotten or (self._forgot_ms is not None and found.forgot_ms != self._forgot_ms):
            self._owes = True
        self._forgot_ms = found.forgot_ms
        self._memory.rounds = found.count
        if self._owes:
            await self._put_back(found)
            self._owes = False
            found = await self._begin()
            self._memory.rounds = found.count
        elif not is_first:
            self._memory.keep_only(found.queue_ids)
            self._webhooks = self._webhooks_seen()
            for record in self._memory.lost(found.queue_ids):
                # In a cluster, only this queue's machine lost its data; keys and webhooks are on another.
                await self._put_queue_back(record)
        await self._recall()
        return found.queue_ids

    async def restore(self, queue_ids: Sequence[str]) -> list[str]:
        """Add existing queues to the store's list of queues again; returns which of these exist."""
        return await self._store.queues.restore(queue_ids)

    async def _begin(self) -> Round:
        return await self._store.recovery.begin_round(self._store.now_ms(), self._memory.rounds)

    async def _put_back(self, found: Round) -> None:
        """Restore queues, keys, webhooks, blocks and revoked passes."""
        records = self._memory.records()
        if found.has_forgotten:
            self.times += 1
            log.error(
                "the store has lost acknowledged data; this server restores it",
                queues=len(records),
                known_rounds=self._memory.rounds,
            )
        secrets = self._secrets()
        repository = self._store.recovery
        await repository.put_back_secrets(secrets.signing_keys, secrets.admin_key, secrets.address_key)
        await repository.put_back_webhooks(self._webhooks)
        for record in records:
            await self._put_queue_back(record)

    async def _put_queue_back(self, record: QueueRecord) -> None:
        repository = self._store.recovery
        if await repository.reinstate(record.config, record.blocks, record.revoked):
            log.warning("a queue's settings were restored", queue_id=record.config.id)

    async def _recall(self) -> None:
        """Tell the store which visitors this server saw admitted, once for each loss of data."""
        for queue_id, forgot_ms in self._memory.to_recall():
            people = self._memory.admitted(queue_id, self._clock_ms())
            await self._store.recovery.recall(queue_id, self._store.now_ms(), people)
            self._memory.was_recalled(queue_id, forgot_ms)

    async def keep_for_ever(self) -> None:
        """Until cancelled: regularly read blocks and revoked passes, and write the recovery file."""
        looks = 0
        while True:
            await trio.sleep(KEEP_S)
            looks += 1
            if looks % _LISTS_EVERY == 0:
                try:
                    await self._read_lists(looks // _LISTS_EVERY)
                except Unavailable:
                    log.debug("blocks cannot be read while the store is unreachable")
            await self._write(even_counts=looks % _COUNTS_EVERY == 0)

    async def keep_last(self) -> None:
        """Write the recovery file a last time, after the last admission pass.

        Takes at most 2 s: a disk that hangs does not hold up the end of the server.
        """
        with trio.move_on_after(_LAST_WRITE_S, shield=True):
            await self._write(even_counts=True, may_be_abandoned=True)

    async def _read_lists(self, turn: int) -> None:
        now_ms = self._clock_ms()
        records = self._memory.records()
        turns = -(-len(records) // _LISTS_AT_ONCE) or 1
        for record in records[turn % turns :: turns]:
            queue_id = record.config.id
            blocks = await self._store.blocks.list(queue_id, now_ms)
            revoked = await self._store.recovery.revoked_passes(queue_id, now_ms)
            self._memory.learn_lists(queue_id, blocks, revoked)

    async def _write(self, *, even_counts: bool, may_be_abandoned: bool = False) -> None:
        if self._owes or self._forgot_ms is None:
            return
        kept = self._kept()
        if not kept.queues and self._written is None:
            return
        if self._written is not None and not even_counts and _without_counts(kept) == self._written:
            return
        try:
            await trio.to_thread.run_sync(write_kept, self._folder, kept, abandon_on_cancel=may_be_abandoned)
        except OSError as error:
            if not self._cannot_write:
                log.warning(
                    "the recovery file cannot be written; lost data would not be restored after a restart",
                    folder=str(self._folder),
                    error=str(error),
                )
            self._cannot_write = True
        else:
            self._cannot_write = False
            self._written = _without_counts(kept)

    def _kept(self) -> RecoveryContents:
        now_ms = self._clock_ms()
        records = [msgspec.structs.replace(record) for record in self._memory.records()]
        admitted: dict[str, Sequence[AdmittedVisitor]] = {}
        left = _MOST_RECENT
        for record in records:
            recent = self._memory.recently_admitted(record.config.id, now_ms - _RECENT_MS, left)
            if recent:
                admitted[record.config.id] = recent
                left -= len(recent)
        return RecoveryContents(
            store=self._store_mark,
            rounds=self._memory.rounds,
            queues=records,
            secrets=self._secrets(),
            webhooks=self._webhooks,
            admitted=admitted,
        )

    def _secrets(self) -> KeptSecrets:
        keys = self._keys.signing_keys() or self._earlier.signing_keys
        address_key = self._keys.address_key or self._earlier.address_key
        return KeptSecrets(signing_keys=keys, admin_key=self.admin_key, address_key=address_key)


def _without_counts(kept: RecoveryContents) -> RecoveryContents:
    queues = [msgspec.structs.replace(record, passes=0, waiting=0) for record in kept.queues]
    return msgspec.structs.replace(kept, rounds=0, queues=queues)
