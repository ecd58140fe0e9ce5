"""The store as the room sees it: one method per operation, hot ones batched."""

import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from contextvars import Context
from functools import partial
from typing import Any, Protocol, TypeVar

import msgspec
import redis
import structlog
import trio

from wr.metrics.process_metrics import ProcessMetrics
from wr.metrics.queue_metrics import NO_QUEUE
from wr.model import places
from wr.model.history import HistorySpan
from wr.model.limits import Limit, Usage
from wr.model.refusals import OutOfMemory, Unavailable
from wr.model.tokens import PositionClaims, SessionClaims
from wr.store.acknowledged import Acknowledging, NothingAcknowledged
from wr.store.admit import LEAST_GAP_MS, AdmissionPass, AdmitScript
from wr.store.announcements import Announcements
from wr.store.audit_repository import AuditRepository
from wr.store.batcher import Batcher
from wr.store.block import Blocks
from wr.store.connection import Connection
from wr.store.engines import StoreFailure
from wr.store.enqueue import EnqueueScript, InLine, Join, Joined
from wr.store.extend import ExtendScript
from wr.store.find import FindScript, Found
from wr.store.gate import GateCall, Gated, GateScript
from wr.store.history import HistoryScript, Notes
from wr.store.key_names import GLOBAL_TAG, KeyNames
from wr.store.leave import Departed, Departure, LeaveScript
from wr.store.limit import Counted, LimitScript, lane_of
from wr.store.local_limits import LocalLimits
from wr.store.memory_usage import StoreMemory, read_memory
from wr.store.observer import StoreObserver
from wr.store.poll import Poll, Polled, PollKind, PollScript
from wr.store.queue_repository import LOST, QueueRepository
from wr.store.recovery_repository import Recoveries, RestoreScript
from wr.store.revoke_pass import Revoked, RevokePassScript
from wr.store.script import Script
from wr.store.secret_repository import SecretRepository
from wr.store.silent import Silent, SilentScript
from wr.store.statistics import QueueStatistics, StatisticsScript
from wr.store.visit import VisitCall, Visited, VisitKind, VisitScript
from wr.store.webhook_repository import WebhookRepository

Item = TypeVar("Item")
Reply = TypeVar("Reply")
ItemT = TypeVar("ItemT", contravariant=True)
ReplyT = TypeVar("ReplyT", covariant=True)

log = structlog.get_logger("wr.store")

QUEUES_PER_ROUND_TRIP = 64
_HEALTH_KEPT_S = 60


def store_clock() -> int:
    """Pass the time to no script: each takes the store's own, so that replicas never disagree."""
    return 0


class StoreTimes(msgspec.Struct, frozen=True):
    """The time that scripts work with."""

    now_ms: Callable[[], int] = store_clock
    """Gives the time; 0, the default, is the clock of the store."""
    least_gap_ms: int = LEAST_GAP_MS
    """When no admission pass ran for so long, no visitor could be heard."""


class _Batched(Protocol[ItemT, ReplyT]):
    """A script that does many items in one call."""

    script: Script

    def call(self, queue_id: str, now_ms: int, items: Sequence[ItemT], /) -> tuple[list[str], list[Any]]: ...

    def replies(self, raw: list[Any], /) -> Sequence[ReplyT]: ...


class Tracing(Protocol):
    """What the store needs to have batches traced."""

    def batch(self, script: str, callers: Sequence[Context], /) -> AbstractContextManager[None]:
        """Put a span around one batch of a script."""
        ...


