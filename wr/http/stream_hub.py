"""Sends the updates of all live streams of the fast lane, in one task, so that an idle stream costs little.

A stream consists of a few small objects, and has no task: the reactor reads what its client sends. The hub
sends each update immediately if the kernel takes it. A client that reads slowly gets the newest position when
it has read the last one. A client that does not read at all is disconnected.
"""

import heapq
import itertools
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial

import trio

from wr.api.live_feed import Event, Feed, Goodbye
from wr.http.transports import Transport
from wr.live.updates import AdmittedUpdate, Update
from wr.supervision.connections import Supervised, start_supervised
from wr.supervision.loops import keep_running

_MOST_UNSENT_BYTES = 64 * 1024
Work = Callable[[], Awaitable[None]]
"""Work that needs a task."""
_SENT_BETWEEN_TURNS = 32
"""Updates sent in a row before other tasks may run: about half a millisecond."""


class HubStream(ABC):
    """One stream: what it sends and when. Subclasses know the format of WebSockets and event streams."""

    __slots__ = ("_ended", "_hub", "_is_queued", "_is_sending", "_transport", "_unsent", "feed", "is_over")

    def __init__(self, hub: "StreamHub", transport: Transport, feed: Feed, ended: Callable[[], None]) -> None:
        self.feed = feed
        self.is_over = False
        self._hub = hub
        self._transport = transport
        self._ended = ended
        self._is_queued = False
        self._is_sending = False
        self._unsent = b""

    @property
    def unsent_bytes(self) -> int:
        """How many bytes wait until the client reads on."""
        return len(self._unsent)

    @property
    @abstractmethod
    def due(self) -> float:
        """Trio time at which `show_life` is called next."""

    @abstractmethod
    def show_life(self, now: float) -> None:
        """Send a keep-alive or a ping, and end the stream if the client is gone. `now` is Trio time."""

    @abstractmethod
    def spell(self, event: Event) -> bytes:
        """Return an event as bytes in the format of this stream."""

    @abstractmethod
    def spell_end(self, code: int, reason: str) -> bytes:
        """Return the bytes that end the stream. `code` and `reason` are those of a WebSocket."""

    @abstractmethod
    def hear(self, data: bytes) -> Work | None:
        """Handle bytes that the client sent. Returns the work that has to wait for the store, if any has.

        Until that is done, call `hear` for no more bytes.
        """

    def begin(self) -> None:
        """Send the opening events, and from then on each update."""
        for event in self.feed.opening():
            self._put(event)
        if not self.is_over:
            self.feed.stream.on_news = self.have_news
            self._hub.look_after(self)
            self.have_news()

    def have_news(self) -> None:
        """Queue the stream in the hub, because it has an update to send."""
        if not self._is_queued and not self.is_over:
            self._is_queued = True
            self._hub.queue(self)

    def take_turn(self) -> Update | None:
        """Return the update to send now. None while the client has not read the last one yet."""
        self._is_queued = False
        if self.is_over or self._is_sending or self._unsent:
            return None
        return self.feed.stream.take()

    async def tell(self, update: Update) -> None:
        """Send an update in the form for this client."""
        self._is_sending = True
        try:
            news = await self.feed.spell(update)
        finally:
            self._is_sending = False
        if isinstance(news, Goodbye):
            self.end(news.close_code)
        elif news is not None:
            self._put(news)

    async def tell_in_time(self, update: Update) -> None:
        """Send an update that takes time to prepare, then queue what has arrived in the meantime."""
        await self.tell(update)
        self.have_news()

    def abandon(self) -> None:
        """End the stream because its connection has ended. Sends nothing."""
        self.is_over = True
        # It leads back to the connection, which the collector would otherwise have to free, much later.
        self._ended = _do_nothing
        self.feed.stream.on_news = None
        self.feed.close()

    def let_go(self) -> None:
        """Close the connection at once. The task that receives from it then ends. Raises nothing."""
        self.is_over = True
        self._transport.close()

    def end(self, code: int, reason: str = "") -> None:
        """Send the end of the stream. The connection closes when that is sent."""
        if not self.is_over:
            self.is_over = True
            self.feed.stream.on_news = None
            self.write(self.spell_end(code, reason))
            if not self._unsent:
                self._ended()

    def write(self, data: bytes) -> None:
        """Send bytes, after all earlier ones. Disconnects a client that leaves too many bytes unread."""
        if not self._unsent:
            self._unsent = self._transport.send_now(data)
            if self._unsent:
                self._hub.send_later(self)
        elif len(self._unsent) + len(data) > _MOST_UNSENT_BYTES:
            self.let_go()
        else:
            self._unsent += data

    async def send_unsent(self) -> None:
        """Send the bytes that the kernel did not take at once. Disconnects a client that reads too slowly.

        Raises:
            ClientGone: the client has gone, or this side closed the connection.
        """
        with trio.move_on_after(self._hub.send_patience_s) as patience:
            while self._unsent:
                sending, sent = self._unsent, len(self._unsent)
                await self._transport.send(sending)
                self._unsent = self._unsent[sent:]
        if patience.cancelled_caught:
            self.let_go()
        elif self.is_over:
            self._ended()
        else:
            self.catch_up()
            self.have_news()

    @abstractmethod
    def catch_up(self) -> None:
        """Send what was delayed while the client did not read."""

    def _put(self, event: Event) -> None:
        if not self.is_over:
            self.write(self.spell(event))
            if event.is_last:
                self.end(1000)


