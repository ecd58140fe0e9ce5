"""The HTTP form of each refusal: status, code, headers (contract: Error Responses)."""

from typing import NamedTuple

from wr.model import refusals
from wr.model.refusals import Refusal

RETRY_AFTER_S = 2
"""Seconds until a retry after most refusals: about the time that a store needs to restart."""

PLACES_RETRY_AFTER_S = 30
"""Seconds until a retry if an address holds too many places. By then some of them may be admitted."""
MEMORY_RETRY_AFTER_S = 15
"""Seconds until a retry if the store has no memory for more places. By then some places may have ended."""
STREAM_RETRY_AFTER_S = 30
"""Seconds until a retry if an address has too many streams, because streams last long."""


class WireForm(NamedTuple):
    """The status and code of a refusal."""

    status: int
    code: str
    description: str


WIRE_FORMS: dict[type[Refusal], WireForm] = {
    refusals.InvalidRequest: WireForm(400, "INVALID_REQUEST", "Request validation failed"),
    refusals.TooLarge: WireForm(413, "INVALID_REQUEST", "The body is too large"),
    refusals.TooManyHeaders: WireForm(431, "INVALID_REQUEST", "The request has too many headers"),
    refusals.TooSlow: WireForm(408, "INVALID_REQUEST", "The request did not arrive in time"),
    refusals.UnknownCoding: WireForm(501, "INVALID_REQUEST", "The transfer coding of the body is unknown"),
    refusals.Unauthorized: WireForm(401, "UNAUTHORIZED", "Missing or invalid authentication"),
    refusals.Forbidden: WireForm(403, "FORBIDDEN", "Insufficient permissions"),
    refusals.NotFound: WireForm(404, "NOT_FOUND", "Resource not found"),
    refusals.MethodNotAllowed: WireForm(405, "METHOD_NOT_ALLOWED", "The path does not support this method"),
    refusals.UpgradeRequired: WireForm(426, "UPGRADE_REQUIRED", "The path supports WebSockets only"),
    refusals.Conflict: WireForm(409, "CONFLICT", "Resource already exists"),
    refusals.PositionExpired: WireForm(410, "POSITION_EXPIRED", "Position has expired"),
    refusals.SessionExpired: WireForm(410, "SESSION_EXPIRED", "Session has expired"),
    refusals.RateLimited: WireForm(429, "RATE_LIMITED", "Rate limit exceeded"),
    refusals.IdentityTaken: WireForm(409, "IDENTITY_TAKEN", "The identity already holds a place"),
    refusals.KeyReused: WireForm(
        422, "IDEMPOTENCY_KEY_REUSED", "The key was already used for a join with other contents"
    ),
    refusals.TooManyPlaces: WireForm(429, "TOO_MANY_PLACES", "The address holds as many places as it may"),
    refusals.Blocked: WireForm(403, "BLOCKED", "The visitor or the address is blocked for a while"),
    refusals.PassRequired: WireForm(403, "PASS_REQUIRED", "Joining the queue requires a pass"),
    refusals.PassInvalid: WireForm(403, "PASS_INVALID", "The pass is not valid"),
    refusals.TooManyStreams: WireForm(429, "RATE_LIMITED", "One address holds as many streams as it may"),
    refusals.QueueFull: WireForm(503, "QUEUE_FULL", "Queue is at maximum capacity"),
    refusals.StoreFull: WireForm(503, "SERVICE_UNAVAILABLE", "The store has no memory for another place"),
    refusals.OutOfMemory: WireForm(503, "SERVICE_UNAVAILABLE", "The store has no memory left"),
    refusals.Maintenance: WireForm(503, "MAINTENANCE_MODE", "Queue is in maintenance mode"),
    refusals.Unavailable: WireForm(503, "SERVICE_UNAVAILABLE", "The store cannot be reached just now"),
}
_RETRY_AFTER_S: dict[type[Refusal], int] = {
    refusals.TooManyPlaces: PLACES_RETRY_AFTER_S,
    refusals.StoreFull: MEMORY_RETRY_AFTER_S,
    refusals.TooManyStreams: STREAM_RETRY_AFTER_S,
    refusals.RateLimited: RETRY_AFTER_S,
    refusals.Unavailable: RETRY_AFTER_S,
    refusals.QueueFull: RETRY_AFTER_S,
    refusals.Maintenance: RETRY_AFTER_S,
}
INTERNAL_ERROR = WireForm(500, "INTERNAL_ERROR", "Internal server error")


def wire_form(refusal: Refusal) -> WireForm:
    """Return the status and code of a refusal."""
    # A subclass without an entry of its own has the form of its base class.
    return next(WIRE_FORMS[kind] for kind in type(refusal).__mro__ if kind in WIRE_FORMS)


def refusal_headers(refusal: Refusal) -> list[tuple[str, str]]:
    """Return the additional headers of a refusal, such as `Retry-After`."""
    if isinstance(refusal, refusals.RateLimited) and refusal.usage is not None:
        return [("Retry-After", str(refusal.usage.retry_after_s))]
    for kind, seconds in _RETRY_AFTER_S.items():
        if isinstance(refusal, kind):
            return [("Retry-After", str(seconds))]
    if isinstance(refusal, refusals.Unauthorized):
        return [("WWW-Authenticate", "Bearer")]
    if isinstance(refusal, refusals.UpgradeRequired):
        return [("Upgrade", "websocket")]
    if isinstance(refusal, refusals.MethodNotAllowed):
        return [("Allow", ", ".join(refusal.allow))]
    return []
