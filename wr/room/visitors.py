"""The room: what visitors do. Each method is one use case; it knows neither HTTP nor Lua."""

from collections.abc import Callable, Iterable

import msgspec

from wr.model import places
from wr.model.ids import id_text, session_id_bytes, session_id_text
from wr.model.limits import Limit, Usage
from wr.model.queue import QueueConfig
from wr.model.refusals import NotFound, PositionExpired, RateLimited, Refusal, SessionExpired
from wr.model.times import rfc3339
from wr.model.tokens import PositionClaims, SessionClaims
from wr.room.join_rules import JoiningVisitor, Metadata, PositionProof, holder_of, join_of, join_refusal
from wr.room.queue_cache import QueueCache, QueueView, no_such_queue
from wr.room.session_tokens import SessionTokens
from wr.room.signing_keys import SigningKeys
from wr.store.enqueue import InLine, Join, Joined
from wr.store.leave import Departure
from wr.store.poll import Poll, PollKind
from wr.store.store import Store
from wr.store.visit import VisitCall, VisitKind

Tell = Callable[[str, Iterable[bytes] | None], None]
"""Lets live streams know that something happened to these people of a queue (None: to everybody)."""


class Line(msgspec.Struct, frozen=True):
    """A place in line, and the token that proves it."""

    position_id: bytes
    config: QueueConfig
    position: int
    queue_length: int
    estimated_wait_s: int
    priority: int
    token: str
    token_expires_s: int
    is_new: bool
    usage: Usage | None
    is_recovering: bool = False
    """Whether no visitor is let in, because the store has forgotten and the line forms again."""


class Entry(msgspec.Struct, frozen=True):
    """Somebody let in: the session, and the token the origin verifies; who joins again also gets the token
    of the place, to ask with."""

    position_id: bytes
    config: QueueConfig
    queue_length: int
    token: str
    token_expires_s: int
    session_token: str
    session_expires_ms: int
    usage: Usage | None
    priority: int = 0
    """The priority that the place had, as far as the visitor's token or wish tells."""


class SessionState(msgspec.Struct, frozen=True):
    """An active session at `now_ms`."""

    claims: SessionClaims
    visit: places.Visit
    now_ms: int
    usage: Usage | None


class Left(msgspec.Struct, frozen=True):
    """Somebody gone by their own wish."""

    position_id: bytes
    at_ms: int
    usage: Usage | None


