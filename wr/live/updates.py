"""What somebody on a live stream can be told."""

import msgspec

from wr.model.places import Admitted
from wr.model.queue import QueueConfig, QueueStatus


class PositionUpdate(msgspec.Struct, frozen=True):
    """Still in line, now here."""

    position: int
    queue_length: int
    estimated_wait_s: int
    queue_status: QueueStatus = QueueStatus.ACTIVE
    heartbeat_timeout_s: int = 0
    """How long the place is kept without a sign of life; 0 where the API does not tell."""
    is_recovering: bool = False
    """Whether no visitor is let in, because the store has forgotten and the line forms again."""


class AdmittedUpdate(msgspec.Struct, frozen=True):
    """The session has begun; `now_ms` is the store's clock, to tell what is left of it."""

    config: QueueConfig
    place: Admitted
    queue_length: int
    now_ms: int


class EndedUpdate(msgspec.Struct, frozen=True):
    """The place or the session is over; nothing more will come."""

    reason: str


class Farewell(msgspec.Struct, frozen=True):
    """The stream is over but the place is not: this server stops, or another stream took over."""

    is_replaced: bool


class TokenDue(msgspec.Struct, frozen=True):
    """Half the time of the position token that the client has is over: it is to get a fresh one."""


Update = PositionUpdate | AdmittedUpdate | EndedUpdate | Farewell | TokenDue
"""One thing to tell."""
TOKEN_DUE = TokenDue()
QUEUE_DELETED = EndedUpdate("queue_deleted")
FORGOTTEN = EndedUpdate("expired")
"""The store no longer knows when or why: it was more than an hour ago."""
