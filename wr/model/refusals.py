"""Every way the waiting room says no, as one exception class each (their wire form: `wr.api.errors`)."""

from wr.model.limits import Usage


class Refusal(Exception):
    """A request that is answered with an error. `details` holds facts for the client, never secrets."""

    def __init__(self, message: str, *, usage: Usage | None = None, **details: object) -> None:
        super().__init__(message)
        self.message = message
        self.details = details
        self.usage = usage


class InvalidRequest(Refusal):
    """What was sent is not what the contract allows."""


class TooLarge(Refusal):
    """The body is longer than any request needs."""


class TooManyHeaders(Refusal):
    """The request has more headers than any client sends."""


class TooSlow(Refusal):
    """The request has not arrived in full in the time that is given."""


class UnknownCoding(Refusal):
    """The body comes in a transfer coding that the server does not know."""


class Unauthorized(Refusal):
    """A token is missing, or not one that this queue or session can accept."""


class Forbidden(Refusal):
    """The admin key is missing or wrong."""


class NotFound(Refusal):
    """There is no such queue, position, session or path."""


class MethodNotAllowed(Refusal):
    """The path exists, the method does not; `allow` lists those that do."""

    def __init__(self, message: str, allow: tuple[str, ...]) -> None:
        super().__init__(message)
        self.allow = allow


class UpgradeRequired(Refusal):
    """The path is there for WebSockets only."""


class Conflict(Refusal):
    """The queue exists already."""


class PositionExpired(Refusal):
    """The position has ended: silence, leaving, a flush, or the end of the session it became."""


class SessionExpired(Refusal):
    """The session has ended: its time is over, or an operator or the visitor ended it."""


class RateLimited(Refusal):
    """Too many requests in this window; `usage` says when the next one begins."""


class IdentityTaken(Refusal):
    """Somebody else holds a place under the identity that the request names."""


class TooManyPlaces(Refusal):
    """The address holds as many places in this line as it may."""


class Blocked(Refusal):
    """An operator or the site keeps this visitor, or this address, out of the line for a while."""


class PassRequired(Refusal):
    """The queue takes only visitors that bring a pass."""


class PassInvalid(Refusal):
    """The pass is false, of another queue, past its time, used up or revoked; `details` says which."""


class TooManyStreams(Refusal):
    """The client's address holds as many live streams as it may."""


class QueueFull(Refusal):
    """The line is as long as it may be."""


class StoreFull(Refusal):
    """The store has no memory for another place. Places and sessions that are held are served."""


class Maintenance(Refusal):
    """The queue takes nobody new for now."""


class Unavailable(Refusal):
    """The store cannot be reached or has too much to do: nothing was promised, ask again shortly."""


class OutOfMemory(Unavailable):
    """The store has no memory for what was asked of it; nothing was done."""
