"""The gatehouse: who may pass into the site, known for a second without asking the store."""

from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Protocol

import structlog
import trio

from wr.join_rules import PositionProof, Visitor
from wr.keeper import KeyKeeper
from wr.model import places
from wr.model.gate import Budget, OutagePolicy
from wr.model.queue import QueueConfig, QueueStatus
from wr.model.refusals import Unavailable
from wr.model.tokens import SessionClaims
from wr.queue_book import QueueBook
from wr.room import Entry, Line, Room, Tell, session_expired
from wr.store.admissions import Pass
from wr.store.departures import Departure
from wr.store.gates import GateCall, Passing, State
from wr.store.polls import PollKind
from wr.store.store import Store

log = structlog.get_logger("wr.gate")

FRESH_S = 1.0
"""For so long what is known of a session counts: who is terminated is out within this and a round trip."""
_MOST_KNOWN = 200_000
"""Sessions known at once, 300 bytes each; beyond that, those not asked about for longest make room."""
_MOST_IN_ONE_REPORT = 1_000
_COMING_BACK_S = 10.0
_MOST_WALKED_IN = 10_000


class Learning(Protocol):
    """Whoever takes in what an admission pass did, for the queue book and live streams."""

    async def learn(self, passes: Mapping[str, Pass | None], /) -> None:
        """Take in what a pass over each of these queues saw."""
        ...


class _Known:
    """One session: how it stood when the store was last asked, and what its holder did since."""

    __slots__ = ("asked_at", "hits", "page_views", "state")

    def __init__(self, state: State, asked_at: float) -> None:
        self.state = state
        self.asked_at = asked_at
        self.hits = 0
        self.page_views = 0


