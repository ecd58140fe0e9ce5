"""What was seen from outside: every answer that every visitor got, with the client's clock around it.

Times that end in `_s` are the client's, in seconds from some start; times that end in `_ms` are the server's,
in milliseconds since 1970, and come from session tokens only.
"""

from enum import Enum

import msgspec

from wr.rehearse.plan import Behaviour, Plan, QueueFacts


class RequestKind(Enum):
    """What a visitor asked."""

    JOIN = "join"
    HEARTBEAT = "heartbeat"
    STATUS = "status"
    LEAVE = "leave"
    SESSION = "session"
    ACTIVITY = "activity"
    STREAM = "stream"
    """To be told on a live stream; opening one, and each message on it, is an answer."""


SIGNS_OF_LIFE = (RequestKind.JOIN, RequestKind.HEARTBEAT, RequestKind.STREAM)
"""What counts as a sign of life."""


class Outcome(Enum):
    """What came of it."""

    WAITING = "waiting"
    ADMITTED = "admitted"
    ACTIVE = "active"
    """The session goes on."""
    LEFT = "left"
    """The place, or the session it had become, is given up."""
    EXPIRED = "expired"
    """410: the place or the session is over."""
    UNKNOWN = "unknown"
    """404: there is no such place or session."""
    TURNED_AWAY = "turned away"
    """503 as the contract has it: the queue is full, or in maintenance."""
    REFUSED = "refused"
    """Any other answer below 500 than the contract leads one to expect."""
    FAILED = "failed"
    """Any other answer from 500 on."""
    UNANSWERED = "unanswered"
    CLOSED = "closed"
    """A live stream that was open until then has ended, and not by the visitor's wish."""

    @property
    def is_gone(self) -> bool:
        """Whether there is no such place or session any more."""
        return self in (Outcome.EXPIRED, Outcome.UNKNOWN)

    @property
    def is_fault(self) -> bool:
        """Whether a visitor who does everything right should never meet it."""
        return self in (Outcome.REFUSED, Outcome.FAILED, Outcome.UNANSWERED)


class ObservedEntry(msgspec.Struct, frozen=True, gc=False):
    """What a session token says."""

    session_id: str
    position_id: str
    queue_id: str
    admitted_ms: int
    expires_s: int
    """Unix seconds, rounded up."""


class ObservedAnswer(msgspec.Struct, frozen=True):
    """One request and what came of it."""

    asked: RequestKind
    outcome: Outcome
    sent_s: float
    """Not later than the first byte of the request left."""
    received_s: float
    """Not earlier than the last byte of the answer came, or when the visitor gave up."""
    silent_s: float = 0.0
    """For how long no heartbeat had been under way when this left; 0 after one that got no proper answer,
    which may have arrived all the same."""
    status: int = 0
    reason: str = ""
    """The error's code, for a 410 the reason in its details; what went wrong when nothing came."""
    position: int = 0
    estimated_wait_s: int = 0
    entry: ObservedEntry | None = None
    told_since_s: float | None = None
    """Of what was told unasked on a live stream: when that was opened. It was true at some moment since then;
    how long it was under way cannot be known."""

    @property
    def true_since_s(self) -> float:
        """What it says was true at this moment or later."""
        return self.sent_s if self.told_since_s is None else self.told_since_s


class ObservedVisit(msgspec.Struct, frozen=True):
    """One visitor's whole visit, as far as it got."""

    number: int
    priority: int
    """That the place has, says the server; what was asked for where it says nothing."""
    behaviour: Behaviour
    position_id: str
    """Empty for somebody who never got in line."""
    answers: tuple[ObservedAnswer, ...]
    """In the order in which they were asked for. Of a long row of heartbeats answered «waiting» only some are
    kept, the first and the last always."""
    session_token: str = ""
    """Of some visitors only."""


class Effort(msgspec.Struct, frozen=True):
    """How well this machine kept up: what it did late must not be blamed on the server."""

    requests: int = 0
    latest_join_s: float = 0.0
    """How much later than planned somebody joined at the worst."""
    heartbeats: int = 0
    late_heartbeats: int = 0
    """Heartbeats that left more than a second after they should have."""
    latest_heartbeat_s: float = 0.0
    worst_lag_s: float = 0.0
    """The longest that anything here had to wait for its turn."""


class Observations(msgspec.Struct, frozen=True):
    """Everything that was seen."""

    plan: Plan
    visits: tuple[ObservedVisit, ...]
    effort: Effort
    duration_s: float
    facts_after: QueueFacts | None = None
    """The queue's settings at the end; None when they could not be read."""
    waiting_before: int = 0
    active_before: int = 0
    """Other people in line and in the room at the start."""
    published_keys: dict[str, object] | None = None
    """The key set for session tokens (RFC 7517); None when it could not be read."""
    is_interrupted: bool = False
    stalled_s: float = 0.0
    """How long nothing had moved when the rehearsal was given up; 0 when it was not."""
