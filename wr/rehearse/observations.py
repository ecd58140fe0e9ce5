"""Records of a run as seen from outside: every answer that every visitor got, with the client's times.

Times that end in `_s` are the client's, in seconds from some start; times that end in `_ms` are the server's,
in milliseconds since 1970, and come from session tokens only.
"""

from enum import Enum

import msgspec

from wr.rehearse.plan import Behaviour, Plan, QueueFacts


class RequestKind(Enum):
    """Kind of a visitor's request."""

    JOIN = "join"
    HEARTBEAT = "heartbeat"
    STATUS = "status"
    LEAVE = "leave"
    SESSION = "session"
    ACTIVITY = "activity"
    STREAM = "stream"
    """Updates on a live stream. Opening a stream and each message on it count as answers."""


SIGNS_OF_LIFE = (RequestKind.JOIN, RequestKind.HEARTBEAT, RequestKind.STREAM)
"""Requests after which the server knows that the visitor is there."""


class Outcome(Enum):
    """Result of a request."""

    WAITING = "waiting"
    ADMITTED = "admitted"
    ACTIVE = "active"
    """The session is active."""
    LEFT = "left"
    """The visitor gave up the place, or the session that it had become."""
    EXPIRED = "expired"
    """410: the place or the session has ended."""
    UNKNOWN = "unknown"
    """404: there is no such place or session."""
    TURNED_AWAY = "turned away"
    """503 as the contract defines it: the queue is full, or in maintenance."""
    REFUSED = "refused"
    """Any other unexpected answer with a status below 500."""
    FAILED = "failed"
    """Any other answer with status 500 or above."""
    UNANSWERED = "unanswered"
    CLOSED = "closed"
    """An open live stream ended, and the visitor did not close it."""

    @property
    def is_gone(self) -> bool:
        """Whether the place or session no longer exists."""
        return self in (Outcome.EXPIRED, Outcome.UNKNOWN)

    @property
    def is_fault(self) -> bool:
        """Whether a visitor who follows the contract should never get it."""
        return self in (Outcome.REFUSED, Outcome.FAILED, Outcome.UNANSWERED)


class ObservedEntry(msgspec.Struct, frozen=True, gc=False):
    """The claims of a session token."""

    session_id: str
    position_id: str
    queue_id: str
    admitted_ms: int
    expires_s: int
    """Unix seconds, rounded up."""


class ObservedAnswer(msgspec.Struct, frozen=True):
    """One request and its result."""

    asked: RequestKind
    outcome: Outcome
    sent_s: float
    """A time at or before the first byte of the request was sent."""
    received_s: float
    """A time at or after the last byte of the answer arrived, or the visitor gave up."""
    silent_s: float = 0.0
    """Seconds without a heartbeat before this request was sent. 0 after a heartbeat without a proper answer,
    because the server may have received it all the same."""
    status: int = 0
    reason: str = ""
    """The code of the error; for a 410, the reason in its details; without an answer, what went wrong."""
    position: int = 0
    estimated_wait_s: int = 0
    entry: ObservedEntry | None = None
    told_since_s: float | None = None
    """For a message on a live stream: when the stream was opened. The message was true at some moment since
    then; how long it took to arrive cannot be known."""

    @property
    def true_since_s(self) -> float:
        """The content of the answer was true at this time or later."""
        return self.sent_s if self.told_since_s is None else self.told_since_s


class ObservedVisit(msgspec.Struct, frozen=True):
    """One visitor's whole visit, up to its end or the end of the run."""

    number: int
    priority: int
    """The priority that the server reported; if it reported none, the one that the visitor asked for."""
    behaviour: Behaviour
    position_id: str
    """Empty if the visitor never got a place."""
    answers: tuple[ObservedAnswer, ...]
    """In the order of the requests. Of many heartbeats in a row that were answered «waiting», only some are
    kept, always including the first and the last."""
    session_token: str = ""
    """Kept for some visitors only."""


class Effort(msgspec.Struct, frozen=True):
    """How late this machine was, so that the checks do not blame the server for it."""

    requests: int = 0
    latest_join_s: float = 0.0
    """The longest delay of a join behind its plan."""
    heartbeats: int = 0
    late_heartbeats: int = 0
    """Heartbeats that were sent more than a second late."""
    latest_heartbeat_s: float = 0.0
    worst_lag_s: float = 0.0
    """The longest time that a task had to wait for the event loop."""


class Observations(msgspec.Struct, frozen=True):
    """Everything that was observed in one run."""

    plan: Plan
    visits: tuple[ObservedVisit, ...]
    effort: Effort
    duration_s: float
    facts_after: QueueFacts | None = None
    """The queue's settings at the end; None if they could not be read."""
    waiting_before: int = 0
    active_before: int = 0
    """Other visitors waiting, and other sessions, at the start."""
    published_keys: dict[str, object] | None = None
    """The key set for session tokens (RFC 7517); None if it could not be read."""
    is_interrupted: bool = False
    stalled_s: float = 0.0
    """If the run was given up: for how long no visitor's state had changed. Otherwise 0."""
