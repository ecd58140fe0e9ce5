"""A live feed: what one visitor's stream sends, independent of the transport that carries it."""

from typing import Protocol

import msgspec
import trio

from wr.api.services import Services
from wr.live.registry import Others
from wr.live.stream import Stream
from wr.live.updates import Farewell, Update
from wr.model.limits import Usage

NORMAL_CLOSURE = 1000
GOING_AWAY = 1001
SERVICE_RESTART = 1012
_RETRY_MS = 3_000
KEEP_ALIVE_S = 15.0
"""Seconds of silence after which a server-sent stream shows that it lives."""


class Event(msgspec.Struct, frozen=True):
    """One thing to send: the same for every transport."""

    name: str
    data: bytes
    """JSON, or plain text."""
    is_last: bool = False


class Goodbye(msgspec.Struct, frozen=True):
    """The end of a feed that is not the end of the place."""

    close_code: int


class Feed(Protocol):
    """One person's feed."""

    stream: Stream
    headers: list[tuple[str, str]]
    """What an answer that opens the feed brings beside its content type."""
    usage: Usage | None

    def opening(self) -> list[Event]:
        """What is sent at once."""
        ...

    async def spell(self, update: Update) -> Event | Goodbye | None:
        """Spell what the stream brought; None when that is no news. Only the way in takes a while."""
        ...

    async def heartbeat(self) -> None:
        """Take in a sign of life that the client sent.

        Raises:
            RateLimited: there were too many.
        """
        ...

    def close(self) -> None:
        """Follow no longer; to be called once, however the feed ends."""
        ...

    def as_server_sent(self, event: Event | None, number: int) -> bytes:
        """Spell an event as the server-sent events of this API; None is a sign of life of the server's."""
        ...


class StartingFeed(Feed, Protocol):
    """A feed that is about to be opened."""

    stream: Stream
    """What the server tells this client."""

    async def begin(self) -> None:
        """Read where the visitor stands."""
        ...


async def next_of(feed: Feed, patience_s: float) -> Event | Goodbye | None:
    """Wait for what is to be sent next; None when there was nothing for `patience_s` seconds."""
    until = trio.current_time() + patience_s
    while True:
        update = await feed.stream.next(until - trio.current_time())
        if update is None:
            return None
        news = await feed.spell(update)
        if news is not None:
            return news


def event_stream_headers(feed: Feed) -> list[tuple[str, str]]:
    """Spell the headers that open a stream of server-sent events."""
    return [
        ("Content-Type", "text/event-stream"),
        ("Cache-Control", "no-store"),
        *feed.headers,
        # A proxy that buffers would keep the news to itself.
        ("X-Accel-Buffering", "no"),
    ]


async def open_feed(services: Services, feed: StartingFeed, others: Others) -> Feed:
    """Register a feed's stream and read where its visitor stands; closes the feed if that fails."""
    # Registered before the first look, so that nothing that happens between the two is lost.
    services.registry.add(feed.stream, others)
    try:
        await feed.begin()
    except BaseException:
        feed.close()
        raise
    return feed


def goodbye(farewell: Farewell) -> Goodbye:
    """Tell how a stream ends that the server closes."""
    return Goodbye(NORMAL_CLOSURE if farewell.is_replaced else SERVICE_RESTART)