class Gatehouse:
    """Lets people pass who have a session; for most requests that is a look into a dictionary.

    What they do is counted here and reported to the store once a second for all of them together, which is
    also when it is learned whose session has ended. While the store is away everybody passes whose token is
    good and whose session was not seen to end.
    """

    def __init__(
        self,
        store: Store,
        book: QueueBook,
        room: Room,
        keeper: KeyKeeper,
        witness: Learning,
        tell: Tell,
        clock_s: Callable[[], float],
    ) -> None:
        self._store = store
        self._keeper = keeper
        self._witness = witness
        self._book = book
        self._room = room
        self._tell = tell
        self._clock_s = clock_s
        self._walked_in: dict[tuple[str, str, str], float] = {}
        self._known: dict[tuple[str, bytes], _Known] = {}
        self._away_since: float | None = None
        self._budgets: dict[str, Budget] = {}

    async def passes(self, claims: SessionClaims, *, is_page_view: bool) -> Passing | None:
        """Let the holder of a verified session token pass, and count it; None if the store cannot be asked.

        Raises:
            SessionExpired: the session has ended, or is not known.
        """
        key = (claims.queue_id, claims.position_id)
        known = self._known.get(key)
        now = self._clock_s()
        if known is None or now - known.asked_at >= FRESH_S:
            known = await self._ask(key, known, is_page_view=is_page_view)
            if known is None:
                return None
        else:
            known.hits += 1
            known.page_views += is_page_view
        if isinstance(known.state, Passing):
            return known.state
        if isinstance(known.state, places.Gone):
            raise session_expired(claims.position_id, known.state.ended_ms, known.state.reason.text)
        raise session_expired(claims.position_id)

    async def walk_in(self, queue_id: str, visitor: Visitor, *, may_wait: bool) -> Entry | Line | None:
        """Let somebody in at once where nobody has to wait; None where there is a line, or no room.

        Who joined and was not let in all the same stands in line, or, where they may not wait, leaves again.
        Three round trips for those who get in. Raises what joining and asking for a place do.
        """
        view = await self._book.get(queue_id)
        if (
            view.config.status is not QueueStatus.ACTIVE
            or view.waiting
            or view.active >= view.config.max_active_users
        ):
            return None
        who = (queue_id, visitor.address, visitor.user_agent)
        if self._clock_s() - self._walked_in.get(who, -_COMING_BACK_S) < _COMING_BACK_S:
            # Let in a moment ago, and back without a session: a client that keeps no cookies, which would be
            # let in for ever, or somebody else of the same office, whom the waiting page lets in as soon.
            return None
        # Before anything is waited for: what asks ten times at once is let in once.
        self._walked_in[who] = self._clock_s()
        while len(self._walked_in) > _MOST_WALKED_IN:
            del self._walked_in[next(iter(self._walked_in))]
        place: Entry | Line | None = None
        try:
            place = await self._admit_now(queue_id, visitor)
        finally:
            if not isinstance(place, Entry):
                self._walked_in.pop(who, None)
        if isinstance(place, Line) and not may_wait:
            await self._room.leave(await self._keeper.read_position(place.token))
            return None
        return place

    async def _admit_now(self, queue_id: str, visitor: Visitor) -> Entry | Line:
        """Join, and have the pass that would come within a quarter of a second come now."""
        place = await self._room.enqueue(queue_id, visitor, 0, {})
        if isinstance(place, Entry):
            return place
        # It lets in no more people than ever, but perhaps others with this one, whose streams nobody else
        # would tell: it is seen through.
        with trio.CancelScope(shield=True):
            await self._witness.learn(await self._store.admit([queue_id]))
        proof = PositionProof(await self._keeper.read_position(place.token), place.token)
        return await self._room.poll(proof, PollKind.STATUS)

    async def command(self, queue_id: str, position_id: bytes, command: str, seconds: int = 0) -> int:
        """Carry out what the site says of a session: `end`, `revoke`, or `extend` to `seconds` from now.

        Returns when the session ends, or has ended, in milliseconds since 1970.

        Raises:
            SessionExpired: it has ended already, or is not known.
        """
        ended: places.Gone | None = None
        if command == "extend":
            ends_ms = await self._store.extend(queue_id, position_id, seconds)
        else:
            reason = places.Reason.CANCELLED if command == "end" else places.Reason.TERMINATED
            departed = await self._store.depart(
                queue_id, Departure(position_id=position_id, reason=reason, session_only=True, subject=b"")
            )
            ended = departed.state if isinstance(departed.state, places.Gone) else None
            ends_ms = ended.ended_ms if ended is not None and departed.ended_now else None
        known = self._known.get((queue_id, position_id))
        if known is not None:
            # What is known is not true any more: it is asked for again, and what was counted goes along.
            known.asked_at = -FRESH_S
            # The store may be away just then.
            known.state = ended or known.state
        if ends_ms is None:
            raise session_expired(position_id)
        self._tell(queue_id, [position_id])
        return ends_ms

    def without_store(self, config: QueueConfig) -> bool:
        """Whether somebody without a session passes while the store is away, as the queue's policy says."""
        now = self._clock_s()
        self._gone_away()
        if config.outage_policy is OutagePolicy.CLOSED:
            return False
        away_s = 0.0 if self._away_since is None else now - self._away_since
        if away_s < config.outage_grace_seconds:
            return False
        if config.outage_policy is OutagePolicy.OPEN:
            return True
        budget = self._budgets.setdefault(config.id, Budget(config.outage_rate, now))
        return budget.spend(config.outage_rate, now)

    @property
    def is_away(self) -> bool:
        """Whether the store could not be asked when that was tried last, a second ago at most."""
        return self._away_since is not None

    async def report_for_ever(self) -> None:
        """Every second, report what people did, learn whose session has ended and that the store is there."""
        while True:
            await trio.sleep(FRESH_S)
            try:
                if not await self.report():
                    await self._store.ping()
            except Unavailable:
                # Nothing is lost: what was counted goes with the next report.
                self._gone_away()
            else:
                self._away_since = None

    async def report(self) -> bool:
        """Report everything that was counted since the last time, in a round trip for 1,000 sessions.

        Returns whether there was anything.

        Raises:
            Unavailable: the store is away; what was not reported is kept.
        """
        counted: dict[str, list[tuple[bytes, _Known]]] = {}
        for (queue_id, position_id), known in self._known.items():
            if known.hits:
                counted.setdefault(queue_id, []).append((position_id, known))
        for queue_id, sessions in counted.items():
            left = iter(sessions)
            while some := list(islice(left, _MOST_IN_ONE_REPORT)):
                await self._report(queue_id, some)
        return bool(counted)

    def _keep(self, key: tuple[str, bytes], known: _Known) -> None:
        """Keep what is known of a session as the newest there is; the oldest makes room."""
        self._known.pop(key, None)
        self._known[key] = known
        while len(self._known) > _MOST_KNOWN:
            del self._known[next(iter(self._known))]

    def _gone_away(self) -> None:
        if self._away_since is None:
            self._away_since = self._clock_s()
            log.warning("the store is away: at the gate each queue's outage policy holds")

    async def _report(self, queue_id: str, sessions: Iterable[tuple[bytes, _Known]]) -> None:
        taken = [(known, known.hits, known.page_views, position_id) for position_id, known in sessions]
        calls = [GateCall(position_id, hits, views) for _, hits, views, position_id in taken]
        asked_at = self._clock_s()
        states = await self._store.gate(queue_id, calls)
        for (known, hits, views, position_id), state in zip(taken, states, strict=True):
            known.state, known.asked_at = state, asked_at
            known.hits -= hits
            known.page_views -= views
            self._keep((queue_id, position_id), known)

    async def _ask(
        self, key: tuple[str, bytes], known: _Known | None, *, is_page_view: bool
    ) -> _Known | None:
        queue_id, position_id = key
        hits, views = (0, 0) if known is None else (known.hits, known.page_views)
        hits, views = hits + 1, views + is_page_view
        asked_at = self._clock_s()
        if known is not None:
            known.hits, known.page_views = 0, 0  # On their way; others who come meanwhile count anew.
        try:
            state = await self._store.gate_one(queue_id, GateCall(position_id, hits, views))
        except Unavailable:
            self._gone_away()
            if known is None:
                return None
            known.hits += hits
            known.page_views += views
            return known
        self._away_since = None
        # Somebody else may have asked about the same session meanwhile, and counted.
        known = self._known.get(key) or known or _Known(state, asked_at)
        known.state, known.asked_at = state, asked_at
        self._keep(key, known)
        return known
