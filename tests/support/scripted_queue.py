"""Runs one queue through its scripts only, at times that a test chooses: no server, no clock, no batches."""

import itertools
import secrets
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from tests.support.clock import NO_GAP_MS
from wr.model.history import HistorySpan
from wr.model.limits import Limit
from wr.model.places import Reason
from wr.model.tokens import PositionClaims, SessionClaims
from wr.store.admit import NOTHING_KNOWN, AdmissionPass, AdmitScript, Known
from wr.store.delete import DeleteScript
from wr.store.enqueue import EnqueueScript, Join, Joined
from wr.store.find import FindScript, Found
from wr.store.flush import FlushScript
from wr.store.gate import GateCall, Gated, GateScript
from wr.store.history import HistoryScript, Notes
from wr.store.key_names import GLOBAL_TAG, KeyNames
from wr.store.leave import Departed, Departure, LeaveScript
from wr.store.limit import Counted, LimitScript, lane_of
from wr.store.poll import Poll, Polled, PollKind, PollScript
from wr.store.recall import AdmittedVisitor, RecallScript
from wr.store.restore import RestoreScript
from wr.store.script import evaluate, load_script
from wr.store.statistics import QueueStatistics, StatisticsScript
from wr.store.visit import VisitCall, Visited, VisitKind, VisitScript

NO_LIMIT = Limit(0)
START_MS = 1_800_000_000_000
_ids = itertools.count(1)

SETTINGS = {
    "name": "Test",
    "target_url": "https://shop.example/",
    "status": "active",
    "admission_rate": 10,
    "max_active_users": 1000,
    "max_queue_size": 0,
    "session_timeout_seconds": 3600,
    # With this interval, a place with an unused token is kept for the whole timeout, like a used one.
    "heartbeat_interval_seconds": 1_000_000,
    "heartbeat_timeout_seconds": 60,
    "priority_share": 1,
    "max_places_per_address": 0,
}


def new_id() -> bytes:
    """Return 16 unique bytes in random order, so that tests notice equal scores."""
    return blake2b(str(next(_ids)).encode(), digest_size=16).digest()


