"""Messages of the second API: users join by number, ask for their rank, and follow a stream."""

import msgspec

from wr.api.field_types import Long
from wr.room.user_queue import UserStatus


class ConcertUser(msgspec.Struct, kw_only=True, rename="camel"):
    """A user and a concert of the second API."""

    user_id: Long
    concert_id: Long


class JoinResponse(msgspec.Struct, kw_only=True, rename="camel"):
    """What a user became by joining."""

    user_id: int
    concert_id: int
    status: UserStatus
    rank: int


class RankResponse(msgspec.Struct, kw_only=True):
    """Where a user stands: rank from 1 in line, 0 inside, -1 otherwise."""

    status: UserStatus
    rank: int


class ConcertEvent(msgspec.Struct, kw_only=True, rename="camel"):
    """What the second API's stream tells."""

    user_id: int
    concert_id: int
    status: UserStatus
    rank: int
    active_ttl_seconds: int = 0
    timestamp: str = ""
