"""The store as the use cases see it: one method per operation; those that visitors call often are batched."""

import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeVar

import msgspec
import trio

from wr.metrics.process_metrics import ProcessMetrics
from wr.model.join_denials import AddressAtLimit, BlockedUntil, Denial, JoinDenied
from wr.model.limits import Limit, Usage
from wr.model.places import Admitted, Reason, Unserved, Waiting
from wr.model.refusals import Unavailable
from wr.store.acknowledged import Acknowledging, NothingAcknowledged
from wr.store.admission_passes import AdmissionPasses
from wr.store.admit import LEAST_GAP_MS
from wr.store.announcements import Announcements
from wr.store.audit_repository import AuditRepository
from wr.store.batcher import Batcher
from wr.store.block import Blocks
from wr.store.connection import Connection
from wr.store.engines import StoreFailure
from wr.store.enqueue import EnqueueScript, Join, Joined
from wr.store.extend import ExtendScript
from wr.store.gate import GateCall, Gated, GateScript
from wr.store.joining import Joining
from wr.store.key_names import KeyNames
from wr.store.leave import Departed, Departure, LeaveScript
from wr.store.limit import Counted
from wr.store.memory_usage import StoreMemory
from wr.store.observer import StoreObserver
from wr.store.poll import Poll, Polled, PollKind, PollScript
from wr.store.probe import StoreProbe
from wr.store.queue_reports import QueueReports
from wr.store.queue_repository import LOST, QueueRepository
from wr.store.recovery_repository import RecoveryRepository
from wr.store.request_counts import RequestCounts
from wr.store.restorations import Restorations
from wr.store.revoke_pass import Revoked, RevokePassScript
from wr.store.script_calls import ScriptCalls
from wr.store.secret_repository import SecretRepository
from wr.store.store_call import Answer, StoreCall
from wr.store.visit import VisitCall, Visited, VisitKind, VisitScript
from wr.store.webhook_repository import WebhookRepository
from wr.tracing.tracer import Tracer

T = TypeVar("T")
_TURNED_AWAY = {
    Denial.LINE_FULL: "full",
    Denial.LINE_CLOSED: "maintenance",
    Denial.NO_MEMORY: "memory",
    Denial.IDENTITY_HELD: "identity",
    Denial.PASS_MISSING: "pass",
    Denial.PASS_USED_UP: "pass",
    Denial.PASS_REVOKED: "pass",
}
"""How the metrics count visitors that got no place. A reused key is the client's mistake, and not counted."""


def store_clock() -> int:
    """Give scripts no time: each takes the store's own, so that servers never disagree."""
    return 0


class StoreTimes(msgspec.Struct, frozen=True):
    """The time that scripts work with."""

    now_ms: Callable[[], int] = store_clock
    """Gives the time; 0, the default, is the clock of the store."""
    least_gap_ms: int = LEAST_GAP_MS
    """After how long without an admission pass visitors count as not heard."""