class VisitorService:
    """Visitors' use cases. All raise `Unavailable` while the store is away: nothing is promised then."""

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
        """Look at a queue as this replica last saw it; raises `NotFound` when there is none."""
        return await self._queue_cache.get(queue_id)

    async def enqueue(
        self, queue_id: str, visitor: JoiningVisitor, priority: int, metadata: Metadata
    ) -> Line | Entry:
        """Put the visitor in line, or find the place the same person has already.

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
        if isinstance(place, InLine):
            return self._line(view, joined, place, visitor, join, usage)
        if isinstance(place, places.Admitted):
            is_known = proof is not None and proof.claims.position_id == joined.position_id
            held = proof.claims.priority if proof is not None and is_known else join.priority
            wanted = PositionClaims(
                position_id=joined.position_id,
                queue_id=queue_id,
                priority=held,
                enqueued_ms=place.started_ms,
                issued_s=0,
                expires_s=0,
            )
            token, expires_s = self._proof_of(wanted, proof)
            entry = await self._entry(
                joined.position_id, view.config, place, joined.queue_length, token, expires_s, usage
            )
            return msgspec.structs.replace(entry, priority=held)
        raise join_refusal(place, queue_id, usage) or self._not_served(place, queue_id, usage)

    async def poll(self, proof: PositionProof, kind: PollKind) -> Line | Entry:
        """Tell where the holder of a position token stands; with a heartbeat, keep the place.

        Raises:
            NotFound: no such queue; for a status call also: no such position, or one that was cancelled.
            PositionExpired: the place or its session is over; for a heartbeat also: no such position.
            RateLimited: too many calls in this window.
        """
        claims = proof.claims
        view = await self._queue_cache.get(claims.queue_id)
        asked = Poll(position_id=claims.position_id, kind=kind, subject=claims.position_id)
        polled = await self._store.poll(claims.queue_id, asked)
        if isinstance(polled.place, places.Unknown) and await self._was_forgotten(claims):
            polled = await self._store.poll(claims.queue_id, asked)
        scope = "heartbeat" if kind is PollKind.HEARTBEAT else "status"
        usage = self._usage(scope, polled.used, polled.now_ms)
        place = polled.place
        if isinstance(place, places.Waiting):
            token, expires_s = self._fresh(proof)
            return Line(
                position_id=claims.position_id,
                config=view.config,
                position=place.position,
                queue_length=polled.queue_length,
                estimated_wait_s=view.estimated_wait_s(place.position, claims.priority),
                priority=claims.priority,
                token=token,
                token_expires_s=expires_s,
                is_new=False,
                usage=usage,
                is_recovering=view.is_recovering,
            )
        if isinstance(place, places.Admitted):
            return await self._entry(
                claims.position_id,
                view.config,
                place,
                polled.queue_length,
                proof.token,
                claims.expires_s,
                usage,
            )
        if isinstance(place, places.Gone):
            is_over = self._is_over(claims)
            if place.reason is places.Reason.CANCELLED and not is_over and kind is not PollKind.HEARTBEAT:
                raise NotFound(
                    "You have left the queue", usage=usage, position_id=id_text(claims.position_id)
                )
            raise position_expired(claims.position_id, place.ended_ms, place.reason.text, usage)
        if isinstance(place, places.Unknown):
            if self._is_over(claims):
                raise token_expired(claims, usage)
            if kind is PollKind.HEARTBEAT:
                raise position_expired(claims.position_id, usage=usage)
            raise NotFound("There is no such position", usage=usage, position_id=id_text(claims.position_id))
        raise self._not_served(place, claims.queue_id, usage)

    async def let_in(self, claims: PositionClaims, config: QueueConfig, place: places.Admitted) -> str:
        """Give the session token of somebody who was let in just now."""
        return await self._session_tokens.of(claims.position_id, config.id, place)

    async def session_token(self, position_id: bytes, queue_id: str, place: places.Admitted) -> str:
        """Give the token of a session as it stands now: with the end that it was given since, say."""
        return await self._session_tokens.of(position_id, queue_id, place)

    async def leave(self, claims: PositionClaims | SessionClaims) -> Left:
        """Give up the place, or end the session it became, so that someone else gets in.

        Raises:
            NotFound: no such queue, or the position is not there any more; or no such session.
            PositionExpired: neither is the position there any more, nor is the token's time.
            SessionExpired: the session has ended already.
            RateLimited: too many calls in this window.
        """
        is_session = isinstance(claims, SessionClaims)
        departure = Departure(
            position_id=claims.position_id,
            reason=places.Reason.CANCELLED,
            session_only=is_session,
            # Counted apart from questions: to leave is possible however often one looked.
            subject=b"leave" + (session_id_bytes(claims.position_id) if is_session else claims.position_id),
        )
        departed = await self._store.depart(claims.queue_id, departure)
        if isinstance(departed.state, places.Unknown) and await self._was_forgotten(claims):
            departed = await self._store.depart(claims.queue_id, departure)
        usage = self._usage("status", departed.used, departed.now_ms)
        state = departed.state
        if departed.ended_now and isinstance(state, places.Gone):
            self._tell(claims.queue_id, [claims.position_id])
            return Left(claims.position_id, state.ended_ms, usage)
        if is_session and isinstance(state, places.Gone):
            raise session_expired(claims.position_id, state.ended_ms, state.reason.text, usage)
        if isinstance(claims, SessionClaims) and isinstance(state, places.Unknown):
            self._refuse_if_over(claims, usage)
            session_id = session_id_text(claims.position_id)
            raise NotFound("There is no such session", usage=usage, session_id=session_id)
        if isinstance(state, places.Gone | places.Unknown):
            if isinstance(claims, PositionClaims) and self._is_over(claims):
                raise token_expired(claims, usage)
            raise NotFound("There is no such position", usage=usage, position_id=id_text(claims.position_id))
        raise self._not_served(state, claims.queue_id, usage)

    async def session(self, claims: SessionClaims, kind: VisitKind) -> SessionState:
        """Tell how a session stands; with activity, record it.

        Raises:
            NotFound: no such queue; for a status call also: no such session.
            SessionExpired: the session is over; for activity also: no such session.
            RateLimited: too many calls in this window.
        """
        asked = VisitCall(
            position_id=claims.position_id, kind=kind, subject=session_id_bytes(claims.position_id)
        )
        visited = await self._store.visit(claims.queue_id, asked)
        if isinstance(visited.state, places.Unknown) and await self._was_forgotten(claims):
            visited = await self._store.visit(claims.queue_id, asked)
        scope = "status" if kind is VisitKind.STATUS else "activity"
        usage = self._usage(scope, visited.used, visited.now_ms)
        state = visited.state
        if isinstance(state, places.Visit):
            return SessionState(claims, state, visited.now_ms, usage)
        if isinstance(state, places.Gone):
            raise session_expired(claims.position_id, state.ended_ms, state.reason.text, usage)
        if isinstance(state, places.Unknown):
            self._refuse_if_over(claims, usage)
            if kind is VisitKind.STATUS:
                raise NotFound(
                    "There is no such session", usage=usage, session_id=session_id_text(claims.position_id)
                )
            raise session_expired(claims.position_id, usage=usage)
        raise self._not_served(state, claims.queue_id, usage)

    def _refuse_if_over(self, claims: SessionClaims, usage: Usage | None) -> None:
        """Refuse a session that the store does not know, by the time that its token says it ended."""
        ended_ms = claims.expires_s * 1000
        if self._clock_ms() >= ended_ms:
            reason = places.Reason.SESSION_TIMEOUT.text
            raise session_expired(claims.position_id, ended_ms, reason, usage)

    async def _bring_back(self, claims: PositionClaims) -> None:
        """Have the place of a token back, if the store has forgotten it.

        Asked together with what others ask; one call more if the store does not know the place.
        """
        looked = await self._store.poll(claims.queue_id, Poll(claims.position_id, PollKind.LOOK, b""))
        if isinstance(looked.place, places.Unknown):
            await self._was_forgotten(claims)

    async def _was_forgotten(self, claims: PositionClaims | SessionClaims) -> bool:
        """Whether the store had forgotten what a token tells of, and has it again now."""
        return await self._store.restore(claims.queue_id, claims)

    def _line(
        self,
        view: QueueView,
        joined: Joined,
        place: InLine,
        visitor: JoiningVisitor,
        join: Join,
        usage: Usage | None,
    ) -> Line:
        token, expires_s = self._proof_of(
            PositionClaims(
                position_id=joined.position_id,
                queue_id=view.config.id,
                priority=place.priority,
                enqueued_ms=place.enqueued_ms,
                issued_s=0,
                expires_s=0,
                enqueued_part=place.enqueued_part,
                holder=holder_of(visitor, join, place),
            ),
            visitor.proof,
        )
        return Line(
            position_id=joined.position_id,
            config=view.config,
            position=place.position,
            queue_length=joined.queue_length,
            estimated_wait_s=view.estimated_wait_s(place.position, place.priority),
            priority=place.priority,
            token=token,
            token_expires_s=expires_s,
            is_new=place.is_new,
            usage=usage,
            is_recovering=view.is_recovering,
        )

    async def _entry(
        self,
        position_id: bytes,
        config: QueueConfig,
        place: places.Admitted,
        queue_length: int,
        token: str,
        token_expires_s: int,
        usage: Usage | None,
    ) -> Entry:
        return Entry(
            position_id=position_id,
            config=config,
            queue_length=queue_length,
            token=token,
            token_expires_s=token_expires_s,
            session_token=await self._session_tokens.of(position_id, config.id, place),
            session_expires_ms=place.expires_ms,
            usage=usage,
        )

    def _proof_of(self, wanted: PositionClaims, proof: PositionProof | None) -> tuple[str, int]:
        """Give the token of a place: the one that was sent, as long as it is fresh, or a new one."""
        # A pass may have raised the place since its token was signed.
        if (
            proof is not None
            and proof.claims.position_id == wanted.position_id
            and proof.claims.priority == wanted.priority
        ):
            return self._fresh(proof)
        return self._sign(wanted)

    def _fresh(self, proof: PositionProof) -> tuple[str, int]:
        """Hand the token back unchanged until half its life is over, then a new one."""
        claims = proof.claims
        if self._clock_ms() < claims.half_over_ms:
            return proof.token, claims.expires_s
        return self._sign(claims)

    def renewed(self, claims: PositionClaims) -> tuple[str, PositionClaims]:
        """Give a fresh token of the same place, and what it says."""
        issued_s = self._clock_ms() // 1000
        fresh = msgspec.structs.replace(
            claims, issued_s=issued_s, expires_s=issued_s + max(1, int(self._token_lifetime_s))
        )
        return self._signing_keys.sign_position(fresh), fresh

    def _is_over(self, claims: PositionClaims) -> bool:
        """Whether a token's time is over; it counts all the same while the store holds its place."""
        return self._clock_ms() >= claims.expires_s * 1000

    def _sign(self, wanted: PositionClaims) -> tuple[str, int]:
        """Sign a token that says what `wanted` says, with the time from now on."""
        token, fresh = self.renewed(wanted)
        return token, fresh.expires_s

    def _usage(self, scope: str, used: int, now_ms: int) -> Usage | None:
        limit = self._limits[scope]
        return Usage(limit, used, now_ms) if limit.count and used else None

    def _not_served(self, place: object, queue_id: str, usage: Usage | None) -> Refusal:
        if isinstance(place, places.Limited):
            return rate_limited(usage)
        self._queue_cache.forget(queue_id)
        return no_such_queue(queue_id)


