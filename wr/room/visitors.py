"""What visitors do: join, ask, keep and leave a place, and use a session. One method for each use case."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Generic, TypeVar

import msgspec

from wr.model.ids import id_text, session_id_bytes, session_id_text
from wr.model.limits import Limit, Usage
from wr.model.places import Admitted, Gone, Reason, Unknown, Unserved, Waiting
from wr.model.refusals import NotFound, Refusal
from wr.model.tokens import PositionClaims, PositionProof, SessionClaims
from wr.room.join_rules import JoiningVisitor, Metadata, holder_of, join_of, join_refusal
from wr.room.place_refusals import position_expired, rate_limited, session_expired, token_expired
from wr.room.queue_cache import QueueCache, QueueView, no_such_queue
from wr.room.session_tokens import SessionTokens
from wr.room.signing_keys import SigningKeys
from wr.store.enqueue import Join, Joined
from wr.store.leave import Departure
from wr.store.poll import Poll, Polled, PollKind
from wr.store.store import Store
from wr.store.store_call import Answer, Later, StoreCall, settled
from wr.store.visit import VisitCall, Visited, VisitKind

P = TypeVar("P")
T = TypeVar("T")

Tell = Callable[[str, Iterable[bytes] | None], None]
"""Tells live streams that something happened to these visitors of a queue; None is all of its visitors."""


class HeldPlace(msgspec.Struct, gc=False):
    """A place that a visitor holds, in line or inside, and the tokens that prove it.

    Not frozen: the token of a session is added when it is signed.
    """

    proof: PositionProof
    place: Waiting | Admitted
    view: QueueView
    queue_length: int
    usage: Usage | None
    session_token: str = ""
    """The token of the session; empty for a visitor that waits."""
    is_new: bool = False
    """Whether this call took the place."""

    @property
    def estimated_wait_s(self) -> int:
        """How long the visitor will wait, in seconds; 0 once it is inside."""
        if isinstance(self.place, Waiting):
            return self.view.estimated_wait_s(self.place.position, self.proof.claims.priority)
        return 0


class Standing(msgspec.Struct, Generic[P], frozen=True):
    """Where a visitor stands at `now_ms`, and what was used of the limit."""

    place: P
    now_ms: int
    usage: Usage | None


class VisitorService:
    """Visitors' use cases. All raise `Unavailable` if the store is away: nothing is promised then."""

    def __init__(
        self,
        store: Store,
        signing_keys: SigningKeys,
        queue_cache: QueueCache,
        *,
        tell: Tell,
        limits: dict[str, Limit],
        clock_ms: Callable[[], int],
        random_bytes: Callable[[int], bytes],
        token_lifetime_s: float,
    ) -> None:
        self._store = store
        self._signing_keys = signing_keys
        self._queue_cache = queue_cache
        self._limits = limits
        self._clock_ms = clock_ms
        self._random_bytes = random_bytes
        self._token_lifetime_s = token_lifetime_s
        self._session_tokens = SessionTokens(signing_keys)
        self._tell = tell

    def last_seen(self, queue_id: str) -> QueueView | None:
        """Return a queue as this server last saw it, without asking the store; None if it has not seen it."""
        return self._queue_cache.last_seen(queue_id)

    async def view(self, queue_id: str) -> QueueView:
        """Return a queue as this server last saw it; raises `NotFound` if there is none."""
        return await self._queue_cache.get(queue_id)

    async def enqueue(
        self, queue_id: str, visitor: JoiningVisitor, priority: int, metadata: Metadata
    ) -> HeldPlace:
        """Put the visitor in line, or find the place that it holds already; raises as `begin_enqueue`."""
        return await settled(self.begin_enqueue(queue_id, visitor, priority, metadata, _same))

    def begin_enqueue(
        self,
        queue_id: str,
        visitor: JoiningVisitor,
        priority: int,
        metadata: Metadata,
        then: Callable[[HeldPlace], T],
    ) -> Answer[T]:
        """Put the visitor in line, or find the place that it holds already, and make an answer of it.

        Raises, at once or when the reply comes:
            NotFound: no such queue.
            InvalidRequest: the metadata is longer than 4 KiB.
            QueueFull, StoreFull, Maintenance, RateLimited: no new place for now.
            IdentityTaken, TooManyPlaces, Blocked: no new place for this visitor, or this address.
            PassRequired, PassInvalid: no new place without a pass, or with this one.
        """
        view = self._queue_cache.last_seen(queue_id)
        proof = visitor.proof
        if view is None or (proof is not None and proof.claims.queue_id == queue_id):
            return Later(partial(self._enqueue_later, queue_id, visitor, priority, metadata, then))
        return self._join(view, visitor, priority, metadata, then)

    async def _enqueue_later(
        self,
        queue_id: str,
        visitor: JoiningVisitor,
        priority: int,
        metadata: Metadata,
        then: Callable[[HeldPlace], T],
    ) -> Answer[T]:
        """Join a queue that this server has not seen, or with a token whose place may have been forgotten."""
        view = await self._queue_cache.get(queue_id)
        if visitor.proof is not None and visitor.proof.claims.queue_id == queue_id:
            await self._bring_back(visitor.proof.claims)
        return self._join(view, visitor, priority, metadata, then)

    def _join(
        self,
        view: QueueView,
        visitor: JoiningVisitor,
        priority: int,
        metadata: Metadata,
        then: Callable[[HeldPlace], T],
    ) -> Answer[T]:
        join = join_of(
            view.config,
            visitor,
            priority,
            metadata,
            address_key=self._signing_keys.address_key,
            random_bytes=self._random_bytes,
        )
        finish = partial(self._joined, view, visitor, join, then)
        return StoreCall(self._store.joins, view.config.id, join, finish)

    def _joined(
        self,
        view: QueueView,
        visitor: JoiningVisitor,
        join: Join,
        then: Callable[[HeldPlace], T],
        joined: Joined,
    ) -> Answer[T]:
        queue_id, place = view.config.id, joined.place
        usage = self._usage("enqueue", joined.used, joined.now_ms)
        if not isinstance(place, Waiting | Admitted):
            raise join_refusal(place, queue_id, usage) or self._not_served(place, queue_id, usage)
        proof = self._proof_of(_claims_of(queue_id, visitor, join, joined, place), visitor.proof)
        held = HeldPlace(proof, place, view, joined.queue_length, usage, "", joined.is_new)
        return then(held) if isinstance(place, Waiting) else self._inside(held, place, then)

    async def poll(self, proof: PositionProof, kind: PollKind) -> HeldPlace:
        """Tell where the holder of a position token stands; raises as `begin_poll`."""
        return await settled(self.begin_poll(proof, kind, _same))

    def begin_poll(self, proof: PositionProof, kind: PollKind, then: Callable[[HeldPlace], T]) -> Answer[T]:
        """Find out where the holder of a position token stands, and make an answer of it. A heartbeat also
        keeps the place.

        Raises, at once or when the reply comes:
            NotFound: no such queue; for a status call also: no such position, or one that was cancelled.
            PositionExpired: the place or its session is over; for a heartbeat also: no such position.
            RateLimited: too many calls in this window.
        """
        claims = proof.claims
        view = self._queue_cache.last_seen(claims.queue_id)
        if view is None:
            return Later(partial(self._poll_later, proof, kind, then))
        asked = Poll(claims.position_id, kind, claims.position_id)
        return StoreCall(
            self._store.polls, claims.queue_id, asked, partial(self._polled, proof, kind, view, then)
        )

    async def _poll_later(
        self, proof: PositionProof, kind: PollKind, then: Callable[[HeldPlace], T]
    ) -> Answer[T]:
        """Poll a queue that this server has not seen yet."""
        await self._queue_cache.get(proof.claims.queue_id)
        return self.begin_poll(proof, kind, then)

    def _polled(
        self,
        proof: PositionProof,
        kind: PollKind,
        view: QueueView,
        then: Callable[[HeldPlace], T],
        polled: Polled,
    ) -> Answer[T]:
        place = polled.place
        usage = self._usage(
            "heartbeat" if kind is PollKind.HEARTBEAT else "status", polled.used, polled.now_ms
        )
        if isinstance(place, Waiting):
            return then(HeldPlace(self._fresh(proof), place, view, polled.queue_length, usage))
        if isinstance(place, Admitted):
            return self._inside(HeldPlace(proof, place, view, polled.queue_length, usage), place, then)
        if isinstance(place, Unknown):
            return Later(partial(self._restore_and_poll, proof, kind, view, then, polled))
        raise self._no_place(proof.claims, place, kind, usage)

    async def _restore_and_poll(
        self,
        proof: PositionProof,
        kind: PollKind,
        view: QueueView,
        then: Callable[[HeldPlace], T],
        polled: Polled,
    ) -> Answer[T]:
        """Ask again for a place that the store does not know, if it had forgotten it."""
        claims = proof.claims
        if await self._was_forgotten(claims):
            polled = await self._store.poll(
                claims.queue_id, Poll(claims.position_id, kind, claims.position_id)
            )
        if not isinstance(polled.place, Unknown):
            return self._polled(proof, kind, view, then, polled)
        usage = self._usage(
            "heartbeat" if kind is PollKind.HEARTBEAT else "status", polled.used, polled.now_ms
        )
        raise self._no_place(claims, polled.place, kind, usage)

    def _no_place(
        self, claims: PositionClaims, place: Gone | Unknown | Unserved, kind: PollKind, usage: Usage | None
    ) -> Refusal:
        """Say why a poll found no place."""
        if isinstance(place, Unserved):
            return self._not_served(place, claims.queue_id, usage)
        is_over, is_heartbeat = self._is_over(claims), kind is PollKind.HEARTBEAT
        if isinstance(place, Gone):
            if place.reason is Reason.CANCELLED and not is_over and not is_heartbeat:
                return NotFound(
                    "You have left the queue", usage=usage, position_id=id_text(claims.position_id)
                )
            return position_expired(claims.position_id, place, usage)
        if is_over:
            return token_expired(claims, usage)
        if is_heartbeat:
            return position_expired(claims.position_id, usage=usage)
        return NotFound("There is no such position", usage=usage, position_id=id_text(claims.position_id))

    def _inside(self, held: HeldPlace, place: Admitted, then: Callable[[HeldPlace], T]) -> Answer[T]:
        """Add the token of the session to a place that has become one. A new token has to be waited for."""
        position_id = held.proof.claims.position_id
        token = self._session_tokens.kept(position_id, place)
        if token is None:
            return Later(partial(self._sign_session, held, place, then))
        held.session_token = token
        return then(held)

    async def _sign_session(
        self, held: HeldPlace, place: Admitted, then: Callable[[HeldPlace], T]
    ) -> Answer[T]:
        held.session_token = await self._session_tokens.of(
            held.proof.claims.position_id, held.view.config.id, place
        )
        return then(held)

    async def session_token(self, position_id: bytes, queue_id: str, place: Admitted) -> str:
        """Return the token of a session as it is now, with the end that it has by now."""
        return await self._session_tokens.of(position_id, queue_id, place)

    async def leave(self, claims: PositionClaims | SessionClaims) -> Standing[Gone]:
        """Give up the place, or end the session it became, so that another visitor gets in.

        Raises:
            NotFound: no such queue, or the position is not there any more; or no such session.
            PositionExpired: the position is not there any more, and the token has expired.
            SessionExpired: the session has ended already.
            RateLimited: too many calls in this window.
        """
        is_session = isinstance(claims, SessionClaims)
        departure = Departure(
            position_id=claims.position_id,
            reason=Reason.CANCELLED,
            session_only=is_session,
            # Counted apart from status calls, so that a visitor can leave however often it asked.
            subject=b"leave" + (session_id_bytes(claims.position_id) if is_session else claims.position_id),
        )
        departed = await self._store.depart(claims.queue_id, departure)
        if isinstance(departed.place, Unknown) and await self._was_forgotten(claims):
            departed = await self._store.depart(claims.queue_id, departure)
        usage = self._usage("status", departed.used, departed.now_ms)
        place = departed.place
        if isinstance(place, Unserved):
            raise self._not_served(place, claims.queue_id, usage)
        if departed.ended_now and isinstance(place, Gone):
            self._tell(claims.queue_id, [claims.position_id])
            return Standing(place, departed.now_ms, usage)
        if isinstance(claims, PositionClaims):
            if self._is_over(claims):
                raise token_expired(claims, usage)
            raise NotFound("There is no such position", usage=usage, position_id=id_text(claims.position_id))
        if isinstance(place, Gone):
            raise session_expired(claims.position_id, place, usage)
        self._refuse_if_over(claims, usage)
        session_id = session_id_text(claims.position_id)
        raise NotFound("There is no such session", usage=usage, session_id=session_id)

    def begin_session(
        self, claims: SessionClaims, kind: VisitKind, then: Callable[[Standing[Admitted]], T]
    ) -> Answer[T]:
        """Find out how a session stands, record activity in it, and make an answer of it.

        Raises, when the reply comes:
            NotFound: no such queue; for a status call also: no such session.
            SessionExpired: the session is over; for activity also: no such session.
            RateLimited: too many calls in this window.
        """
        asked = VisitCall(claims.position_id, kind, session_id_bytes(claims.position_id))
        return StoreCall(
            self._store.visits, claims.queue_id, asked, partial(self._visited, claims, asked, then)
        )

    def _visited(
        self,
        claims: SessionClaims,
        asked: VisitCall,
        then: Callable[[Standing[Admitted]], T],
        visited: Visited,
    ) -> Answer[T]:
        place = visited.place
        if isinstance(place, Admitted):
            usage = self._visit_usage(asked, visited)
            return then(Standing(place, visited.now_ms, usage))
        if isinstance(place, Unknown):
            return Later(partial(self._restore_and_visit, claims, asked, then, visited))
        raise self._no_session(claims, asked, visited)

    async def _restore_and_visit(
        self,
        claims: SessionClaims,
        asked: VisitCall,
        then: Callable[[Standing[Admitted]], T],
        visited: Visited,
    ) -> Answer[T]:
        """Ask again for a session that the store does not know, if it had forgotten it."""
        if await self._was_forgotten(claims):
            visited = await self._store.visit(claims.queue_id, asked)
        if not isinstance(visited.place, Unknown):
            return self._visited(claims, asked, then, visited)
        raise self._no_session(claims, asked, visited)

    def _no_session(self, claims: SessionClaims, asked: VisitCall, visited: Visited) -> Refusal:
        """Say why a visit found no session."""
        place, usage = visited.place, self._visit_usage(asked, visited)
        if isinstance(place, Gone):
            return session_expired(claims.position_id, place, usage)
        if isinstance(place, Unserved):
            return self._not_served(place, claims.queue_id, usage)
        self._refuse_if_over(claims, usage)
        if asked.kind is VisitKind.STATUS:
            return NotFound(
                "There is no such session", usage=usage, session_id=session_id_text(claims.position_id)
            )
        return session_expired(claims.position_id, usage=usage)

    def _visit_usage(self, asked: VisitCall, visited: Visited) -> Usage | None:
        scope = "status" if asked.kind is VisitKind.STATUS else "activity"
        return self._usage(scope, visited.used, visited.now_ms)

    def _refuse_if_over(self, claims: SessionClaims, usage: Usage | None) -> None:
        """Refuse a session that the store does not know, if its token says that it has ended."""
        ended_ms = claims.expires_s * 1000
        if self._clock_ms() >= ended_ms:
            raise session_expired(claims.position_id, Gone(ended_ms, Reason.SESSION_TIMEOUT), usage)

    async def _bring_back(self, claims: PositionClaims) -> None:
        """Put the place of a token back, if the store has forgotten it.

        Asked together with other callers. One more call if the store does not know the place.
        """
        looked = await self._store.poll(claims.queue_id, Poll(claims.position_id, PollKind.LOOK, b""))
        if isinstance(looked.place, Unknown):
            await self._was_forgotten(claims)

    async def _was_forgotten(self, claims: PositionClaims | SessionClaims) -> bool:
        """Whether the store had forgotten the place or session of a token, and has it again now."""
        return await self._store.restorations.restore(claims.queue_id, claims)

    def _proof_of(self, wanted: PositionClaims, proof: PositionProof | None) -> PositionProof:
        """Return the token of a place: the one that was sent, as long as it is fresh, or a new one."""
        # A pass may have raised the place since its token was signed.
        if (
            proof is not None
            and proof.claims.position_id == wanted.position_id
            and proof.claims.priority == wanted.priority
        ):
            return self._fresh(proof)
        return self.renewed(wanted)

    def _fresh(self, proof: PositionProof) -> PositionProof:
        """Return the token unchanged until half its life is over, then a new one."""
        if self._clock_ms() < proof.claims.half_over_ms:
            return proof
        return self.renewed(proof.claims)

    def renewed(self, claims: PositionClaims) -> PositionProof:
        """Sign a token of the same place that is valid from now on."""
        issued_s = self._clock_ms() // 1000
        fresh = msgspec.structs.replace(
            claims, issued_s=issued_s, expires_s=issued_s + max(1, int(self._token_lifetime_s))
        )
        return PositionProof(fresh, self._signing_keys.sign_position(fresh))

    def _is_over(self, claims: PositionClaims) -> bool:
        """Whether a token has expired. It still counts while the store holds its place."""
        return self._clock_ms() >= claims.expires_s * 1000

    def _usage(self, scope: str, used: int, now_ms: int) -> Usage | None:
        limit = self._limits[scope]
        return Usage(limit, used, now_ms) if limit.count and used else None

    def _not_served(self, unserved: object, queue_id: str, usage: Usage | None) -> Refusal:
        if unserved is Unserved.LIMITED:
            return rate_limited(usage)
        self._queue_cache.forget(queue_id)
        return no_such_queue(queue_id)


def _same(held: HeldPlace) -> HeldPlace:
    return held


def _claims_of(
    queue_id: str, visitor: JoiningVisitor, join: Join, joined: Joined, place: Waiting | Admitted
) -> PositionClaims:
    """Tell what the token of a place says that a join took or found."""
    if isinstance(place, Waiting):
        return PositionClaims(
            position_id=joined.position_id,
            queue_id=queue_id,
            priority=joined.priority,
            enqueued_ms=joined.enqueued_ms,
            issued_s=0,
            expires_s=0,
            enqueued_part=joined.enqueued_part,
            holder=holder_of(visitor, join, joined),
        )
    known = None if visitor.proof is None else visitor.proof.claims
    if known is not None and known.position_id != joined.position_id:
        known = None
    return PositionClaims(
        position_id=joined.position_id,
        queue_id=queue_id,
        # The priority that the place had, as far as the visitor's token or its wish tells.
        priority=join.priority if known is None else known.priority,
        enqueued_ms=place.started_ms,
        issued_s=0,
        expires_s=0,
    )