class Store:
    """Every operation on the store. All methods raise `Unavailable` if it cannot be reached.

    `metrics` counts here what happened to visitors, because both APIs, live streams and operators come by
    here. `observer` reports it to other systems.
    """

    def __init__(
        self,
        connection: Connection,
        nursery: trio.Nursery,
        keys: KeyNames,
        limits: Mapping[str, Limit],
        times: StoreTimes,
        metrics: ProcessMetrics | None = None,
        tracer: Tracer | None = None,
        observer: StoreObserver | None = None,
    ) -> None:
        process_metrics = metrics or ProcessMetrics(time.perf_counter)
        self._metrics = process_metrics.queues
        self._observer = observer
        self._keys = keys
        self._connection = connection
        self._clock = keys.shared("queues")
        self.now_ms = times.now_ms
        """The time that scripts are given: 0 for the store's own."""
        self.space = StoreMemory()
        """What is known of the store's memory."""
        self._acknowledged: Acknowledging = NothingAcknowledged()
        self.queues = QueueRepository(connection, keys)
        self.recovery = RecoveryRepository(connection, keys)
        self.secrets = SecretRepository(connection, keys)
        self.audit = AuditRepository(connection, keys)
        self.announcements = Announcements(connection, keys)
        self.webhooks = WebhookRepository(connection, keys)
        self.blocks = Blocks(connection, keys)
        self.probe = StoreProbe(connection, keys, self.space)
        calls = ScriptCalls(connection, nursery, times.now_ms, process_metrics.store, tracer)
        self.reports = QueueReports(calls, keys)
        self.passes = AdmissionPasses(
            *(calls, keys, self._acknowledged, self.space, self._metrics, observer),
            least_gap_ms=times.least_gap_ms,
        )
        self.restorations = Restorations(calls, keys, self._acknowledged)
        self._counts = RequestCounts(calls, keys, limits, self._metrics)
        self.joining = Joining(
            calls, EnqueueScript(keys, limits["enqueue"]), self._counts, self.space, observer
        )
        self.joins: Batcher[Join, Joined] = calls.batcher("enqueue", self._join)
        """Puts visitors in line."""
        poll = PollScript(keys, limits["status"], limits["heartbeat"])
        self._poll_now = calls.executor(poll)
        self.polls: Batcher[Poll, Polled] = calls.batcher("poll", self._poll)
        """Tells where visitors stand; a heartbeat also keeps the place."""
        visit = VisitScript(keys, limits["status"], limits["activity"])
        self._visit_now = calls.executor(visit)
        self.visits: Batcher[VisitCall, Visited] = calls.batcher("visit", self._visit)
        """Tells how sessions stand, and counts reports of activity."""
        self._gate_now = calls.executor(GateScript(keys))
        self._gates = calls.batcher("gate", self._gate_now)
        self._leave_now = calls.executor(LeaveScript(keys, limits["status"]))
        self._departures = calls.batcher("leave", self._depart_and_note)
        self._extend = ExtendScript(keys)
        self._revoke_pass = RevokePassScript(keys)

    def remember_with(self, acknowledged: Acknowledging, longest_hold_s: float) -> None:
        """Report to `acknowledged` what passes do, and compare the store with it.

        If the store has forgotten, no visitor is let in for `longest_hold_s` seconds at most.
        """
        self._acknowledged = acknowledged
        self.queues.acknowledged = acknowledged
        self.passes.remember_with(acknowledged, longest_hold_s)
        self.restorations.remember_with(acknowledged, longest_hold_s)

    async def _join(self, queue_id: str, joins: Sequence[Join]) -> Sequence[Joined]:
        """Put these visitors in line, and count them, which takes 0.2 µs each."""
        replies = await self.joining.join(queue_id, joins)
        tally = self._metrics.of(queue_id)
        for joined in replies:
            place = joined.place
            if isinstance(place, Waiting):
                if joined.is_new:
                    tally.joins += 1
            elif not isinstance(place, Admitted):
                self._check(queue_id, place)
                self._count_denied(queue_id, place)
        return replies

    def _count_denied(self, queue_id: str, denied: JoinDenied) -> None:
        tally = self._metrics.of(queue_id)
        if denied is Unserved.LIMITED:
            tally.limit("enqueue")
        elif isinstance(denied, AddressAtLimit):
            tally.turn_away("address")
        elif isinstance(denied, BlockedUntil):
            tally.turn_away("blocked")
        elif isinstance(denied, Denial) and denied in _TURNED_AWAY:
            tally.turn_away(_TURNED_AWAY[denied])

    async def poll(self, queue_id: str, poll: Poll) -> Polled:
        """Tell where a visitor stands, together with other callers."""
        return await self.polls.submit(queue_id, poll)

    async def _poll(self, queue_id: str, polls: Sequence[Poll]) -> Sequence[Polled]:
        replies = await self.poll_many(queue_id, polls)
        for poll, polled in zip(polls, replies, strict=False):
            if polled.place is Unserved.LIMITED:
                scope = "heartbeat" if poll.kind is PollKind.HEARTBEAT else "status"
                self._metrics.of(queue_id).limit(scope)
        return replies

    async def poll_many(self, queue_id: str, polls: Sequence[Poll]) -> Sequence[Polled]:
        """Tell where many visitors stand. One round trip."""
        replies = await self._poll_now(queue_id, polls)
        if replies:
            self._check(queue_id, replies[0].place)
        return replies

    async def visit(self, queue_id: str, call: VisitCall) -> Visited:
        """Tell how a session stands, together with other callers."""
        return await self.visits.submit(queue_id, call)

    async def _visit(self, queue_id: str, calls: Sequence[VisitCall]) -> Sequence[Visited]:
        replies = await self._visit_now(queue_id, calls)
        for call, visited in zip(calls, replies, strict=False):
            if visited.place is Unserved.LIMITED:
                scope = "status" if call.kind is VisitKind.STATUS else "activity"
                self._metrics.of(queue_id).limit(scope)
        if replies:
            self._check(queue_id, replies[0].place)
        return replies

    async def gate(self, queue_id: str, calls: Sequence[GateCall]) -> Sequence[Gated]:
        """Tell how these sessions stand, and count what was done in them. One round trip."""
        answers = await self._gate_now(queue_id, calls)
        if answers:
            self._check(queue_id, answers[0].place)
        for gated in answers:
            self._count_gated(queue_id, gated)
        return answers

    async def gate_one(self, queue_id: str, call: GateCall) -> Gated:
        """Tell how a session stands, and count what was done in it, together with other callers."""
        gated = await self._gates.submit(queue_id, call)
        self._check(queue_id, gated.place)
        self._count_gated(queue_id, gated)
        return gated

    def _count_gated(self, queue_id: str, gated: Gated) -> None:
        if gated.is_shared_now:
            self._metrics.of(queue_id).sessions_shared += 1
        if gated.refused:
            self._metrics.of(queue_id).callers_refused += len(gated.refused)

    async def extend(self, queue_id: str, position_id: bytes, seconds: int) -> int | None:
        """Let a session end that many seconds from now.

        Returns when that is, in milliseconds since 1970; None if the session is over or not known.
        """
        call = self._extend.call(queue_id, self.now_ms(), position_id, seconds)
        return self._extend.reply(await self._connection.call(self._extend.script, *call))

    async def revoke_pass(self, queue_id: str, digest: bytes, until_ms: int) -> Revoked | None:
        """Revoke a pass, so that it gives no more places; None if there is no such queue."""
        call = self._revoke_pass.call(queue_id, digest, until_ms, self.now_ms())
        return self._revoke_pass.reply(await self._connection.call(self._revoke_pass.script, *call))

    async def depart(self, queue_id: str, departure: Departure) -> Departed:
        """End a place or a session."""
        departed = await self._departures.submit(queue_id, departure)
        self._check(queue_id, departed.place)
        if departed.ended_now:
            tally = self._metrics.of(queue_id)
            if departure.reason is Reason.TERMINATED:
                tally.terminations += 1
            else:
                tally.cancellations += 1
        elif departed.place is Unserved.LIMITED:
            self._metrics.of(queue_id).limit("status")
        return departed

    async def _depart_and_note(self, queue_id: str, departures: Sequence[Departure]) -> Sequence[Departed]:
        replies = await self._leave_now(queue_id, departures)
        if self._observer is not None and self._observer.wanted:
            self._observer.departed(queue_id, departures, replies)
        return replies

    async def count(self, counted: Counted) -> Usage | None:
        """Count one request; None if its scope has no limit."""
        return await self._counts.count(counted)

    def count_call(
        self, counted: Counted, then: Callable[[Usage], Answer[T]]
    ) -> StoreCall[bytes, Usage, T] | None:
        """Return the call that counts one request and then makes an answer; None if there is no limit."""
        return self._counts.call(counted, then)

    async def flush(self, queue_id: str) -> int | None:
        """Send away every visitor in line; returns how many, or None if there is no such queue."""
        gone = None
        if self._observer is not None and self._observer.wanted:
            gone = partial(self._observer.flushed, queue_id)
        flushed = await self.queues.flush(queue_id, self.now_ms(), gone)
        if flushed:
            self._metrics.of(queue_id).flushed += flushed
        return flushed

    def forget_queue(self, queue_id: str) -> None:
        """Stop remembering a queue, because it was deleted."""
        self._acknowledged.forget(queue_id)

    def machine_of(self, queue_id: str) -> str:
        """Name the machine of the store that has a queue; empty if there is only one."""
        return self._connection.machine_of(self._keys.queue(queue_id, "config")[0])

    async def clock_ms(self) -> int:
        """Read the store's clock, in milliseconds since 1970."""
        given = self.now_ms()
        if given:
            return given
        seconds, microseconds = await self._connection.run(self._clock, lambda client: client.time())
        return int(seconds) * 1000 + int(microseconds) // 1000

    def _check(self, queue_id: str, place: object) -> None:
        """Do not believe that a queue is gone that was there a moment ago: the store may have lost it.

        Raises:
            Unavailable: the store does not know a queue that the server remembers.
        """
        if place is Unserved.NO_QUEUE and self._acknowledged.remembers(queue_id):
            raise Unavailable(LOST)


@asynccontextmanager
async def open_store(
    url: str,
    limits: Mapping[str, Limit],
    *,
    prefix: str = "wr",
    now_ms: Callable[[], int] = store_clock,
    metrics: ProcessMetrics | None = None,
    tracer: Tracer | None = None,
    observer: StoreObserver | None = None,
    least_gap_ms: int = LEAST_GAP_MS,
) -> AsyncIterator[Store]:
    """Open the store at `url`.

    Raises:
        StoreFailure: the client does not understand that URL.
    """
    try:
        connection = Connection(url, metrics=metrics.store if metrics else None)
    except ValueError as error:
        raise StoreFailure(f"store_url: {error}") from error
    try:
        async with trio.open_nursery() as nursery:
            times = StoreTimes(now_ms, least_gap_ms)
            yield Store(connection, nursery, KeyNames(prefix), limits, times, metrics, tracer, observer)
            # All callers have gone by now, so the batches that are left are not waited for.
            nursery.cancel_scope.cancel()
    finally:
        connection.close()