def rate_limited(usage: Usage | None) -> RateLimited:
    """The refusal for a window that is used up."""
    if usage is None:
        return RateLimited("Too many requests")
    return RateLimited(
        f"Too many requests: {usage.limit.count} are allowed in {usage.limit.window_s} seconds",
        usage=usage,
        retry_after_seconds=usage.retry_after_s,
    )


def position_expired(
    position_id: bytes, ended_ms: int | None = None, reason: str = "", usage: Usage | None = None
) -> PositionExpired:
    """The refusal for a place that is over; with when and why, where that is known."""
    facts = {} if ended_ms is None else {"expired_at": rfc3339(ended_ms), "reason": reason}
    return PositionExpired(
        "Your position in the queue has expired", usage=usage, position_id=id_text(position_id), **facts
    )


def token_expired(claims: PositionClaims, usage: Usage | None = None) -> PositionExpired:
    """The refusal of a position token whose time is over, and whose place the store does not hold."""
    return position_expired(claims.position_id, claims.expires_s * 1000, "token_expired", usage)


def session_expired(
    position_id: bytes, ended_ms: int | None = None, reason: str = "", usage: Usage | None = None
) -> SessionExpired:
    """The refusal for a session that is over; with when and why, where that is known."""
    facts = {} if ended_ms is None else {"expired_at": rfc3339(ended_ms), "reason": reason}
    return SessionExpired(
        "Your session has expired", usage=usage, session_id=session_id_text(position_id), **facts
    )