@dataclass
class ScriptedQueue:
    """A queue on one client. Each script gets `now_ms` as the time."""

    client: Any
    prefix: str
    limits: dict[str, Limit] = field(default_factory=dict)
    now_ms: int = START_MS
    most_per_pass: int = 2000
    least_gap_ms: int = NO_GAP_MS

    def __post_init__(self) -> None:
        self.queue_id = f"s-{secrets.token_hex(6)}"
        # A separate prefix, because joins of all queues under one prefix are counted together.
        self.keys = KeyNames(f"{self.prefix}:{self.queue_id}")
        self._is_sharded = self.client.info("cluster").get("cluster_enabled") == 1
        limit = {
            scope: self.limits.get(scope, NO_LIMIT)
            for scope in ("enqueue", "status", "heartbeat", "activity")
        }
        self._join = EnqueueScript(self.keys, limit["enqueue"])
        self._limit = LimitScript(self.keys, limit)
        self._poll = PollScript(self.keys, limit["status"], limit["heartbeat"])
        self._visit = VisitScript(self.keys, limit["status"], limit["activity"])
        self._gate = GateScript(self.keys)
        self._leave = LeaveScript(self.keys, limit["status"])
        self._version = 0

    def configure(self, **settings: Any) -> None:
        merged = {**SETTINGS, **settings} if self._version == 0 else settings
        arguments = [part for name, value in merged.items() for part in (name, str(value))]
        written, _, self._version = evaluate(
            self.client,
            load_script("configure"),
            self.keys.queue(self.queue_id, "config"),
            [self.now_ms, self._version, *arguments],
        )
        assert written

    def advance(self, seconds: float) -> None:
        self.now_ms += round(seconds * 1000)

    def join_many(self, joins: list[Join], *, is_short: bool = False) -> list[Joined]:
        used = None
        if self._is_sharded:
            counter = lane_of(Counted(GLOBAL_TAG, "enqueue", b""))
            call = self._limit.call(counter, self.now_ms, [join.subject for join in joins])
            used = [
                usage.used for usage in self._limit.replies(counter, self._call(self._limit.script, call))
            ]
        call = self._join.call(self.queue_id, self.now_ms, joins, used, is_short=is_short)
        return self._join.replies(self._call(self._join.script, call))

    def join(
        self,
        priority: int = 0,
        *,
        known: bytes = b"",
        person: bytes = b"",
        metadata: bytes = b"",
        subject: bytes = b"somebody",
        is_short: bool = False,
        **more: Any,
    ) -> Joined:
        join = Join(new_id(), known, priority, subject, person, metadata, **more)
        return self.join_many([join], is_short=is_short)[0]

    def poll(self, *ids: bytes, kind: PollKind = PollKind.STATUS) -> list[Polled]:
        polls = [Poll(position_id, kind, position_id) for position_id in ids]
        return self._poll.replies(
            self._call(self._poll.script, self._poll.call(self.queue_id, self.now_ms, polls))
        )

    def heartbeat(self, *ids: bytes) -> list[Polled]:
        return self.poll(*ids, kind=PollKind.HEARTBEAT)

    def visit(self, position_id: bytes, kind: VisitKind = VisitKind.STATUS) -> Visited:
        calls = [VisitCall(position_id, kind, position_id)]
        raw = self._call(self._visit.script, self._visit.call(self.queue_id, self.now_ms, calls))
        return self._visit.replies(raw)[0]

    def gate(self, *calls: GateCall) -> list[Gated]:
        raw = self._call(self._gate.script, self._gate.call(self.queue_id, self.now_ms, calls))
        return self._gate.replies(raw)

    def leave(self, position_id: bytes, reason: Reason = Reason.CANCELLED) -> Departed:
        departures = [Departure(position_id, reason, reason is Reason.TERMINATED, position_id)]
        raw = self._call(self._leave.script, self._leave.call(self.queue_id, self.now_ms, departures))
        return self._leave.replies(raw)[0]

    def admit(self, known: Known = NOTHING_KNOWN, *, is_short: bool = False) -> AdmissionPass:
        script = AdmitScript(self.keys, self.most_per_pass, self.least_gap_ms)
        call = script.call(self.queue_id, self.now_ms, known, is_short=is_short)
        done = script.reply(self._call(script.script, call))
        assert done is not None
        return done

    def restore(self, *claims: PositionClaims | SessionClaims, known: Known = NOTHING_KNOWN) -> list[bool]:
        """Restore the places of these tokens, as a server that knows of so many passes."""
        script = RestoreScript(self.keys)
        call = script.call(self.queue_id, self.now_ms, known, claims)
        return script.replies(self._call(script.script, call))

    def recall(self, *people: AdmittedVisitor) -> int:
        """Report the visitors that a server saw admitted; returns how many of them were waiting again."""
        script = RecallScript(self.keys)
        return script.reply(self._call(script.script, script.call(self.queue_id, self.now_ms, people)))

    def join_at(self, address_tag: bytes, person: bytes = b"", **more: Any) -> Joined:
        """Join from an address: the place's id ends with its tag, as in ids that servers generate."""
        position_id = new_id()[:12] + address_tag
        return self.join_many([Join(position_id, b"", 0, b"", person, b"", address=address_tag, **more)])[0]

    def forget_place(self, position_id: bytes) -> None:
        """Delete one place without a trace."""
        for key in self.keys.queue(self.queue_id, "waiting", "seen"):
            self.client.zrem(key, position_id)

    def forget(self) -> None:
        """Delete everything of the queue except its settings, like a store to which only these were
        restored."""
        for key in self.keys.all_of(self.queue_id):
            if not key.endswith(":config"):
                self.client.delete(key)

    def figures(self) -> QueueStatistics:
        script = StatisticsScript(self.keys)
        figures = script.reply(self._call(script.script, script.call(self.queue_id, self.now_ms)))
        assert figures is not None
        return figures

    def history(self, span: HistorySpan) -> Notes:
        script = HistoryScript(self.keys)
        notes = script.reply(self._call(script.script, script.call(self.queue_id, span, self.now_ms)))
        assert notes is not None
        return notes

    def find(self, position_id: bytes) -> Found | None:
        script = FindScript(self.keys)
        return script.reply(self._call(script.script, script.call(self.queue_id, self.now_ms, position_id)))

    def flush(self, most: int = 2000) -> list[int]:
        return self._flush(most, 0)[:3]

    def flushed(self, most: int) -> list[Any]:
        """When visitors were flushed, and which."""
        return self._flush(most, 1)[3:]

    def _flush(self, most: int, tells: int) -> list[Any]:
        script = FlushScript(self.keys)
        call = script.call(self.queue_id, self.now_ms, most, tells_ids=bool(tells))
        reply: list[Any] = self._call(script.script, call)
        return reply

    def delete(self) -> int:
        script = DeleteScript(self.keys)
        deleted: int = self._call(script.script, script.call(self.queue_id))
        return deleted

    def size(self, part: str) -> int:
        """Number of entries under one of the queue's keys."""
        (key,) = self.keys.queue(self.queue_id, part)
        kind = self.client.type(key)
        if kind == b"none":
            return 0
        return int(self.client.zcard(key) if kind == b"zset" else self.client.hlen(key))

    def _call(self, script: Any, call: tuple[list[str], list[Any]]) -> Any:
        return evaluate(self.client, script, *call)
