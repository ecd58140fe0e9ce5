"""Where a visitor stands in a queue: one vocabulary, from the scripts' replies to the answers of the API."""

from enum import Enum, IntEnum

import msgspec


class Reason(IntEnum):
    """Why a position or a session ended. The number is what the store keeps."""

    HEARTBEAT_TIMEOUT = 1
    CANCELLED = 2
    FLUSHED = 3
    SESSION_TIMEOUT = 4
    TERMINATED = 5

    @property
    def text(self) -> str:
        """The word for it on the wire, such as `heartbeat_timeout`."""
        return self.name.lower()

    @property
    def ends_a_session(self) -> bool:
        """Whether it is a session that ended, not a place in line."""
        return self in (Reason.SESSION_TIMEOUT, Reason.TERMINATED)


class Waiting(msgspec.Struct, frozen=True):
    """The visitor is in line. `position` counts from 1."""

    position: int


class Admitted(msgspec.Struct, frozen=True):
    """The visitor has an active session. Times are milliseconds since 1970.

    `visit.lua` and `find.lua` also say how the session was used. The other scripts do not look at that, and
    those fields are 0.
    """

    started_ms: int
    expires_ms: int
    last_activity_ms: int = 0
    page_views: int = 0
    addresses: int = 0
    """From how many addresses the session was used at the gate, 32 at most. Only `find.lua` counts them."""


class Gone(msgspec.Struct, frozen=True):
    """The visitor's place or session ended within the last hour, in milliseconds since 1970."""

    ended_ms: int
    reason: Reason


class Unknown(msgspec.Struct, frozen=True):
    """The queue has no such visitor: the place never existed, or it ended more than an hour ago."""


Place = Waiting | Admitted | Gone | Unknown
"""Where a visitor stands."""


class Unserved(Enum):
    """Why a script did not look at a visitor's place, and changed nothing."""

    LIMITED = "limited"
    """The requests of this window are used up."""
    NO_QUEUE = "no_queue"
    """There is no such queue."""


UNKNOWN = Unknown()
