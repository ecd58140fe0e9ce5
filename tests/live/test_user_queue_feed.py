"""What the second API's stream says while nothing happens."""

from typing import Any

import msgspec

from wr.api.user_queue.live_feed import UserQueueFeed
from wr.api.user_queue.messages import ConcertUser
from wr.live.stream import Stream
from wr.room.user_queue import QueueUser


def test_a_sign_of_life_is_a_keepalive_event_with_the_state_of_the_moment() -> None:
    nothing: Any = None  # a sign of life asks no service
    feed = UserQueueFeed(
        nothing,
        ConcertUser(user_id=100, concert_id=1),
        QueueUser("203.0.113.9"),
        Stream("concert-1", b"p" * 16),
        lambda: 1_500,
    )
    name, data, end = feed.as_server_sent(None, 0).split(b"\n", 2)
    assert (name, data[:5], end) == (b"event:KEEPALIVE", b"data:", b"\n")
    assert msgspec.json.decode(data[5:]) == {
        "userId": 100,
        "concertId": 1,
        "status": "NONE",
        "rank": -1,
        "activeTtlSeconds": 0,
        "timestamp": "1970-01-01T00:00:01.500Z",
    }
