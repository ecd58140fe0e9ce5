"""The admission loop: every interval, one pass over every queue."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

import structlog
import trio

from wr.measures.server_measures import AdmissionMeasures
from wr.model.refusals import Unavailable
from wr.store.admissions import Pass
from wr.store.store import QUEUES_PER_ROUND_TRIP

log = structlog.get_logger("wr.admission")

_MOST_ROUNDS = 20


class Admitting(Protocol):
    """What the loop needs of the store."""

    async def admit(self, queue_ids: Sequence[str], /) -> Mapping[str, Pass | None]:
        """Run one pass over each queue."""
        ...


class Listing(Protocol):
    """What the loop needs of the registry of queues."""

    async def names(self) -> list[str]:
        """List the ids of all queues."""
        ...

    async def restore(self, queue_ids: Sequence[str], /) -> list[str]:
        """List those of these queues again that exist; which these are."""
        ...


class Learning(Protocol):
    """What the loop tells what it saw."""

    async def learn(self, passes: Mapping[str, Pass | None], /) -> None:
        """Take in what a pass over each of these queues saw."""
        ...

    def missing_from(self, queue_ids: Sequence[str], /) -> list[str]:
        """Tell which queues that something is kept for are not listed any more."""
        ...

    def forget(self, queue_ids: Sequence[str], /) -> None:
        """Drop what is kept for these queues."""
        ...


class Remembering(Protocol):
    """Whoever keeps something for each queue."""

    def names(self) -> set[str]:
        """The queues that something is kept for."""
        ...

    def forget(self, queue_id: str, /) -> None:
        """Drop what is kept for one."""
        ...


class Knowing(Remembering, Protocol):
    """What the witness needs of the queue book."""

    async def learn(self, queue_id: str, admission: Pass | None, /) -> None:
        """Take in what a pass over a queue saw."""
        ...


class Witness:
    """Takes in what passes saw: for the queue book, and for the streams of those it happened to.

    Queues that are deleted, perhaps through another replica, are forgotten here and by `others` too.
    """

    def __init__(
        self,
        book: Knowing,
        tell: Callable[[str, Iterable[bytes] | None], None],
        *others: Remembering,
    ) -> None:
        self._book = book
        self._tell = tell
        self._remembering: tuple[Remembering, ...] = (book, *others)
        self._missing: set[str] = set()

    def missing_from(self, queue_ids: Sequence[str]) -> list[str]:
        """Tell which queues are not listed twice in a row: one that was made while the list was on its way is
        in the next."""
        remembered = set[str]().union(*(each.names() for each in self._remembering))
        missing = remembered.difference(queue_ids)
        gone = missing & self._missing
        self._missing = missing - gone
        return sorted(gone)

    def forget(self, queue_ids: Sequence[str]) -> None:
        """Drop what is kept for these queues, here and by the others."""
        for queue_id in queue_ids:
            for each in self._remembering:
                each.forget(queue_id)

    async def learn(self, passes: Mapping[str, Pass | None]) -> None:
        """Take in what a pass over each of these queues saw.

        Raises:
            Unavailable: new settings of a queue could not be read; all streams have been told even so.
        """
        # First: settings may have to be asked for, and a store that is away by then changes nothing about who
        # was let in.
        for queue_id, admission in passes.items():
            if admission is not None and admission.heard_ms == admission.now_ms:
                # Sessions end later than their streams were told.
                self._tell(queue_id, None)
            elif admission is not None:
                self._tell(queue_id, [*admission.admitted, *admission.dropped, *admission.ended])
        for queue_id, admission in passes.items():
            await self._book.learn(queue_id, admission)


async def admit_once(store: Admitting, registry: Listing, book: Learning) -> int:
    """Run a pass over every queue, again over those with more to do; returns how many people got in.

    Raises:
        Unavailable: the store cannot be reached; nobody was let in whom the next pass would not count.
    """
    admitted = 0
    pending = await registry.names()
    missing = book.missing_from(pending)
    if missing:
        # A queue that two operators created and deleted at once exists and is not listed if a server died
        # just then. Something is kept for it here once a visitor asks about it.
        restored = await registry.restore(missing)
        book.forget([queue_id for queue_id in missing if queue_id not in restored])
        pending = [*pending, *restored]
    for _ in range(_MOST_ROUNDS):
        if not pending:
            break
        passes: dict[str, Pass | None] = {}
        for start in range(0, len(pending), QUEUES_PER_ROUND_TRIP):
            # Once it is sent a pass is carried out, whether or not the server stops meanwhile; nobody but the
            # one who sent it knows whom it let in. The store's own patience, 3 s for a call, bounds it. Each
            # round trip is learned of before the next, which may fail.
            with trio.CancelScope(shield=True):
                done = await store.admit(pending[start : start + QUEUES_PER_ROUND_TRIP])
                await book.learn(done)
            passes.update(done)
        admitted += sum(len(admission.admitted) for admission in passes.values() if admission is not None)
        pending = [
            queue_id for queue_id, admission in passes.items() if admission is not None and admission.more
        ]
    return admitted


async def run_admission(
    store: Admitting,
    registry: Listing,
    book: Learning,
    *,
    interval_s: float,
    measures: AdmissionMeasures | None = None,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run a pass every `interval_s` seconds, for ever; reports ready after the first.

    While the store is away nobody is let in: people are held rather than let pass, because how many are
    inside is known there and nowhere else. Whatever else goes wrong is logged and tried again too: a loop
    that ended would take the server with it, and everyone in line. `measures` takes in how late each round
    began, how long it took, and whether it failed.
    """
    measures = measures or AdmissionMeasures()
    is_failing = False
    is_ready = False
    due = next_pass = trio.current_time()
    while True:
        began = trio.current_time()
        # Against the rhythm: a round that took longer than the interval makes the next one late.
        measures.lag.observe(max(0.0, began - due))
        try:
            await admit_once(store, registry, book)
        except Unavailable as error:
            if not is_failing:
                log.warning("nobody is let in while the store is away", error=str(error.__cause__ or error))
            is_failing = True
        except Exception:
            if not is_failing:
                log.exception("an admission pass failed and is tried again and again")
            is_failing = True
        else:
            if is_failing:
                log.info("admission passes succeed again")
            is_failing = False
        measures.failures += is_failing
        measures.round.observe(trio.current_time() - began)
        if not is_ready:
            is_ready = True
            task_status.started()
        # A pass that took long is not made up for: the tokens in the store already account for the time.
        due = next_pass + interval_s
        next_pass = max(due, trio.current_time())
        await trio.sleep_until(next_pass)