def _do_nothing() -> None:
    """Stand for what a stream did at its end while it had a connection."""


class StreamHub:
    """Sends the updates and keep-alives of all streams of this process."""

    def __init__(self, send_patience_s: float) -> None:
        self.send_patience_s = send_patience_s
        """How long a client may take to read what the server sends, in seconds."""
        self._ready: deque[HubStream] = deque()
        self._news = trio.Event()
        self._upkeep: list[tuple[float, int, HubStream]] = []
        self._numbers = itertools.count()
        self._nursery: trio.Nursery | None = None

    async def run(self) -> None:
        """Send updates for ever. Streams that need to wait get a task in its nursery."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            try:
                await keep_running("live streams", lambda _status: self._send_for_ever())
            finally:
                self._nursery = None

    def queue(self, stream: HubStream) -> None:
        """Queue a stream that has an update to send."""
        self._ready.append(stream)
        self._news.set()

    def look_after(self, stream: HubStream) -> None:
        """Schedule the keep-alives of a stream until it ends."""
        heapq.heappush(self._upkeep, (stream.due, next(self._numbers), stream))

    def send_later(self, stream: HubStream) -> None:
        """Start a task that sends the rest when the client reads on. After the hub has ended, disconnects."""
        self._start(stream.send_unsent, stream=stream, what="sending to a slow client")

    def keep_up(self, now: float) -> None:
        """Send all keep-alives that are due at the Trio time `now`."""
        while self._upkeep and self._upkeep[0][0] <= now:
            stream = heapq.heappop(self._upkeep)[2]
            if not stream.is_over:
                with Supervised("keep-alive of a stream", stream.let_go):
                    if stream.due <= now:
                        stream.show_life(now)
                    self.look_after(stream)

    def _start(self, work: Work, *, stream: HubStream, what: str) -> None:
        if self._nursery is None:
            stream.let_go()
        else:
            start_supervised(self._nursery, work, what=what, close=stream.let_go)

    async def _send_for_ever(self) -> None:
        sent_count = 0
        while True:
            # The queue comes before the wait, because a run that failed may have consumed the event.
            while self._ready:
                stream = self._ready.popleft()
                with Supervised("update of a stream", stream.let_go):
                    update = stream.take_turn()
                    if isinstance(update, AdmittedUpdate):
                        # A thread signs the session token. Other streams must not wait for it.
                        signing = partial(stream.tell_in_time, update)
                        self._start(signing, stream=stream, what="admission on a stream")
                    elif update is not None:
                        sent_count += 1
                        await stream.tell(update)
                if sent_count >= _SENT_BETWEEN_TURNS:
                    sent_count = 0
                    await trio.lowlevel.checkpoint()
            await self._news.wait()
            self._news = trio.Event()
