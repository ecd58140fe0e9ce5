"""Remembers what this server has acknowledged, so that recovery can restore it if the store loses data.

Does no I/O: admission passes and the recovery loop report what it keeps.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from wr.model.queue_settings import QueueConfig
from wr.recovery.admitted_visitors import AdmittedVisitors
from wr.store.admit import NOTHING_KNOWN, AdmissionPass, Forgotten, Known
from wr.store.block import Block
from wr.store.recall import AdmittedVisitor
from wr.store.reinstate import RevokedPassRecord

MOST_ADMITTED = 100_000
"""Admitted visitors that are remembered for each queue: 1.6 MB."""


RESTORE_MS = 3_540_000
"""Milliseconds after a loss of data for which places and sessions are restored from tokens
(lib/recovery.lua)."""


_BLIND_S = 2.0
_UNSURE_S = 5.0
_PASSES_TO_BE_LOST = 3


class QueueRecord(msgspec.Struct, kw_only=True):
    """What a server keeps on disk about one queue."""

    config: QueueConfig
    passes: int = 0
    """Number of admission passes over the queue that the server knows of."""
    waiting: int = 0
    """Number of waiting visitors at the last pass."""
    blocks: Sequence[Block] = ()
    revoked: Sequence[RevokedPassRecord] = ()


class AcknowledgedState:
    """What one server knows about every queue, independent of the store."""

    def __init__(self, clock_s: Callable[[], float]) -> None:
        self._clock_s = clock_s
        self._learned_at: dict[str, float] = {}
        self._resumed_at: dict[str, float] = {}
        self._not_found: dict[str, int] = {}
        self.rounds = 0
        """Number of rounds of admission passes, by all servers, that this server knows of; 0 before the
        first."""
        self._records: dict[str, QueueRecord] = {}
        self._admitted: dict[str, AdmittedVisitors] = {}
        self._forgotten: dict[str, Forgotten] = {}
        self._recalled: dict[str, int] = {}
        self._missing: set[str] = set()

    def known(self, queue_id: str) -> Known:
        """Return what the next pass over a queue compares the store's data with."""
        record = self._records.get(queue_id)
        if record is None:
            return NOTHING_KNOWN
        return Known(record.config.created_ms, record.passes, record.waiting)

    def learn(self, queue_id: str, done: AdmissionPass) -> None:
        """Record the result of a pass."""
        now = self._clock_s()
        if now - self._learned_at.get(queue_id, now) > _BLIND_S:
            self._resumed_at[queue_id] = now
        self._learned_at[queue_id] = now
        self._not_found.pop(queue_id, None)
        record = self._records.get(queue_id)
        if record is not None:
            record.passes, record.waiting = done.passes, done.waiting
        admitted = self._admitted.get(queue_id)
        if admitted is None:
            admitted = self._admitted[queue_id] = AdmittedVisitors(MOST_ADMITTED)
        admitted.let_in(done.admitted, done.now_ms, done.sessions_end_ms)
        admitted.ended(done.ended, done.now_ms)
        if done.forgotten is None or done.now_ms >= done.forgotten.at_ms + RESTORE_MS:
            self._forgotten.pop(queue_id, None)
        else:
            self._forgotten[queue_id] = done.forgotten

    def learn_settings(self, config: QueueConfig) -> None:
        """Record the settings of a queue as read from the store.

        Settings older than the known ones are ignored: then the store has lost the newer ones.
        """
        record = self._records.get(config.id)
        if record is None:
            # The first pass of this server may have admitted visitors before the settings were read.
            self._records[config.id] = QueueRecord(config=config)
        elif record.config.created_ms < config.created_ms:
            self._records[config.id] = QueueRecord(config=config)
            self._admitted.pop(config.id, None)
        elif record.config.version < config.version:
            record.config = config

    def learn_lists(
        self, queue_id: str, blocks: Sequence[Block], revoked: Sequence[RevokedPassRecord]
    ) -> None:
        """Record the blocks and the revoked passes of a queue."""
        record = self._records.get(queue_id)
        if record is not None:
            record.blocks, record.revoked = blocks, revoked

    def not_found(self, queue_id: str) -> None:
        """Record that a pass found no settings of a queue."""
        self._not_found[queue_id] = self._not_found.get(queue_id, 0) + 1

    def lost(self, listed: Iterable[str]) -> list[QueueRecord]:
        """List the listed, remembered queues whose settings several passes in a row did not find.

        A queue that is being deleted is listed without settings only for a moment.
        """
        return [
            self._records[queue_id]
            for queue_id in listed
            if self._not_found.get(queue_id, 0) >= _PASSES_TO_BE_LOST and queue_id in self._records
        ]

    def remembers(self, queue_id: str) -> bool:
        """Whether the queue existed and is not known to be deleted."""
        return queue_id in self._records

    def may_be_outdated(self, queue_id: str) -> bool:
        """Whether this server ran no pass over a queue for a while, or started again only recently.

        Then it may know too little to notice that the store has lost data. Another server will notice it.
        """
        now = self._clock_s()
        return (
            now - self._learned_at.get(queue_id, now) > _BLIND_S
            or now - self._resumed_at.get(queue_id, -_UNSURE_S) < _UNSURE_S
        )

    def forget(self, queue_id: str) -> None:
        """Remove a queue that was deleted."""
        for kept in (
            *(self._records, self._admitted, self._forgotten, self._recalled),
            *(self._learned_at, self._resumed_at, self._not_found),
        ):
            kept.pop(queue_id, None)

    def keep_only(self, queue_ids: Iterable[str]) -> None:
        """Remove the queues that a store without loss of data does not list twice in a row: they were
        deleted.

        A queue that was created while the store sent the list is in the next list.
        """
        missing = self._records.keys() - set(queue_ids)
        for queue_id in missing & self._missing:
            self.forget(queue_id)
        self._missing = missing

    def records(self) -> list[QueueRecord]:
        """Return the records of all remembered queues."""
        return list(self._records.values())

    def adopt(
        self, rounds: int, records: Iterable[QueueRecord], admitted: Mapping[str, Sequence[AdmittedVisitor]]
    ) -> None:
        """Start with what the server wrote to its recovery file in an earlier run."""
        self.rounds = rounds
        self._records = {record.config.id: record for record in records}
        for queue_id, people in admitted.items():
            kept = self._admitted[queue_id] = AdmittedVisitors(MOST_ADMITTED)
            for each in people:
                kept.let_in([each.position_id], each.started_ms, each.ends_ms)

    def to_recall(self) -> list[tuple[str, int]]:
        """List the queues of which the store lost data and whose admitted visitors it was not told again
        since.

        Each comes with the time of the loss.
        """
        return [
            (queue_id, forgotten.at_ms)
            for queue_id, forgotten in self._forgotten.items()
            if self._recalled.get(queue_id) != forgotten.at_ms
        ]

    def admitted(self, queue_id: str, now_ms: int) -> list[AdmittedVisitor]:
        """List the visitors of a queue whose admission this server saw and whose session may be active."""
        kept = self._admitted.get(queue_id)
        return kept.listed(now_ms) if kept is not None else []

    def recently_admitted(self, queue_id: str, since_ms: int, most: int) -> list[AdmittedVisitor]:
        """List the newest `most` visitors who were admitted after `since_ms`."""
        kept = self._admitted.get(queue_id)
        return kept.recent(since_ms, most) if kept is not None else []

    def was_recalled(self, queue_id: str, forgot_ms: int) -> None:
        """Record that the store was told which visitors the queue admitted before the loss of data."""
        self._recalled[queue_id] = forgot_ms

    def forgotten(self) -> dict[str, Forgotten]:
        """Return the queues of which the store has lost data, as of the last pass over each."""
        return self._forgotten
