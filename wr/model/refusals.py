"""One exception class for each error answer of the API (`wr.api.errors` turns them into responses)."""

from wr.model.limits import Usage


class Refusal(Exception):
    """The server answers the request with an error.

    `details` contains facts for the client, never secrets.
    """

    def __init__(self, message: str, *, usage: Usage | None = None, **details: object) -> None:
        super().__init__(message)
        self.message = message
        self.details = details
        self.usage = usage


class InvalidRequest(Refusal):
    """The contract does not allow this request."""


class TooLarge(Refusal):
    """The body is too long."""


class TooManyHeaders(Refusal):
    """The request has too many headers."""


class TooSlow(Refusal):
    """The request did not arrive completely in time."""


class UnknownCoding(Refusal):
    """The server does not support the body's transfer coding."""


class Unauthorized(Refusal):
    """A token is missing, or is not valid for this queue or session."""


class Forbidden(Refusal):
    """The admin key is missing or wrong."""


class NotFound(Refusal):
    """There is no such queue, position, session or path."""


class MethodNotAllowed(Refusal):
    """The path does not have this method. `allow` lists its methods."""

    def __init__(self, message: str, allow: tuple[str, ...]) -> None:
        super().__init__(message)
        self.allow = allow


class UpgradeRequired(Refusal):
    """The path accepts only WebSockets."""


class Conflict(Refusal):
    """The queue exists already."""


class PositionExpired(Refusal):
    """The position has ended: by silence, leaving, a flush, or the end of its session."""


class SessionExpired(Refusal):
    """The session has ended: it expired, or an operator or the visitor ended it."""


class RateLimited(Refusal):
    """Too many requests in this window. `usage` says when the next window starts."""


class IdentityTaken(Refusal):
    """Another visitor holds a place under the identity that the request names."""


class KeyReused(Refusal):
    """The `Idempotency-Key` was already used for a join with other content."""


class TooManyPlaces(Refusal):
    """The address already holds the most places that it may hold in this queue."""


class Blocked(Refusal):
    """An operator or the site blocks this visitor, or this address, from the queue for a while."""


class PassRequired(Refusal):
    """The queue accepts only visitors with a pass."""


class PassInvalid(Refusal):
    """The pass is invalid, for another queue, expired, used up or revoked; `details` says which."""


class TooManyStreams(Refusal):
    """The client's address already holds the most live streams that it may hold."""


class QueueFull(Refusal):
    """The queue has reached its maximum size."""


class StoreFull(Refusal):
    """The store has no memory for another place. Existing places and sessions still work."""


class Maintenance(Refusal):
    """The queue is in maintenance: visitors cannot join."""


class Unavailable(Refusal):
    """The store is unreachable or overloaded. Nothing was acknowledged; the client may try again."""


class OutOfMemory(Unavailable):
    """The store has no memory for the operation. Nothing was changed."""
