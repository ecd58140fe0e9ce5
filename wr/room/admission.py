"""The admission loop: every interval, one pass over every queue."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

import structlog
import trio

from wr.metrics.server_metrics import AdmissionMetrics
from wr.model.refusals import Unavailable
from wr.room.admission_lanes import AdmissionLanes
from wr.store.admit import AdmissionPass
from wr.store.script_calls import QUEUES_PER_ROUND_TRIP

log = structlog.get_logger("wr.admission")

_MOST_ROUNDS = 20
_LEAST_PATIENCE_S = 0.1
"""How long a round waits for the machines of a store, at least. The next one begins without the others."""


class Admitting(Protocol):
    """What the loop needs of the store."""

    async def admit(self, queue_ids: Sequence[str], /) -> Mapping[str, AdmissionPass | None]:
        """Run one pass over each queue."""
        ...


class Listing(Protocol):
    """What the loop needs of the registry of queues."""

    async def names(self) -> list[str]:
        """List the ids of all queues."""
        ...

    async def restore(self, queue_ids: Sequence[str], /) -> list[str]:
        """List again those of these queues that exist; returns their ids."""
        ...


class Learning(Protocol):
    """What is told what passes saw."""

    async def learn(self, passes: Mapping[str, AdmissionPass | None], /) -> None:
        """Note what a pass over each of these queues saw."""
        ...


class LearningAll(Learning, Protocol):
    """The same for every queue there is; it keeps something for each."""

    def missing_from(self, queue_ids: Sequence[str], /) -> list[str]:
        """Tell which queues are not listed any more although something is kept for them."""
        ...

    def forget(self, queue_ids: Sequence[str], /) -> None:
        """Drop what is kept for these queues."""
        ...


class KeepsPerQueue(Protocol):
    """Something that keeps data for each queue."""

    def names(self) -> set[str]:
        """The queues that it keeps data for."""
        ...

    def forget(self, queue_id: str, /) -> None:
        """Drop the data of one queue."""
        ...


class Knowing(KeepsPerQueue, Protocol):
    """What the observer needs of the queue cache."""

    async def learn(self, queue_id: str, admission: AdmissionPass | None, /) -> None:
        """Note what a pass over a queue saw."""
        ...


class AdmissionObserver:
    """Hands on what passes saw to the queue cache, and tells the streams of visitors it happened to.

    Queues that were deleted, perhaps through another server, are forgotten here and by `others`.
    """

    def __init__(
        self,
        queue_cache: Knowing,
        tell: Callable[[str, Iterable[bytes] | None], None],
        *others: KeepsPerQueue,
    ) -> None:
        self._queue_cache = queue_cache
        self._tell = tell
        self._remembering: tuple[KeepsPerQueue, ...] = (queue_cache, *others)
        self._missing: set[str] = set()

    def missing_from(self, queue_ids: Sequence[str]) -> list[str]:
        """Tell which queues were missing from two lists in a row.

        A queue that was created while the store was asked for the list is in the next one.
        """
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

    async def learn(self, passes: Mapping[str, AdmissionPass | None]) -> None:
        """Take in what a pass over each of these queues saw.

        Raises:
            Unavailable: new settings of a queue could not be read; all streams have been told even so.
        """
        # Streams come first. The queue cache may have to ask for settings, and a store that is away by then
        # changes nothing about which visitors were let in.
        for queue_id, admission in passes.items():
            if admission is not None and admission.heard_ms == admission.now_ms:
                # After a gap all sessions end later than their streams were told.
                self._tell(queue_id, None)
            elif admission is not None:
                self._tell(queue_id, [*admission.admitted, *admission.dropped, *admission.ended])
        for queue_id, admission in passes.items():
            await self._queue_cache.learn(queue_id, admission)


class _Rounds:
    """Rounds of passes over every queue. Keeps the last list of queues, in case the list cannot be read."""

    def __init__(
        self,
        store: Admitting,
        registry: Listing,
        observer: LearningAll,
        nursery: trio.Nursery,
        machine_of: Callable[[str], str],
        patience_s: float,
    ) -> None:
        self._store = store
        self._registry = registry
        self._observer = observer
        self._machine_of = machine_of
        self._patience_s = patience_s
        self._listed: list[str] = []
        self._nursery = nursery
        self._listing: trio.Event | None = None
        self._lanes = AdmissionLanes(nursery, self._pass_over)
        self._has_lanes = False

    async def run(self) -> int:
        """Run a pass over every queue, and again over queues with more to do.

        Returns how many visitors were let in.

        Raises:
            Unavailable: the store cannot be reached; the next pass counts every visitor that was let in.
        """
        pending = await self._names()
        missing = self._observer.missing_from(pending)
        if missing:
            # If two operators created and deleted a queue at once and a server died just then, the queue may
            # exist without being listed. It is known here once a visitor has asked about it.
            try:
                restored = await self._registry.restore(missing)
            except Unavailable:
                # The machine of that queue is away. A later round misses it again.
                log.debug("whether queues that are not listed exist cannot be known", queues=len(missing))
            else:
                self._observer.forget([queue_id for queue_id in missing if queue_id not in restored])
                pending = [*pending, *restored]
        lanes: dict[str, list[str]] = {}
        for queue_id in pending:
            lanes.setdefault(self._machine_of(queue_id), []).append(queue_id)
        self._has_lanes = len(lanes) > 1
        if self._has_lanes:
            return await self._lanes.run(lanes, self._patience_s)
        return await self._pass_over(pending)

    async def _names(self) -> list[str]:
        """List the queues. If the machine that has the list is away, return the last list, because queues on
        other machines can still be served."""
        if not self._has_lanes:
            self._listed = await self._registry.names()
            return self._listed
        if self._listing is None:
            self._listing = trio.Event()
            self._nursery.start_soon(self._list, self._listing, name="list of queues")
        with trio.move_on_after(self._patience_s):
            await self._listing.wait()
        return self._listed

    async def _list(self, done: trio.Event) -> None:
        # Not cut short if it is slow: it may put queues back, and should finish that.
        try:
            self._listed = await self._registry.names()
        except Unavailable:
            log.debug("the list of queues is away: the last one holds")
        except Exception:
            log.exception("the queues could not be listed: the last list holds")
        finally:
            self._listing = None
            done.set()

    async def _pass_over(self, pending: Sequence[str]) -> int:
        admitted = 0
        for _ in range(_MOST_ROUNDS):
            if not pending:
                break
            passes: dict[str, AdmissionPass | None] = {}
            for start in range(0, len(pending), QUEUES_PER_ROUND_TRIP):
                # The store carries out a pass once it is sent, even if the server stops meanwhile, and only
                # its caller learns which visitors got in. The timeout of the connection, 3 s, bounds the
                # wait. The result of each round trip is noted before the next, which may fail.
                with trio.CancelScope(shield=True):
                    done = await self._store.admit(pending[start : start + QUEUES_PER_ROUND_TRIP])
                    await self._observer.learn(done)
                passes.update(done)
            admitted += sum(len(admission.admitted) for admission in passes.values() if admission is not None)
            pending = [
                queue_id for queue_id, admission in passes.items() if admission is not None and admission.more
            ]
        return admitted


async def admit_once(store: Admitting, registry: Listing, observer: LearningAll) -> int:
    """Run one round, as `run_admission` does again and again; returns how many visitors were let in.

    Raises:
        Unavailable: the store cannot be reached; the next pass counts every visitor that was let in.
    """
    admitted = 0
    failure: Exception | None = None
    async with trio.open_nursery() as nursery:
        try:
            admitted = await _Rounds(
                store, registry, observer, nursery, _one_machine, _LEAST_PATIENCE_S
            ).run()
        except Exception as error:  # noqa: BLE001 - raised below, outside of the group
            failure = error
    if failure is not None:
        raise failure
    return admitted


def _one_machine(_queue_id: str) -> str:
    return ""


async def run_admission(
    store: Admitting,
    registry: Listing,
    observer: LearningAll,
    *,
    interval_s: float,
    metrics: AdmissionMetrics | None = None,
    machine_of: Callable[[str], str] = _one_machine,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run a round every `interval_s` seconds, for ever. Reports ready after the first.

    While the store is away no visitor is let in, because only the store knows how many are inside. Any other
    failure is logged, and the next round tries again: if the loop ended, the server would end. `metrics`
    counts how late each round began, how long it took, and whether it failed.

    `machine_of` names the machine of the store that has a queue. If one of several machines is away, it holds
    up only the passes over its own queues.
    """
    async with trio.open_nursery() as nursery:
        rounds = _Rounds(store, registry, observer, nursery, machine_of, max(interval_s, _LEAST_PATIENCE_S))
        await _run_rounds(rounds, interval_s, metrics or AdmissionMetrics(), task_status)


async def _run_rounds(
    rounds: _Rounds, interval_s: float, metrics: AdmissionMetrics, task_status: trio.TaskStatus[None]
) -> None:
    is_failing = False
    is_ready = False
    due = next_pass = trio.current_time()
    while True:
        began = trio.current_time()
        # A round that takes longer than the interval makes the next one late, which counts as lag.
        metrics.lag.observe(max(0.0, began - due))
        try:
            await rounds.run()
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
        metrics.failures += is_failing
        metrics.round.observe(trio.current_time() - began)
        if not is_ready:
            is_ready = True
            task_status.started()
        # A late pass is not made up for: the tokens in the store already count the time that has passed.
        due = next_pass + interval_s
        next_pass = max(due, trio.current_time())
        await trio.sleep_until(next_pass)
