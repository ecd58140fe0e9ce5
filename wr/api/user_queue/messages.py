"""Request and response bodies of the second API."""

import msgspec

from wr.api.field_types import Long
from wr.room.user_queue import UserStatus


class ConcertUser(msgspec.Struct, kw_only=True, rename="camel"):
    """A user and a concert of the second API."""

    user_id: Long
    concert_id: Long


class JoinResponse(msgspec.Struct, kw_only=True, rename="camel"):
    """The state of a user after joining."""

    user_id: int
    concert_id: int
    status: UserStatus
    rank: int


class RankResponse(msgspec.Struct, kw_only=True):
    """The state of a user. The rank is 1 or more in line, 0 if active, and -1 otherwise."""

    status: UserStatus
    rank: int


class ConcertEvent(msgspec.Struct, kw_only=True, rename="camel"):
    """The data of an event in the second API's stream."""

    user_id: int
    concert_id: int
    status: UserStatus
    rank: int
    active_ttl_seconds: int = 0
    timestamp: str = ""
