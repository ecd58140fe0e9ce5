"""What visitors do: join, ask, keep and leave a place, and use a session. One method for each use case."""

from collections.abc import Callable, Iterable
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
from wr.store.poll import Poll, PollKind
from wr.store.store import Store
from wr.store.visit import VisitCall, VisitKind

P = TypeVar("P")

Tell = Callable[[str, Iterable[bytes] | None], None]
"""Tells live streams that something happened to these visitors of a queue; None is all of its visitors."""


class HeldPlace(msgspec.Struct, frozen=True):
    """A place that a visitor holds, in line or inside, and the tokens that prove it."""

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

    async def view(self, queue_id: str) -> QueueView:
        """Return a queue as this server last saw it; raises `NotFound` if there is none."""
        return await self._queue_cache.get(queue_id)

    async def enqueue(
        self, queue_id: str, visitor: JoiningVisitor, priority: int, metadata: Metadata
    ) -> HeldPlace:
        """Put the visitor in line, or find the place that it holds already.

        Raises:
            NotFound: no such queue.
            InvalidRequest: the metadata is longer than 4 KiB.
            QueueFull, StoreFull, Maintenance, RateLimited: no new place for now.
            IdentityTaken, TooManyPlaces, Blocked: no new place for this visitor, or this address.
            PassRequired, PassInvalid: no new place without a pass, or with this one.
        """
        view = await self._queue_cache.get(queue_id)
        proof = visitor.proof
        if proof is not None and proof.claims.queue_id == queue_id:
            await self._bring_back(proof.claims)
        join = join_of(
            view.config,
            visitor,
            priority,
            metadata,
            address_key=self._signing_keys.address_key,
            random_bytes=self._random_bytes,
        )
        joined = await self._store.join(queue_id, join)
        usage = self._usage("enqueue", joined.used, joined.now_ms)
        place = joined.place
        if not isinstance(place, Waiting | Admitted):
            raise join_refusal(place, queue_id, usage) or self._not_served(place, queue_id, usage)
        session_token = ""
        if isinstance(place, Admitted):
            session_token = await self._session_tokens.of(joined.position_id, queue_id, place)
        return HeldPlace(
            self._proof_of(_claims_of(queue_id, visitor, join, joined, place), proof),
            place,
            view,
            joined.queue_length,
            usage,
            session_token,
            joined.is_new,
        )

    async def poll(self, proof: PositionProof, kind: PollKind) -> HeldPlace:
        """Tell where the holder of a position token stands. A heartbeat also keeps the place.

        Raises:
            NotFound: no such queue; for a status call also: no such position, or one that was cancelled.
            PositionExpired: the place or its session is over; for a heartbeat also: no such position.
            RateLimited: too many calls in this window.
        """
        claims = proof.claims
        view = await self._queue_cache.get(claims.queue_id)
        asked = Poll(claims.position_id, kind, claims.position_id)
        polled = await self._store.poll(claims.queue_id, asked)
        if isinstance(polled.place, Unknown) and await self._was_forgotten(claims):
            polled = await self._store.poll(claims.queue_id, asked)
        scope = "heartbeat" if kind is PollKind.HEARTBEAT else "status"
        usage = self._usage(scope, polled.used, polled.now_ms)
        place = polled.place
        if isinstance(place, Waiting):
            return HeldPlace(self._fresh(proof), place, view, polled.queue_length, usage)
        if isinstance(place, Admitted):
            session_token = await self._session_tokens.of(claims.position_id, claims.queue_id, place)
            return HeldPlace(proof, place, view, polled.queue_length, usage, session_token)
        if isinstance(place, Gone):
            is_over = self._is_over(claims)
            if place.reason is Reason.CANCELLED and not is_over and kind is not PollKind.HEARTBEAT:
                raise NotFound(
                    "You have left the queue", usage=usage, position_id=id_text(claims.position_id)
                )
            raise position_expired(claims.position_id, place, usage)
        if isinstance(place, Unknown):
            if self._is_over(claims):
                raise token_expired(claims, usage)
            if kind is PollKind.HEARTBEAT:
                raise position_expired(claims.position_id, usage=usage)
            raise NotFound("There is no such position", usage=usage, position_id=id_text(claims.position_id))
        raise self._not_served(place, claims.queue_id, usage)

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

    async def session(self, claims: SessionClaims, kind: VisitKind) -> Standing[Admitted]:
        """Tell how a session stands, and record activity in it.

        Raises:
            NotFound: no such queue; for a status call also: no such session.
            SessionExpired: the session is over; for activity also: no such session.
            RateLimited: too many calls in this window.
        """
        asked = VisitCall(claims.position_id, kind, session_id_bytes(claims.position_id))
        visited = await self._store.visit(claims.queue_id, asked)
        if isinstance(visited.place, Unknown) and await self._was_forgotten(claims):
            visited = await self._store.visit(claims.queue_id, asked)
        scope = "status" if kind is VisitKind.STATUS else "activity"
        usage = self._usage(scope, visited.used, visited.now_ms)
        place = visited.place
        if isinstance(place, Admitted):
            return Standing(place, visited.now_ms, usage)
        if isinstance(place, Gone):
            raise session_expired(claims.position_id, place, usage)
        if isinstance(place, Unknown):
            self._refuse_if_over(claims, usage)
            if kind is VisitKind.STATUS:
                raise NotFound(
                    "There is no such session", usage=usage, session_id=session_id_text(claims.position_id)
                )
            raise session_expired(claims.position_id, usage=usage)
        raise self._not_served(place, claims.queue_id, usage)

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
