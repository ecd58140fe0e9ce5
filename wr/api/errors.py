"""How each refusal looks on the wire: status, code, headers (contract: Error Responses)."""

from typing import NamedTuple

from wr.model import refusals
from wr.model.refusals import Refusal

RETRY_AFTER_S = 2
"""When to ask again after a 503: about as long as a store takes to come back."""

PLACES_RETRY_AFTER_S = 30
"""When to ask again while an address holds as many places as it may: some of them will have been let in."""
MEMORY_RETRY_AFTER_S = 15
"""When to try to join again while the store has no memory for more places: some will have ended."""
STREAM_RETRY_AFTER_S = 30
"""When to try to open a stream again where an address has too many: they last long."""


class WireForm(NamedTuple):
    """The status and code of a refusal."""

    status: int
    code: str
    description: str


WIRE_FORMS: dict[type[Refusal], WireForm] = {
    refusals.InvalidRequest: WireForm(400, "INVALID_REQUEST", "Request validation failed"),
    refusals.TooLarge: WireForm(413, "INVALID_REQUEST", "The body is longer than any request needs"),
    refusals.TooManyHeaders: WireForm(431, "INVALID_REQUEST", "The request has too many headers"),
    refusals.TooSlow: WireForm(408, "INVALID_REQUEST", "The request did not arrive in time"),
    refusals.UnknownCoding: WireForm(501, "INVALID_REQUEST", "The body comes in an unknown transfer coding"),
    refusals.Unauthorized: WireForm(401, "UNAUTHORIZED", "Missing or invalid authentication"),
    refusals.Forbidden: WireForm(403, "FORBIDDEN", "Insufficient permissions"),
    refusals.NotFound: WireForm(404, "NOT_FOUND", "Resource not found"),
    refusals.MethodNotAllowed: WireForm(405, "METHOD_NOT_ALLOWED", "The path has no such method"),
    refusals.UpgradeRequired: WireForm(426, "UPGRADE_REQUIRED", "The path speaks WebSocket only"),
    refusals.Conflict: WireForm(409, "CONFLICT", "Resource exists already"),
    refusals.PositionExpired: WireForm(410, "POSITION_EXPIRED", "Position has expired"),
    refusals.SessionExpired: WireForm(410, "SESSION_EXPIRED", "Session has expired"),
    refusals.RateLimited: WireForm(429, "RATE_LIMITED", "Rate limit exceeded"),
    refusals.IdentityTaken: WireForm(409, "IDENTITY_TAKEN", "The identity holds a place already"),
    refusals.TooManyPlaces: WireForm(429, "TOO_MANY_PLACES", "The address holds as many places as it may"),
    refusals.Blocked: WireForm(403, "BLOCKED", "The visitor or the address is blocked for a while"),
    refusals.PassRequired: WireForm(403, "PASS_REQUIRED", "The queue takes visitors with a pass only"),
    refusals.PassInvalid: WireForm(403, "PASS_INVALID", "The pass gives no place"),
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
    """Give the status and code of a refusal."""
    return WIRE_FORMS[type(refusal)]


def refusal_headers(refusal: Refusal) -> list[tuple[str, str]]:
    """Give the headers that a refusal brings beside the envelope."""
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
