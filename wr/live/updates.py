"""The updates that a live stream can send to its visitor."""

import msgspec

from wr.model.places import Admitted
from wr.model.queue_settings import QueueConfig, QueueStatus


class PositionUpdate(msgspec.Struct, frozen=True):
    """The visitor waits at this position."""

    position: int
    queue_length: int
    estimated_wait_s: int
    queue_status: QueueStatus = QueueStatus.ACTIVE
    heartbeat_timeout_s: int = 0
    """Seconds that a place is kept without a heartbeat. 0 if the API does not report it."""
    is_recovering: bool = False
    """Whether admission is held because the store lost data and places are being restored."""


class AdmittedUpdate(msgspec.Struct, frozen=True):
    """The visitor was admitted. `now_ms` is the time of the store, to compute the remaining session time."""

    config: QueueConfig
    place: Admitted
    queue_length: int
    now_ms: int


class EndedUpdate(msgspec.Struct, frozen=True):
    """The place or the session has ended. This is the last update."""

    reason: str


class Farewell(msgspec.Struct, frozen=True):
    """The stream ends but the place does not: the server stops, or a new stream replaces this one."""

    is_replaced: bool


class TokenDue(msgspec.Struct, frozen=True):
    """The client should get a new position token, because half the lifetime of its token is over."""


Update = PositionUpdate | AdmittedUpdate | EndedUpdate | Farewell | TokenDue
"""What a stream can send."""
TOKEN_DUE = TokenDue()
QUEUE_DELETED = EndedUpdate("queue_deleted")
FORGOTTEN = EndedUpdate("expired")
"""The place ended more than an hour ago, so the store no longer knows when and why."""
