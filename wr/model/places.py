"""What the room knows of one person: waiting, admitted, gone; and of one session."""

from enum import Enum, IntEnum

import msgspec


class Reason(IntEnum):
    """Why a position or session ended; the number is what the store keeps."""

    HEARTBEAT_TIMEOUT = 1
    CANCELLED = 2
    FLUSHED = 3
    SESSION_TIMEOUT = 4
    TERMINATED = 5

    @property
    def text(self) -> str:
        """The word for it on the wire: `heartbeat_timeout`."""
        return self.name.lower()

    @property
    def ends_a_session(self) -> bool:
        """Whether the person had been let in before."""
        return self in (Reason.SESSION_TIMEOUT, Reason.TERMINATED)


class Waiting(msgspec.Struct, frozen=True):
    """Someone in line; `position` counts from 1."""

    position: int


class Admitted(msgspec.Struct, frozen=True):
    """Someone with an active session."""

    started_ms: int
    expires_ms: int


class Gone(msgspec.Struct, frozen=True):
    """Someone whose place or session ended within the last hour."""

    ended_ms: int
    reason: Reason


class Unknown(msgspec.Struct, frozen=True):
    """Nobody: never here, or gone for more than an hour."""


class Limited(msgspec.Struct, frozen=True):
    """Nothing was looked at or changed: the limit of this window is used up."""


class NoQueue(msgspec.Struct, frozen=True):
    """There is no such queue."""


class Full(msgspec.Struct, frozen=True):
    """Not let into line: it is as long as it may be."""


class Closed(msgspec.Struct, frozen=True):
    """Not let into line: the queue is in maintenance."""


class NoMemory(msgspec.Struct, frozen=True):
    """Not let into line: the store has no memory for another place."""


class TooManyPlaces(msgspec.Struct, frozen=True):
    """Not let into line: the visitor's address holds as many places as it may."""

    most: int


class Taken(msgspec.Struct, frozen=True):
    """Not let into line: somebody else holds a place under the identity that the visitor names."""


class Blocked(msgspec.Struct, frozen=True):
    """Not let into line: the visitor or the address is blocked until then."""

    until_ms: int


class PassRefused(Enum):
    """Not let into line: why the visitor's pass gives no place."""

    MISSING = "missing"
    USED_UP = "used_up"
    REVOKED = "revoked"


class Visit(msgspec.Struct, frozen=True):
    """An active session: times in milliseconds since 1970."""

    started_ms: int
    expires_ms: int
    last_activity_ms: int
    page_views: int
    addresses: int = 0
    """From how many addresses it was used at the gate, 32 at most; 0 too where that is not asked for."""


UNKNOWN = Unknown()
LIMITED = Limited()
NO_QUEUE = NoQueue()
FULL = Full()
CLOSED = Closed()
TAKEN = Taken()
NO_MEMORY = NoMemory()
