"""Recovery: notices that the store has forgotten, and tells it again what this server has acknowledged."""

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
"""Seconds between two looks at whether the recovery file is to be written."""
_COUNTS_EVERY = 10
"""Looks between two files of which only the counts differ."""
_LISTS_EVERY = 2
"""Looks between two readings of blocks and of passes that were taken back."""
_LISTS_AT_ONCE = 32
"""Queues whose blocks are read at once; the others have their turn."""
_LAST_WRITE_S = 2.0
_RECENT_MS = 120_000
_MOST_RECENT = 5_000


class Keys(Protocol):
    """What recovery needs of the keeper of signing keys."""

    address_key: bytes

    def signing_keys(self) -> Sequence[SigningKey]:
        """List the keys at hand."""
        ...


class Recovery:
    """Keeps what a store must not lose, and puts it back. Also the list of queues of the admission loop."""

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
        """The operators' key, where it is one of ours that servers share through the store."""
        self._forgot_ms: int | None = None
        self._owes = False
        """Whether what was forgotten is still to be put back."""
        self._earlier = KeptSecrets()
        self._webhooks: Sequence[Webhook] = ()
        """As of the last round in which the store had forgotten nothing."""
        self._written: RecoveryContents | None = None
        self._cannot_write = False
        self.times = 0
        """How often this server noticed that the store had forgotten."""

    async def open(self) -> None:
        """Begin with what the data folder kept, and put it back if the store has forgotten it. To be called
        before keys are made or read.

        Raises:
            Unavailable: the store is away.
        """
        try:
            kept = await trio.to_thread.run_sync(read_kept, self._folder, self._store_mark)
        except (OSError, ValueError) as error:
            log.error(  # noqa: TRY400 - no traceback for operators
                "what was kept for a store that forgets cannot be read",
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
        """Begin a round of admission passes: list the ids of all queues.

        Notices whether the store has forgotten, and puts back what it has. One round trip when it has not.
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
                # Its machine alone has forgotten: what is of all queues is on another.
                await self._put_queue_back(record)
        await self._recall()
        return found.queue_ids

    async def restore(self, queue_ids: Sequence[str]) -> list[str]:
        """List those of these queues again that exist; which these are."""
        return await self._store.queues.restore(queue_ids)

    async def _begin(self) -> Round:
        return await self._store.recovery.begin_round(self._store.now_ms(), self._memory.rounds)

    async def _put_back(self, found: Round) -> None:
        """Write back definitions, keys, webhooks, blocks and passes that were taken back."""
        records = self._memory.records()
        if found.has_forgotten:
            self.times += 1
            log.error(
                "the store has forgotten what it had acknowledged, and is told again",
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
            log.warning("a queue's settings were put back", queue_id=record.config.id)

    async def _recall(self) -> None:
        """Tell the store whom this server saw let in, once for each time that it forgot."""
        for queue_id, forgot_ms in self._memory.to_recall():
            people = self._memory.admitted(queue_id, self._clock_ms())
            await self._store.recovery.recall(queue_id, self._store.now_ms(), people)
            self._memory.was_recalled(queue_id, forgot_ms)

    async def keep_for_ever(self) -> None:
        """Read what is kept of blocks and passes now and then, and write the recovery file, for ever."""
        looks = 0
        while True:
            await trio.sleep(KEEP_S)
            looks += 1
            if looks % _LISTS_EVERY == 0:
                try:
                    await self._read_lists(looks // _LISTS_EVERY)
                except Unavailable:
                    log.debug("blocks cannot be read while the store is away")
            await self._write(even_counts=looks % _COUNTS_EVERY == 0)

    async def keep_last(self) -> None:
        """Write the recovery file when the server stops, after its last admission pass; takes 2 s at most."""
        with trio.move_on_after(_LAST_WRITE_S, shield=True):
            await self._write(even_counts=True)

    async def _read_lists(self, turn: int) -> None:
        now_ms = self._clock_ms()
        records = self._memory.records()
        turns = -(-len(records) // _LISTS_AT_ONCE) or 1
        for record in records[turn % turns :: turns]:
            queue_id = record.config.id
            blocks = await self._store.blocks.list(queue_id, now_ms)
            revoked = await self._store.recovery.revoked_passes(queue_id, now_ms)
            self._memory.learn_lists(queue_id, blocks, revoked)

    async def _write(self, *, even_counts: bool) -> None:
        if self._owes or self._forgot_ms is None:
            return
        kept = self._kept()
        if not kept.queues and self._written is None:
            return
        if self._written is not None and not even_counts and _without_counts(kept) == self._written:
            return
        try:
            await trio.to_thread.run_sync(write_kept, self._folder, kept)
        except OSError as error:
            if not self._cannot_write:
                log.warning(
                    "what a store that forgets would be told after a restart cannot be kept",
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