class Store:
    """Every operation on the store. All methods raise `Unavailable` when it cannot be reached.

    `metrics` takes in what happened to whom: here, because both APIs, live streams and operators come by.
    `observer` takes notes of it for other systems.
    """

    def __init__(
        self,
        connection: Connection,
        nursery: trio.Nursery,
        keys: KeyNames,
        limits: Mapping[str, Limit],
        times: StoreTimes,
        metrics: ProcessMetrics | None = None,
        tracing: Tracing | None = None,
        observer: StoreObserver | None = None,
    ) -> None:
        self._observer = observer
        self._keys = keys
        self._memory: Acknowledging = NothingAcknowledged()
        self._connection = connection
        self._clock = keys.shared("queues")
        self.space = StoreMemory()
        """What is known of the store's memory."""
        self._health_key = keys.shared("health")
        self._now_ms = times.now_ms
        self.now_ms = times.now_ms
        """The time that scripts are given: 0 for the store's own."""
        self._metrics = metrics or ProcessMetrics(time.perf_counter)
        self._least_gap_ms = times.least_gap_ms
        self._admit = AdmitScript(keys, gap_ms=times.least_gap_ms)
        self._restore = RestoreScript(keys)
        self.recoveries = Recoveries(connection, keys)
        self._statistics = StatisticsScript(keys)
        self._history = HistoryScript(keys)
        self._find = FindScript(keys)
        self._silent = SilentScript(keys)
        self._limit = LimitScript(keys, dict(limits))
        self.queues = QueueRepository(connection, keys)
        self.secrets = SecretRepository(connection, keys)
        self.audit = AuditRepository(connection, keys)
        self.announcements = Announcements(connection, keys)
        self.webhooks = WebhookRepository(connection, keys)
        self._tracing = tracing
        self._nursery = nursery
        self.blocks = Blocks(connection, keys)
        self._revoke_pass = RevokePassScript(keys)
        joins = self._join = EnqueueScript(keys, limits["enqueue"])
        self._is_sharded = False
        self._local_counts = LocalLimits()
        self._joins: Batcher[Join, Joined] = Batcher(
            nursery, self._join_and_note, around=self._around(joins.script)
        )
        polls = PollScript(keys, limits["status"], limits["heartbeat"])
        self._poll_now = self._executor(polls)
        self._polls: Batcher[Poll, Polled] = self._batcher(polls)
        self._visits: Batcher[VisitCall, Visited] = self._batcher(
            VisitScript(keys, limits["status"], limits["activity"])
        )
        gate = GateScript(keys)
        self._gate_now = self._executor(gate)
        self._gates: Batcher[GateCall, Gated] = self._batcher(gate)
        self._extend = ExtendScript(keys)
        departures = LeaveScript(keys, limits["status"])
        self._depart_now = self._executor(departures)
        self._departures: Batcher[Departure, Departed] = Batcher(
            nursery, self._depart_and_note, around=self._around(departures.script)
        )
        self._restores: Batcher[PositionClaims | SessionClaims, bool] = Batcher(
            nursery, self._restore_now, around=self._around(self._restore.script)
        )
        self._counts: Batcher[bytes, Usage] = Batcher(
            nursery, self._count, around=self._around(self._limit.script)
        )

    def remember_with(self, memory: Acknowledging, longest_hold_s: float) -> None:
        """Have `memory` take in what passes do, and compare the store with it.

        When the store has forgotten, no visitor is let in for `longest_hold_s` seconds at most.
        """
        self._memory = memory
        self.queues.memory = memory
        self._admit = AdmitScript(self._keys, gap_ms=self._least_gap_ms, longest_hold_s=longest_hold_s)
        self._restore = RestoreScript(self._keys, longest_hold_s)

    async def join(self, queue_id: str, join: Join) -> Joined:
        """Put someone in line. To count it costs 0.2 µs."""
        joined = await self._joins.submit(queue_id, join)
        place = joined.place
        self._check(queue_id, place)
        if isinstance(place, InLine):
            if place.is_new:
                self._metrics.queues.of(queue_id).joins += 1
        elif place is places.FULL:
            self._metrics.queues.of(queue_id).turn_away("full")
        elif place is places.CLOSED:
            self._metrics.queues.of(queue_id).turn_away("maintenance")
        elif place is places.LIMITED:
            self._metrics.queues.of(queue_id).limit("enqueue")
        elif isinstance(place, places.TooManyPlaces):
            self._metrics.queues.of(queue_id).turn_away("address")
        elif place is places.NO_MEMORY:
            self._metrics.queues.of(queue_id).turn_away("memory")
        elif place is places.TAKEN:
            self._metrics.queues.of(queue_id).turn_away("identity")
        elif isinstance(place, places.Blocked):
            self._metrics.queues.of(queue_id).turn_away("blocked")
        elif isinstance(place, places.PassRefused):
            self._metrics.queues.of(queue_id).turn_away("pass")
        return joined

    async def poll(self, queue_id: str, poll: Poll) -> Polled:
        """Tell where someone stands; with a heartbeat, keep the place."""
        polled = await self._polls.submit(queue_id, poll)
        self._check(queue_id, polled.place)
        if polled.place is places.LIMITED:
            scope = "heartbeat" if poll.kind is PollKind.HEARTBEAT else "status"
            self._metrics.queues.of(queue_id).limit(scope)
        return polled

    async def poll_many(self, queue_id: str, polls: Sequence[Poll]) -> Sequence[Polled]:
        """Tell where many people stand, in one call of its own."""
        replies: Sequence[Polled] = await self._poll_now(queue_id, polls)
        if replies:
            self._check(queue_id, replies[0].place)
        return replies

    async def visit(self, queue_id: str, call: VisitCall) -> Visited:
        """Tell how a session stands; with activity, count it."""
        visited = await self._visits.submit(queue_id, call)
        self._check(queue_id, visited.state)
        if visited.state is places.LIMITED:
            scope = "status" if call.kind is VisitKind.STATUS else "activity"
            self._metrics.queues.of(queue_id).limit(scope)
        return visited

    async def gate(self, queue_id: str, calls: Sequence[GateCall]) -> Sequence[Gated]:
        """Tell how these sessions stand, and count what was done in them. One round trip."""
        answers: Sequence[Gated] = await self._gate_now(queue_id, calls)
        if answers:
            self._check(queue_id, answers[0].state)
        for gated in answers:
            self._count_gated(queue_id, gated)
        return answers

    async def gate_one(self, queue_id: str, call: GateCall) -> Gated:
        """Tell how a session stands, and count what was done in it, together with others who ask."""
        gated = await self._gates.submit(queue_id, call)
        self._check(queue_id, gated.state)
        self._count_gated(queue_id, gated)
        return gated

    def _count_gated(self, queue_id: str, gated: Gated) -> None:
        if gated.is_shared_now:
            self._metrics.queues.of(queue_id).sessions_shared += 1
        if gated.refused:
            self._metrics.queues.of(queue_id).callers_refused += len(gated.refused)

    async def extend(self, queue_id: str, position_id: bytes, seconds: int) -> int | None:
        """Let a session end so many seconds from now; when that is, or None when it is over or not known."""
        keys, arguments = self._extend.call(queue_id, self._now_ms(), position_id, seconds)
        return self._extend.reply(await self._connection.call(self._extend.script, keys, arguments))

    async def revoke_pass(self, queue_id: str, digest: bytes, until_ms: int) -> Revoked | None:
        """Have a pass give no place any more; None when there is no such queue."""
        keys, arguments = self._revoke_pass.call(queue_id, digest, until_ms, self._now_ms())
        return self._revoke_pass.reply(await self._connection.call(self._revoke_pass.script, keys, arguments))

    async def depart(self, queue_id: str, departure: Departure) -> Departed:
        """End a place or a session."""
        departed = await self._departures.submit(queue_id, departure)
        self._check(queue_id, departed.state)
        if departed.ended_now:
            tally = self._metrics.queues.of(queue_id)
            if departure.reason is places.Reason.TERMINATED:
                tally.terminations += 1
            else:
                tally.cancellations += 1
        elif departed.state is places.LIMITED:
            self._metrics.queues.of(queue_id).limit("status")
        return departed

    async def count(self, counted: Counted) -> Usage | None:
        """Count one request; None where its scope has no limit."""
        if self._limit.limit_of(counted.scope).count == 0:
            return None
        usage = await self._counts.submit(lane_of(counted), counted.subject)
        if usage.used > usage.limit.count:
            queue_id = NO_QUEUE if counted.tag == GLOBAL_TAG else counted.tag
            self._metrics.queues.of(queue_id).limit(counted.scope)
        return usage

    async def admit(self, queue_ids: Sequence[str]) -> dict[str, AdmissionPass | None]:
        """Run an admission pass over each queue; None for those that do not exist, none for those that fail.

        One round trip, so that all that was done is known, or nothing was.

        Raises:
            ValueError: more than 64 queues, which would be several round trips; nothing was done.
        """
        if len(queue_ids) > QUEUES_PER_ROUND_TRIP:
            raise ValueError(f"{QUEUES_PER_ROUND_TRIP} queues at most in one pass, not {len(queue_ids)}")
        # Once it is sent a pass is carried out, and nobody but the one who sent it knows whom it let in. The
        # connection's patience for a call bounds it.
        with trio.CancelScope(shield=True):
            replies = await self._of_each(self._admit.script, queue_ids, self._pass_call)
        passes = {queue_id: self._admit.reply(reply) for queue_id, reply in replies.items()}
        for queue_id, done in passes.items():
            if done is None:
                self._memory.not_found(queue_id)
            else:
                self._memory.learn(queue_id, done)
                self._count_pass(queue_id, done)
                if self._observer is not None and self._observer.wanted:
                    self._observer.passed(queue_id, done)
        return passes

    def _pass_call(self, queue_id: str) -> tuple[list[str], list[Any]]:
        known, is_short = self._memory.known(queue_id), self.space.is_short
        return self._admit.call(queue_id, self._now_ms(), known, is_short=is_short)

    async def restore(self, queue_id: str, claims: PositionClaims | SessionClaims) -> bool:
        """Put back what a verified token tells of and the store has forgotten, together with others that ask.

        Returns whether its place or session is there now.

        Raises:
            Unavailable: the store is away, or this server has been without it for so long that it may not see
                what the store has forgotten.
        """
        is_there = await self._restores.submit(queue_id, claims)
        if not is_there and self._memory.may_be_outdated(queue_id):
            raise Unavailable("The waiting room has lost sight of its store for a while")
        return is_there

    async def restore_many(
        self, queue_id: str, claims: Sequence[PositionClaims | SessionClaims]
    ) -> Sequence[bool]:
        """Put back what these tokens of a queue tell of, in one call of its own; raises as `restore`."""
        are_there = await self._restore_now(queue_id, claims)
        if not all(are_there) and self._memory.may_be_outdated(queue_id):
            raise Unavailable("The waiting room has lost sight of its store for a while")
        return are_there

    async def _restore_now(
        self, queue_id: str, claims: Sequence[PositionClaims | SessionClaims]
    ) -> Sequence[bool]:
        known = self._memory.known(queue_id)
        self._metrics.store.of(self._restore.script.name).items.observe(len(claims))
        keys, arguments = self._restore.call(queue_id, self._now_ms(), known, claims)
        return self._restore.replies(await self._connection.call(self._restore.script, keys, arguments))

    def forget_queue(self, queue_id: str) -> None:
        """Remember a queue no longer, because it was deleted."""
        self._memory.forget(queue_id)

    def _check(self, queue_id: str, place: object) -> None:
        """Refuse to believe that a queue is gone that was there a moment ago: the store may have lost it.

        Raises:
            Unavailable: the store does not know a queue that the server remembers.
        """
        if place is places.NO_QUEUE and self._memory.remembers(queue_id):
            raise Unavailable(LOST)

    def _count_pass(self, queue_id: str, done: AdmissionPass) -> None:
        """Count what a pass did; 0.2 µs for each person let in."""
        tally = self._metrics.queues.of(queue_id)
        tally.admissions += len(done.admitted)
        tally.expiries += len(done.dropped)
        tally.sessions_ended += len(done.ended)
        if done.heard_ms != tally.heard_ms:
            # Another server's pass may have seen the gap, or one whose reply was lost with the store. Gaps
            # from before this process started are not its own.
            if tally.heard_ms >= 0 or done.heard_ms == done.now_ms:
                tally.gaps += 1
                log.warning(
                    "visitors could not be heard: their places are kept, their sessions last longer",
                    queue_id=queue_id,
                    gap_s=done.gap_ms / 1000,
                )
            tally.heard_ms = done.heard_ms
        for waited_ms in done.waits_ms:
            tally.waits.observe(waited_ms / 1000)

    async def figures(self, queue_id: str) -> QueueStatistics | None:
        """Read a queue's figures; None when there is no such queue."""
        keys, arguments = self._statistics.call(queue_id, self._now_ms())
        return self._statistics.reply(await self._connection.call(self._statistics.script, keys, arguments))

    async def figures_of(self, queue_ids: Sequence[str]) -> dict[str, QueueStatistics | None]:
        """Read the figures of these queues; None for those that do not exist, none for those that fail.

        One round trip for each 64 queues.
        """
        replies = await self._of_each(
            self._statistics.script,
            queue_ids,
            lambda queue_id: self._statistics.call(queue_id, self._now_ms()),
        )
        return {queue_id: self._statistics.reply(reply) for queue_id, reply in replies.items()}

    async def silent(self, queue_id: str, timeout_s: int) -> Silent | None:
        """Count those who wait, and those of them not heard for so long; None when there is no such queue."""
        keys, arguments = self._silent.call(queue_id, self._now_ms(), timeout_s)
        return self._silent.reply(await self._connection.call(self._silent.script, keys, arguments))

    async def history(self, queue_id: str, span: HistorySpan) -> Notes | None:
        """Read the notes of a queue's history; None when there is no such queue."""
        keys, arguments = self._history.call(queue_id, span, self._now_ms())
        return self._history.reply(await self._connection.call(self._history.script, keys, arguments))

    async def find(self, queue_ids: Sequence[str], position_id: bytes) -> tuple[str, Found] | None:
        """Look for somebody in these queues: which one, and what it knows; None when none knows of them.

        Changes and counts nothing. One round trip for each 64 queues.
        """
        replies = await self._of_each(
            self._find.script,
            queue_ids,
            lambda queue_id: self._find.call(queue_id, self._now_ms(), position_id),
        )
        for queue_id, reply in replies.items():
            found = self._find.reply(reply)
            if found is not None:
                return queue_id, found
        return None

    async def flush(self, queue_id: str) -> int | None:
        """Send away everyone who waits; how many, or None when there is no such queue."""
        gone = None
        if self._observer is not None and self._observer.wanted:
            gone = partial(self._observer.flushed, queue_id)
        flushed = await self.queues.flush(queue_id, self._now_ms(), gone)
        if flushed:
            self._metrics.queues.of(queue_id).flushed += flushed
        return flushed

    async def ping(self) -> None:
        """Make one round trip; a store of several machines is there as long as one of them answers."""
        await self._connection.ping()

    def place_of(self, queue_id: str) -> str:
        """Name the machine of the store that has a queue; empty where there is one only."""
        return self._connection.place_of(self._keys.queue(queue_id, "config")[0])

    async def prove_write(self) -> None:
        """Have the store write something small. One round trip."""
        key = self._health_key
        try:
            await self._connection.run(key, lambda client: client.set(key, 1, ex=_HEALTH_KEPT_S))
        except Unavailable:
            if not self._connection.is_sharded:
                raise
            # Queues on other machines are served all the same.
            await self._connection.ping()

    async def read_memory(self) -> None:
        """Take in how much memory the store uses, and how much it may. One round trip."""
        told = await self._connection.run(self._health_key, lambda client: read_memory(client.info))
        self.space.take(*(told or (None, None)))

    @property
    def is_short(self) -> bool:
        """Whether the store has no memory for new places."""
        return self.space.is_short

    async def clock_ms(self) -> int:
        """Read the store's clock: milliseconds since 1970."""
        given = self._now_ms()
        if given:
            return given
        seconds, microseconds = await self._connection.run(self._clock, lambda client: client.time())
        return int(seconds) * 1000 + int(microseconds) // 1000

    async def _of_each(
        self, script: Script, queue_ids: Sequence[str], call: Callable[[str], tuple[list[str], list[Any]]]
    ) -> dict[str, Any]:
        """Run a script for each queue, 64 in one round trip; the replies of those it did not fail for."""
        replied: dict[str, Any] = {}
        for start in range(0, len(queue_ids), QUEUES_PER_ROUND_TRIP):
            chunk = queue_ids[start : start + QUEUES_PER_ROUND_TRIP]
            replies = await self._connection.call_each(script, [call(queue_id) for queue_id in chunk])
            for queue_id, reply in zip(chunk, replies, strict=True):
                if isinstance(reply, Unavailable):
                    # Its machine is away, which the connection has said once; the others' replies are here.
                    continue
                if isinstance(reply, Exception):
                    # One queue's trouble holds up its own line and nobody else's.
                    log.error(
                        "a queue's script failed", script=script.name, queue_id=queue_id, error=str(reply)
                    )
                    continue
                replied[queue_id] = reply
        return replied

    def _batcher(self, batched: _Batched[Item, Reply]) -> Batcher[Item, Reply]:
        return Batcher(self._nursery, self._executor(batched), around=self._around(batched.script))

    def _around(self, script: Script) -> Callable[[Sequence[Context]], AbstractContextManager[None]] | None:
        return None if self._tracing is None else partial(self._tracing.batch, script.name)

    def _executor(self, batched: _Batched[Item, Reply]) -> Any:
        tally = self._metrics.store.of(batched.script.name)

        async def execute(queue_id: str, items: Sequence[Item]) -> Sequence[Reply]:
            tally.items.observe(len(items))
            keys, arguments = batched.call(queue_id, self._now_ms(), items)
            return batched.replies(await self._connection.call(batched.script, keys, arguments))

        return execute

    async def _join_now(self, queue_id: str, joins: Sequence[Join]) -> Sequence[Joined]:
        """Put these in line. One round trip; two where the count of joins over all queues, which the script
        keeps, is on another shard than the queue."""
        script = self._join.script
        self._metrics.store.of(script.name).items.observe(len(joins))
        if not (self._is_sharded or self._connection.is_sharded):
            try:
                return await self._put_in_line(queue_id, joins, None)
            except redis.exceptions.ClusterCrossSlotError:
                # Nothing was done. A store of several slots says so at the first join, and for good.
                self._is_sharded = True
        used = [0] * len(joins)
        counted = [index for index, join in enumerate(joins) if join.subject]
        if counted and self._limit.limit_of("enqueue").count:
            lane = lane_of(Counted(GLOBAL_TAG, "enqueue", b""))
            usages = await self._count(lane, [joins[index].subject for index in counted])
            for index, usage in zip(counted, usages, strict=True):
                used[index] = usage.used
        return await self._put_in_line(queue_id, joins, used)

    async def _put_in_line(
        self, queue_id: str, joins: Sequence[Join], used: Sequence[int] | None
    ) -> Sequence[Joined]:
        """Give these places; where there is no memory for new ones, find those that are held."""
        is_short = self.space.is_short
        try:
            replies = await self._join_once(queue_id, joins, used, is_short=is_short)
        except OutOfMemory:
            # Nobody got a place, and none was counted here: a script that counts goes on without memory.
            is_short = True
            self.space.found_full()
            replies = await self._join_once(queue_id, joins, used, is_short=True)
        if not is_short and any(joined.place is places.NO_MEMORY for joined in replies):
            self.space.found_full()
        return replies

    async def _join_once(
        self, queue_id: str, joins: Sequence[Join], used: Sequence[int] | None, *, is_short: bool
    ) -> Sequence[Joined]:
        keys, arguments = self._join.call(queue_id, self._now_ms(), joins, used, is_short=is_short)
        return self._join.replies(await self._connection.call(self._join.script, keys, arguments))

    async def _join_and_note(self, queue_id: str, joins: Sequence[Join]) -> Sequence[Joined]:
        replies: Sequence[Joined]
        if self._observer is None or not self._observer.wanted:
            replies = await self._join_now(queue_id, joins)
            return replies
        with self._observer.joining(queue_id) as note:
            replies = await self._join_now(queue_id, joins)
            note(joins, replies)
        return replies

    async def _depart_and_note(self, queue_id: str, departures: Sequence[Departure]) -> Sequence[Departed]:
        replies: Sequence[Departed] = await self._depart_now(queue_id, departures)
        if self._observer is not None and self._observer.wanted:
            self._observer.departed(queue_id, departures, replies)
        return replies

    async def _count(self, counter: str, subjects: Sequence[bytes]) -> Sequence[Usage]:
        self._metrics.store.of(self._limit.script.name).items.observe(len(subjects))
        keys, arguments = self._limit.call(counter, self._now_ms(), subjects)
        try:
            raw = await self._connection.call(self._limit.script, keys, arguments)
        except Unavailable:
            scope, _, tag = counter.partition("@")
            if tag != GLOBAL_TAG or not self._connection.is_sharded:
                raise
            # Queues on other machines go on; were all away, what is counted here would fail by itself.
            now_ms = self._now_ms() or time.time_ns() // 1_000_000
            return self._local_counts.count(counter, self._limit.limit_of(scope), subjects, now_ms)
        return self._limit.replies(counter, raw)


@asynccontextmanager
async def open_store(
    url: str,
    limits: Mapping[str, Limit],
    *,
    prefix: str = "wr",
    now_ms: Callable[[], int] = store_clock,
    metrics: ProcessMetrics | None = None,
    tracing: Tracing | None = None,
    observer: StoreObserver | None = None,
    least_gap_ms: int = LEAST_GAP_MS,
) -> AsyncIterator[Store]:
    """Open the store at `url`.

    Raises:
        StoreFailure: it is not a URL that the client understands.
    """
    try:
        connection = Connection(url, metrics=metrics.store if metrics else None)
    except ValueError as error:
        raise StoreFailure(f"store_url: {error}") from error
    try:
        async with trio.open_nursery() as nursery:
            times = StoreTimes(now_ms, least_gap_ms)
            yield Store(connection, nursery, KeyNames(prefix), limits, times, metrics, tracing, observer)
            # Callers are gone by now; a batch nobody waits for need not be waited for either.
            nursery.cancel_scope.cancel()
    finally:
        connection.close()
