"""The live feed of one visitor: turns updates into events, independent of the transport."""

from typing import Protocol

import msgspec
import trio

from wr.api.http_messages import Headers
from wr.api.services import Services
from wr.live.registry import Others
from wr.live.stream import Stream
from wr.live.updates import Farewell, Update
from wr.model.limits import Usage

NORMAL_CLOSURE = 1000
SERVICE_RESTART = 1012
KEEP_ALIVE_S = 15.0
"""Seconds without an event after which an event stream sends a keep-alive."""


class Event(msgspec.Struct, frozen=True):
    """One event to send. It is the same for every transport."""

    name: str
    data: bytes
    """JSON, or plain text."""
    is_last: bool = False


class Goodbye(msgspec.Struct, frozen=True):
    """The feed ends, but the visitor keeps the place."""

    close_code: int


class Feed(Protocol):
    """The feed of one visitor."""

    stream: Stream
    headers: Headers
    """Additional headers of the response that opens the feed."""
    usage: Usage | None

    def opening(self) -> list[Event]:
        """Return the events to send at once."""
        ...

    async def spell(self, update: Update) -> Event | Goodbye | None:
        """Turn an update into an event, or None if there is nothing to send. Only an admission takes time."""
        ...

    async def heartbeat(self) -> None:
        """Handle a heartbeat of the client.

        Raises:
            RateLimited: there were too many heartbeats.
        """
        ...

    def close(self) -> None:
        """Unregister the feed. Call it exactly once, however the feed ends."""
        ...

    def as_server_sent(self, event: Event | None, number: int) -> bytes:
        """Return an event as a server-sent event of this API. None is a keep-alive."""
        ...


class StartingFeed(Feed, Protocol):
    """A feed that is about to be opened."""

    async def begin(self) -> None:
        """Read the visitor's place from the store."""
        ...


async def next_of(feed: Feed, patience_s: float) -> Event | Goodbye | None:
    """Wait for the next event. Returns None if there is none for `patience_s` seconds."""
    until = trio.current_time() + patience_s
    while True:
        update = await feed.stream.next(until - trio.current_time())
        if update is None:
            return None
        news = await feed.spell(update)
        if news is not None:
            return news


def event_stream_headers(feed: Feed) -> Headers:
    """Return the headers of an event stream."""
    return [
        ("Content-Type", "text/event-stream"),
        ("Cache-Control", "no-store"),
        *feed.headers,
        # Tells nginx not to buffer, because it would delay the events.
        ("X-Accel-Buffering", "no"),
    ]


async def open_feed(services: Services, feed: StartingFeed, others: Others) -> Feed:
    """Register a feed's stream and read its visitor's place. Closes the feed if that fails."""
    # Register first, so that no change between the two steps is lost.
    services.registry.add(feed.stream, others)
    try:
        await feed.begin()
    except BaseException:
        feed.close()
        raise
    return feed


def goodbye(farewell: Farewell) -> Goodbye:
    """Return the end of a stream that the server closes, with its WebSocket close code."""
    return Goodbye(NORMAL_CLOSURE if farewell.is_replaced else SERVICE_RESTART)
