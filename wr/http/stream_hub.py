"""The hub of the fast lane's live streams: one task tells them all, each at its turn.

A stream is the task that listens to its client, parked, and a few small objects. What there is to tell is
sent from here, at once where the kernel takes it; a client that reads slowly gets the newest position when
it has read the last, and one that does not read at all is let go.
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
_SENT_BETWEEN_TURNS = 32
"""Streams told in a row before other tasks have their turn: about half a millisecond."""


class HubStream(ABC):
    """One stream: what it sends and when; how that is spelled is its transport protocol's affair."""

    __slots__ = ("_ended", "_hub", "_is_queued", "_is_telling", "_transport", "_unsent", "feed", "is_over")

    def __init__(self, hub: "StreamHub", transport: Transport, feed: Feed, ended: Callable[[], None]) -> None:
        self.feed = feed
        self.is_over = False
        self._hub = hub
        self._transport = transport
        self._ended = ended
        self._is_queued = False
        self._is_telling = False
        self._unsent = b""

    @property
    def has_unsent(self) -> bool:
        """Whether the client has yet to read something before it can be sent more."""
        return bool(self._unsent)

    @property
    @abstractmethod
    def due(self) -> float:
        """Trio time at which `show_life` is called next."""

    @abstractmethod
    def show_life(self, now: float) -> None:
        """Say that the server is there, and find out whether the client is; `now` is Trio time."""

    @abstractmethod
    def spell(self, event: Event) -> bytes:
        """Spell an event as this kind of stream does."""

    @abstractmethod
    def spell_end(self, code: int, reason: str) -> bytes:
        """Spell the end of the stream; code and reason as a WebSocket has them."""

    @abstractmethod
    async def hear(self, data: bytes) -> None:
        """Take in what the client sent."""

    def begin(self) -> None:
        """Send what the feed opens with, and from then on whatever it brings."""
        for event in self.feed.opening():
            self._put(event)
        if not self.is_over:
            self.feed.stream.on_news = self.have_news
            self._hub.look_after(self)
            self.have_news()

    def have_news(self) -> None:
        """There is something to tell."""
        if not self._is_queued and not self.is_over:
            self._is_queued = True
            self._hub.queue(self)

    def take_turn(self) -> Update | None:
        """Take what is to be told now; None while the last is still on its way."""
        self._is_queued = False
        if self.is_over or self._is_telling or self._unsent:
            return None
        return self.feed.stream.take()

    async def tell(self, update: Update) -> None:
        """Send what an update means to this client."""
        self._is_telling = True
        try:
            news = await self.feed.spell(update)
        finally:
            self._is_telling = False
        if isinstance(news, Goodbye):
            self.end(news.close_code)
        elif news is not None:
            self._put(news)

    async def tell_in_time(self, update: Update) -> None:
        """Send what it takes a while to spell, and then what has come up meanwhile."""
        await self.tell(update)
        self.have_news()

    def abandon(self) -> None:
        """The connection is over: send nothing more, and follow no longer."""
        self.is_over = True
        self.feed.stream.on_news = None
        self.feed.close()

    def let_go(self) -> None:
        """Close the connection at once, which the task that listens to it learns; raises nothing."""
        self.is_over = True
        self._transport.close()

    def end(self, code: int, reason: str = "") -> None:
        """Say good-bye; the connection closes when that is sent."""
        if not self.is_over:
            self.is_over = True
            self.feed.stream.on_news = None
            self.write(self.spell_end(code, reason))
            if not self._unsent:
                self._ended()

    def write(self, data: bytes) -> None:
        """Send bytes after all those before; a client that leaves too much unread is let go."""
        if not self._unsent:
            self._unsent = self._transport.send_now(data)
            if self._unsent:
                self._hub.send_later(self)
        elif len(self._unsent) + len(data) > _MOST_UNSENT_BYTES:
            self.let_go()
        else:
            self._unsent += data

    async def send_unsent(self) -> None:
        """Send what the kernel did not take at once; a client that takes too long to read it is let go.

        Raises:
            Gone: the client has gone, or was let go meanwhile.
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
        """Say what was put off while the client did not read."""

    def _put(self, event: Event) -> None:
        if not self.is_over:
            self.write(self.spell(event))
            if event.is_last:
                self.end(1000)


class StreamHub:
    """Tells every stream of this process what there is to tell."""

    def __init__(self, send_patience_s: float) -> None:
        self.send_patience_s = send_patience_s
        """How long a client may take to read what it is sent."""
        self._ready: deque[HubStream] = deque()
        self._news = trio.Event()
        self._upkeep: list[tuple[float, int, HubStream]] = []
        self._numbers = itertools.count()
        self._nursery: trio.Nursery | None = None

    async def run(self) -> None:
        """Work for ever."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            try:
                await keep_running("live streams", lambda _status: self._tell_for_ever())
            finally:
                self._nursery = None

    def queue(self, stream: HubStream) -> None:
        """Have a stream told its news, after those that had theirs before."""
        self._ready.append(stream)
        self._news.set()

    def look_after(self, stream: HubStream) -> None:
        """Have a stream show its life when that is due, for as long as it lasts."""
        heapq.heappush(self._upkeep, (stream.due, next(self._numbers), stream))

    def send_later(self, stream: HubStream) -> None:
        """Have the rest of what a stream sends sent when its client reads on; once the hub has ended, the
        stream ends too."""
        self._start(stream.send_unsent, stream=stream, what="a stream that sends")

    def keep_up(self, now: float) -> None:
        """Have every stream show its life that is due by Trio time `now`."""
        while self._upkeep and self._upkeep[0][0] <= now:
            stream = heapq.heappop(self._upkeep)[2]
            if not stream.is_over:
                with Supervised("a stream that shows its life", stream.let_go):
                    if stream.due <= now:
                        stream.show_life(now)
                    self.look_after(stream)

    def _start(self, work: Callable[[], Awaitable[None]], *, stream: HubStream, what: str) -> None:
        if self._nursery is None:
            stream.let_go()
        else:
            start_supervised(self._nursery, work, what=what, close=stream.let_go)

    async def _tell_for_ever(self) -> None:
        told = 0
        while True:
            # What is queued comes first: the news of it may have been taken by a run that failed.
            while self._ready:
                stream = self._ready.popleft()
                with Supervised("a stream that is told its news", stream.let_go):
                    update = stream.take_turn()
                    if isinstance(update, AdmittedUpdate):
                        # The way in is signed in a thread, which nobody else should wait for.
                        signing = partial(stream.tell_in_time, update)
                        self._start(signing, stream=stream, what="a stream that is told the way in")
                    elif update is not None:
                        told += 1
                        await stream.tell(update)
                if told >= _SENT_BETWEEN_TURNS:
                    told = 0
                    await trio.lowlevel.checkpoint()
            await self._news.wait()
            self._news = trio.Event()
