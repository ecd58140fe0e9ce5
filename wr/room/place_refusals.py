"""Refusals of visitors whose place or session is over, or that ask too often."""

from wr.model.ids import id_text, session_id_text
from wr.model.limits import Usage
from wr.model.places import Gone
from wr.model.refusals import PositionExpired, RateLimited, SessionExpired
from wr.model.times import rfc3339
from wr.model.tokens import PositionClaims


def rate_limited(usage: Usage | None) -> RateLimited:
    """The refusal of a call whose window is used up."""
    if usage is None:
        return RateLimited("Too many requests")
    return RateLimited(
        f"Too many requests: {usage.limit.count} are allowed in {usage.limit.window_s} seconds",
        usage=usage,
        retry_after_seconds=usage.retry_after_s,
    )


def position_expired(
    position_id: bytes, gone: Gone | None = None, usage: Usage | None = None
) -> PositionExpired:
    """The refusal of a place that is over; says when and why, if that is known."""
    return PositionExpired(
        "Your position in the queue has expired",
        usage=usage,
        position_id=id_text(position_id),
        **_facts_of(gone),
    )


def token_expired(claims: PositionClaims, usage: Usage | None = None) -> PositionExpired:
    """The refusal of a position token that has expired, and whose place the store does not hold."""
    return PositionExpired(
        "Your position in the queue has expired",
        usage=usage,
        position_id=id_text(claims.position_id),
        expired_at=rfc3339(claims.expires_s * 1000),
        reason="token_expired",
    )


def session_expired(
    position_id: bytes, gone: Gone | None = None, usage: Usage | None = None
) -> SessionExpired:
    """The refusal of a session that is over; says when and why, if that is known."""
    return SessionExpired(
        "Your session has expired", usage=usage, session_id=session_id_text(position_id), **_facts_of(gone)
    )


def _facts_of(gone: Gone | None) -> dict[str, str]:
    return {} if gone is None else {"expired_at": rfc3339(gone.ended_ms), "reason": gone.reason.text}
