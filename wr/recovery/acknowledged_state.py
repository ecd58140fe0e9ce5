"""The memory: what this server has acknowledged, to be told again to a store that has forgotten it.

Nothing here asks anybody; admission passes and the recovery loop bring what it keeps.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from wr.model.queue import QueueConfig
from wr.recovery.admitted_visitors import AdmittedVisitors
from wr.store.admit import NOTHING_KNOWN, AdmissionPass, Forgotten, Known
from wr.store.block import Block
from wr.store.recall import AdmittedVisitor
from wr.store.reinstate import RevokedPassRecord

MOST_ADMITTED = 100_000
"""Visitors let in that are remembered of each queue: 1.6 MB."""


RESTORE_MS = 3_540_000
"""How long after the store forgot places and sessions come back from their tokens (see lib/recovery.lua)."""


_BLIND_S = 2.0
_UNSURE_S = 5.0
_PASSES_TO_BE_LOST = 3


class QueueRecord(msgspec.Struct, kw_only=True):
    """What a server keeps durably of one queue."""

    config: QueueConfig
    passes: int = 0
    """Admission passes over the queue that the server knows of."""
    waiting: int = 0
    """How many waited at the last of them."""
    blocks: Sequence[Block] = ()
    revoked: Sequence[RevokedPassRecord] = ()


class AcknowledgedState:
    """What one server knows of every queue, whatever becomes of the store."""

    def __init__(self, clock_s: Callable[[], float]) -> None:
        self._clock_s = clock_s
        self._learned_at: dict[str, float] = {}
        self._resumed_at: dict[str, float] = {}
        self._not_found: dict[str, int] = {}
        self.rounds = 0
        """Rounds of admission passes that the server knows of, of all servers; 0 before the first."""
        self._records: dict[str, QueueRecord] = {}
        self._admitted: dict[str, AdmittedVisitors] = {}
        self._forgotten: dict[str, Forgotten] = {}
        self._recalled: dict[str, int] = {}
        self._missing: set[str] = set()

    def known(self, queue_id: str) -> Known:
        """Tell what the next pass over a queue is to compare with."""
        record = self._records.get(queue_id)
        if record is None:
            return NOTHING_KNOWN
        return Known(record.config.created_ms, record.passes, record.waiting)

    def learn(self, queue_id: str, done: AdmissionPass) -> None:
        """Take in what a pass did."""
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
        """Take in the settings of a queue as they were read.

        Older ones than are known change nothing: the store has forgotten the newer.
        """
        record = self._records.get(config.id)
        if record is None:
            # The first pass of this server may have let visitors in before the settings are read.
            self._records[config.id] = QueueRecord(config=config)
        elif record.config.created_ms < config.created_ms:
            self._records[config.id] = QueueRecord(config=config)
            self._admitted.pop(config.id, None)
        elif record.config.version < config.version:
            record.config = config

    def learn_lists(
        self, queue_id: str, blocks: Sequence[Block], revoked: Sequence[RevokedPassRecord]
    ) -> None:
        """Take in who is kept out of a queue, and which passes were taken back."""
        record = self._records.get(queue_id)
        if record is not None:
            record.blocks, record.revoked = blocks, revoked

    def not_found(self, queue_id: str) -> None:
        """Take in that a pass found no settings of a queue."""
        self._not_found[queue_id] = self._not_found.get(queue_id, 0) + 1

    def lost(self, listed: Iterable[str]) -> list[QueueRecord]:
        """List remembered queues that are listed, and whose settings several passes in a row did not find.

        One that is being deleted is listed for a moment only.
        """
        return [
            self._records[queue_id]
            for queue_id in listed
            if self._not_found.get(queue_id, 0) >= _PASSES_TO_BE_LOST and queue_id in self._records
        ]

    def remembers(self, queue_id: str) -> bool:
        """Whether the queue was there, and is not known to have been deleted."""
        return queue_id in self._records

    def may_be_outdated(self, queue_id: str) -> bool:
        """Whether this server has run no pass over a queue for a while, or only just runs them again: then it
        may know too little to see that the store has forgotten, which another server is about to see."""
        now = self._clock_s()
        return (
            now - self._learned_at.get(queue_id, now) > _BLIND_S
            or now - self._resumed_at.get(queue_id, -_UNSURE_S) < _UNSURE_S
        )

    def forget(self, queue_id: str) -> None:
        """Drop a queue: it was deleted."""
        for kept in (
            *(self._records, self._admitted, self._forgotten, self._recalled),
            *(self._learned_at, self._resumed_at, self._not_found),
        ):
            kept.pop(queue_id, None)

    def keep_only(self, queue_ids: Iterable[str]) -> None:
        """Drop the queues that are not listed twice in a row by a store that has forgotten nothing: they were
        deleted. One that was made while the list was on its way is in the next."""
        missing = self._records.keys() - set(queue_ids)
        for queue_id in missing & self._missing:
            self.forget(queue_id)
        self._missing = missing

    def records(self) -> list[QueueRecord]:
        """Every queue that is remembered."""
        return list(self._records.values())

    def adopt(
        self, rounds: int, records: Iterable[QueueRecord], admitted: Mapping[str, Sequence[AdmittedVisitor]]
    ) -> None:
        """Begin with what the server kept when it ran before."""
        self.rounds = rounds
        self._records = {record.config.id: record for record in records}
        for queue_id, people in admitted.items():
            kept = self._admitted[queue_id] = AdmittedVisitors(MOST_ADMITTED)
            for each in people:
                kept.let_in([each.position_id], each.started_ms, each.ends_ms)

    def to_recall(self) -> list[tuple[str, int]]:
        """List the queues of which the store has forgotten something since whom they let in was last told to
        it, each with when it forgot."""
        return [
            (queue_id, forgotten.at_ms)
            for queue_id, forgotten in self._forgotten.items()
            if self._recalled.get(queue_id) != forgotten.at_ms
        ]

    def admitted(self, queue_id: str, now_ms: int) -> list[AdmittedVisitor]:
        """List the visitors of a queue that this server saw let in and whose session may be on."""
        kept = self._admitted.get(queue_id)
        return kept.listed(now_ms) if kept is not None else []

    def recently_admitted(self, queue_id: str, since_ms: int, most: int) -> list[AdmittedVisitor]:
        """List the newest `most` of those that were let in after `since_ms`."""
        kept = self._admitted.get(queue_id)
        return kept.recent(since_ms, most) if kept is not None else []

    def was_recalled(self, queue_id: str, forgot_ms: int) -> None:
        """Note that the store was told whom the queue let in before it forgot."""
        self._recalled[queue_id] = forgot_ms

    def forgotten(self) -> dict[str, Forgotten]:
        """The queues of which the store has forgotten something, as of the last pass over each."""
        return self._forgotten
