"""Sessions at the gate: which visitors may enter the site, known for a second without asking the store."""

from collections.abc import Callable, Sequence
from contextlib import suppress

import structlog
import trio

from wr.model.gate_rules import Budget, OutagePolicy
from wr.model.places import Admitted, Gone, Reason, Unknown
from wr.model.queue_settings import QueueConfig, QueueStatus
from wr.model.refusals import Unavailable
from wr.model.session_binding import SessionCaller
from wr.model.tokens import SessionClaims
from wr.room.admission import Learning
from wr.room.admission_on_demand import AdmissionOnDemand
from wr.room.join_rules import JoiningVisitor
from wr.room.known_sessions import KnownSession, KnownSessions, SessionKey
from wr.room.place_refusals import session_expired
from wr.room.queue_cache import QueueCache
from wr.room.visitors import HeldPlace, Tell, VisitorService
from wr.store.gate import GateCall
from wr.store.leave import Departure
from wr.store.poll import PollKind
from wr.store.store import Store

log = structlog.get_logger("wr.gate")

FRESH_S = 1.0
"""How long a cached session is trusted, in seconds. A terminated visitor is shut out after at most this plus
one round trip."""
_MOST_IN_ONE_REPORT = 1_000
_COMING_BACK_S = 10.0
_MOST_WALKED_IN = 10_000


class BoundElsewhere(Exception):
    """The session is bound to other networks or browsers than the caller's. The caller counts as one without
    a session."""

    def __init__(self, position_id: bytes) -> None:
        super().__init__("the session is bound to others")
        self.position_id = position_id


class GateSessionService:
    """Lets visitors with a session pass. For most requests that is one look-up in a dictionary.

    Requests are counted here, and reported to the store once a second for all sessions together. The answer
    to the report tells which sessions have ended. While the store is away, a visitor passes if its token is
    valid and its session is not known to have ended.
    """

    def __init__(
        self,
        store: Store,
        queue_cache: QueueCache,
        visitors: VisitorService,
        observer: Learning,
        tell: Tell,
        clock_s: Callable[[], float],
    ) -> None:
        self._store = store
        self._observer = observer
        self._queue_cache = queue_cache
        self._visitors = visitors
        self._tell = tell
        self._clock_s = clock_s
        self._walked_in: dict[tuple[str, str, str], float] = {}
        self._sessions = KnownSessions()
        self._passes = AdmissionOnDemand(self._pass_over)
        self._away_since: dict[str, float] = {}
        """Queues that the store could not be asked about, and since when; some machines may be away."""
        self._budgets: dict[str, Budget] = {}

    def passes_now(
        self, claims: SessionClaims, caller: SessionCaller, now_ms: int, *, is_page_view: bool
    ) -> bool:
        """Let the holder of a verified session token pass, and count the request, without asking the store.

        Returns False, and counts nothing, if the store has to be asked: see `passes`.
        """
        key = (claims.queue_id, claims.position_id)
        known = self._sessions.get(key)
        if known is None or not isinstance(known.place, Admitted) or known.place.expires_ms <= now_ms:
            return False
        now = self._clock_s()
        is_fresh = now - known.asked_at < FRESH_S <= now - known.refused_at(caller)
        if not is_fresh or not known.admits(caller):
            return False
        self._sessions.count(key, known, 1, is_page_view, (caller,))
        return True

    async def passes(
        self, claims: SessionClaims, caller: SessionCaller, *, is_page_view: bool
    ) -> Admitted | None:
        """Let the holder of a verified session token pass, and count the request.

        Returns the session; None if the store cannot be asked.

        Raises:
            SessionExpired: the session has ended, or is not known.
            BoundElsewhere: the session is bound to other networks or browsers than the caller's. While the
                store is away, a caller that the gate does not know is let pass.
        """
        key = (claims.queue_id, claims.position_id)
        known = self._sessions.get(key)
        now = self._clock_s()
        if known is not None and now - known.refused_at(caller) < FRESH_S:
            raise BoundElsewhere(claims.position_id)
        if known is not None and now - known.asked_at < FRESH_S and known.admits(caller):
            self._sessions.count(key, known, 1, is_page_view, (caller,))
        else:
            known = await self._ask(key, known, caller, is_page_view=is_page_view)
            if known is None:
                return None
            if known.refused_at(caller) >= now:
                raise BoundElsewhere(claims.position_id)
        if isinstance(known.place, Unknown):
            try:
                was_forgotten = await self._store.restorations.restore(claims.queue_id, claims)
            except Unavailable:
                self._gone_away(claims.queue_id)
                return None
            if was_forgotten:
                known = await self._ask(key, None, caller, is_page_view=is_page_view)
            if known is None:
                return None
        if isinstance(known.place, Admitted):
            return known.place
        raise session_expired(claims.position_id, known.place if isinstance(known.place, Gone) else None)

    async def walk_in(self, queue_id: str, visitor: JoiningVisitor, *, may_wait: bool) -> HeldPlace | None:
        """Let a visitor in at once if no visitor has to wait; None if there is a line, or no room.

        A visitor that joined and was not let in after all stays in line, or leaves again if it may not wait.
        Three round trips for a visitor that gets in. Visitors that come at once share one pass. Raises as
        `VisitorService.enqueue` and `VisitorService.poll`.
        """
        view = await self._queue_cache.get(queue_id)
        if (
            view.config.status is not QueueStatus.ACTIVE
            or view.waiting
            or view.active >= view.config.max_active_users
        ):
            return None
        who = (queue_id, visitor.address, visitor.user_agent)
        if self._clock_s() - self._walked_in.get(who, -_COMING_BACK_S) < _COMING_BACK_S:
            # A visitor that looks the same was let in a moment ago. It may be a client that keeps no cookies,
            # which would be let in again at each request, or another visitor of the same network, which the
            # waiting page lets in just as soon.
            return None
        # Noted before the first wait, so that a client that asks ten times at once is let in once.
        self._walked_in[who] = self._clock_s()
        while len(self._walked_in) > _MOST_WALKED_IN:
            del self._walked_in[next(iter(self._walked_in))]
        held: HeldPlace | None = None
        try:
            held = await self._admit_now(queue_id, visitor)
        finally:
            if held is None or not isinstance(held.place, Admitted):
                self._walked_in.pop(who, None)
        if not isinstance(held.place, Admitted) and not may_wait:
            await self._visitors.leave(held.proof.claims)
            return None
        return held

    async def _admit_now(self, queue_id: str, visitor: JoiningVisitor) -> HeldPlace:
        """Join, and run an admission pass now instead of waiting for the next one.

        The pass may let in other visitors too, and only this server can tell their streams. So the pass is
        finished even if this visitor has gone.
        """
        held = await self._visitors.enqueue(queue_id, visitor, 0, {})
        if isinstance(held.place, Admitted):
            return held
        await self._passes.after_now(queue_id)
        return await self._visitors.poll(held.proof, PollKind.STATUS)

    async def _pass_over(self, queue_id: str) -> None:
        await self._observer.learn(await self._store.passes.admit([queue_id]))

    async def command(self, queue_id: str, position_id: bytes, command: str, seconds: int = 0) -> int:
        """Carry out a command of the site on a session: `end`, `revoke`, or `extend` to `seconds` from now.

        Returns when the session ends, or ended, in milliseconds since 1970.

        Raises:
            SessionExpired: the session has ended already, or is not known.
        """
        ended: Gone | None = None
        if command == "extend":
            ends_ms = await self._store.extend(queue_id, position_id, seconds)
        else:
            reason = Reason.CANCELLED if command == "end" else Reason.TERMINATED
            departed = await self._store.depart(
                queue_id, Departure(position_id=position_id, reason=reason, session_only=True, subject=b"")
            )
            ended = departed.place if isinstance(departed.place, Gone) else None
            ends_ms = ended.ended_ms if ended is not None and departed.ended_now else None
        known = self._sessions.get((queue_id, position_id))
        if known is not None:
            # The cached state is out of date, so the next request asks the store again.
            known.asked_at = -FRESH_S
            # In case the store is away then, an ended session counts as ended.
            known.place = ended or known.place
        if ends_ms is None:
            raise session_expired(position_id)
        self._tell(queue_id, [position_id])
        return ends_ms

    def without_store(self, config: QueueConfig) -> bool:
        """Whether a visitor without a session may pass while the store is away, by the queue's policy."""
        now = self._clock_s()
        self._gone_away(config.id)
        if config.outage_policy is OutagePolicy.CLOSED:
            return False
        if now - self._away_since[config.id] < config.outage_grace_seconds:
            return False
        if config.outage_policy is OutagePolicy.OPEN:
            return True
        budget = self._budgets.setdefault(config.id, Budget(config.outage_rate, now))
        return budget.spend(config.outage_rate, now)

    def is_away(self, queue_id: str) -> bool:
        """Whether the store could not be asked about a queue at the last attempt, about a second ago."""
        return queue_id in self._away_since

    async def report_for_ever(self) -> None:
        """Once a second, report requests, learn which sessions ended, and check that the store answers."""
        while True:
            await trio.sleep(FRESH_S)
            # If the store is away, the counts are kept for the next report.
            with suppress(Unavailable):
                await self.report()
            try:
                await self._store.probe.ping()
            except Unavailable:
                for queue_id in self._queue_cache.names():
                    self._gone_away(queue_id)
                continue
            for queue_id in list(self._away_since):
                with suppress(Unavailable):
                    await self._store.queues.read(queue_id)
                    self._away_since.pop(queue_id, None)

    async def report(self) -> bool:
        """Report all that was counted since the last report. One round trip for each 1,000 sessions.

        Returns whether there was anything to report.

        Raises:
            Unavailable: the store is away, at least for one queue. Its counts are kept; those of the other
                queues were reported.
        """
        changed = self._sessions.changed(_MOST_IN_ONE_REPORT)
        failure: Unavailable | None = None
        for queue_id, sessions in changed:
            try:
                await self._report(queue_id, sessions)
            except Unavailable as error:
                self._gone_away(queue_id)
                failure = error
            else:
                self._away_since.pop(queue_id, None)
        if failure is not None:
            raise failure
        return bool(changed)

    def _gone_away(self, queue_id: str) -> None:
        if queue_id not in self._away_since:
            if not self._away_since:
                log.warning(
                    "the store is away: at the gate each queue's outage policy holds", queue_id=queue_id
                )
            self._away_since[queue_id] = self._clock_s()

    async def _report(self, queue_id: str, sessions: Sequence[tuple[bytes, KnownSession]]) -> None:
        # Taken before the store is asked, so that requests in between are counted for the next report.
        calls = [self._sessions.take((queue_id, position_id), known) for position_id, known in sessions]
        asked_at = self._clock_s()
        try:
            answers = await self._store.gate(queue_id, calls)
        except Exception:
            for (position_id, known), call in zip(sessions, calls, strict=True):
                key = (queue_id, position_id)
                self._sessions.count(key, known, call.hits, call.page_views, call.callers)
            raise
        for (position_id, known), gated in zip(sessions, answers, strict=True):
            known.place, known.asked_at = gated.place, asked_at
            if gated.refused:
                known.refuse(gated.refused, asked_at)
            self._sessions.keep((queue_id, position_id), known)

    async def _ask(
        self, key: SessionKey, known: KnownSession | None, caller: SessionCaller, *, is_page_view: bool
    ) -> KnownSession | None:
        """Ask the store about a session, and count this one request there.

        Returns the session; what was known before, or None, if the store is away. Requests that were counted
        before are left to the report.
        """
        queue_id, position_id = key
        asked_at = self._clock_s()
        try:
            gated = await self._store.gate_one(
                queue_id, GateCall(position_id, 1, int(is_page_view), (caller,))
            )
        except Unavailable:
            self._gone_away(queue_id)
            if known is not None:
                self._sessions.count(key, known, 1, is_page_view, (caller,))
            return known
        self._away_since.pop(queue_id, None)
        # Another request may have asked about the same session in between.
        known = self._sessions.get(key) or known or KnownSession(gated.place, asked_at)
        known.place, known.asked_at = gated.place, asked_at
        if gated.refused:
            known.refuse(gated.refused, asked_at)
        else:
            known.allow(caller)
        self._sessions.keep(key, known)
        return known
