"""Live feeds: what happens to one person, in the words of either API, for whichever transport carries it."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal, Protocol

import msgspec
import trio
from msgspec import UNSET

from wr.api.calls import Call, Services
from wr.api.concert_operations import caller_of
from wr.api.messages import (
    AdmittedEvent,
    AdmittedEventData,
    ConcertEvent,
    ConcertUser,
    ExpiredEvent,
    ExpiredEventData,
    PositionUpdateEvent,
    PositionUpdateEventData,
)
from wr.api.visitor_operations import held_status
from wr.concerts import NOT_IN_LINE, Caller, UserStatus, concert_queue, user_position
from wr.join_rules import PositionProof
from wr.live.registry import Others
from wr.live.stream import Stream, StreamKind
from wr.live.updates import Ended, Farewell, LetIn, Moved, Update
from wr.model.limits import Usage
from wr.model.places import Admitted, Waiting
from wr.room import Line
from wr.store.polls import PollKind

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


class QueueFeed:
    """The first API's feed: `position_update`, `admitted`, `expired` (contract: WebSocket Endpoint)."""

    __slots__ = ("_opening", "_proof", "_services", "_timeout_s", "headers", "stream", "usage")

    def __init__(self, services: Services, proof: PositionProof, stream: Stream) -> None:
        self._services = services
        # A stream lasts long and hands out no position token: no need to keep the one it began with.
        self._proof = PositionProof(proof.claims, "")
        self._opening: list[Event] = []
        self._timeout_s = 0
        """The heartbeat timeout that the client was told last."""
        self.stream = stream
        self.headers: list[tuple[str, str]] = []
        self.usage: Usage | None = None

    async def begin(self) -> None:
        """Find out where the person stands, who is here from now on; raises what a status call would."""
        place = await self._services.room.poll(self._proof, PollKind.KEEPING_STATUS)
        self.usage = place.usage
        if isinstance(place, Line):
            moved = Moved(
                place.position,
                place.queue_length,
                place.estimated_wait_s,
                place.config.status,
                place.config.heartbeat_timeout_seconds,
                place.is_recovering,
            )
            self.stream.told(moved)
            self._opening = [self._moved(moved)]
        else:
            self._opening = [_admitted(place.session_token, place.config.target_url)]

    def opening(self) -> list[Event]:
        """The position, or the way in."""
        opening, self._opening = self._opening, []
        return opening

    async def spell(self, update: Update) -> Event | Goodbye | None:
        """Spell what the stream brought; the way in needs a signature."""
        if isinstance(update, Moved):
            return self._moved(update)
        if isinstance(update, LetIn):
            token = await self._services.room.let_in(self._proof.claims, update.config, update.place)
            return _admitted(token, update.config.target_url)
        if isinstance(update, Ended):
            event = ExpiredEvent(data=ExpiredEventData(reason=update.reason))
            return Event(event.type, msgspec.json.encode(event), is_last=True)
        return _goodbye(update)

    def _moved(self, moved: Moved) -> Event:
        event = PositionUpdateEvent(
            data=PositionUpdateEventData(
                position=moved.position,
                queue_length=moved.queue_length,
                estimated_wait_seconds=moved.estimated_wait_s,
                queue_status=held_status(moved.queue_status),
                recovering=moved.is_recovering or UNSET,
            )
        )
        if moved.heartbeat_timeout_s != self._timeout_s:
            self._timeout_s = event.data.heartbeat_timeout_seconds = moved.heartbeat_timeout_s
        return Event(event.type, msgspec.json.encode(event))

    async def heartbeat(self) -> None:
        """Keep the place, as a heartbeat call does and within its limit."""
        self.stream.is_alive = True
        await self._services.room.poll(self._proof, PollKind.HEARTBEAT)

    def close(self) -> None:
        """Follow no longer."""
        self._services.registry.remove(self.stream)

    def as_server_sent(self, event: Event | None, number: int) -> bytes:
        """Spell an event with its name, a number and the whole message; a sign of life is a comment."""
        if event is None:
            return b": still here\n\n"
        retry = b"retry: %d\n" % _RETRY_MS if number == 1 else b""
        return b"%sevent: %s\nid: %d\ndata: %s\n\n" % (retry, event.name.encode(), number, event.data)


class ConcertFeed:
    """The second API's feed: `INIT`, `RANK_UPDATE`, `ACTIVE`, `KEEPALIVE` (its document, section 2.3)."""

    __slots__ = (
        *("_caller", "_clock_ms", "_inside_until", "_services", "_state", "_user"),
        *("headers", "stream", "usage"),
    )

    def __init__(
        self,
        services: Services,
        user: ConcertUser,
        caller: Caller,
        stream: Stream,
        clock_ms: Callable[[], int],
    ) -> None:
        self._services = services
        self._caller = caller
        self._user = user
        self._clock_ms = clock_ms
        self._state = ConcertEvent(
            user_id=user.user_id, concert_id=user.concert_id, status=UserStatus.NONE, rank=NOT_IN_LINE
        )
        self._inside_until = 0.0
        self.stream = stream
        self.headers: list[tuple[str, str]] = []
        self.usage: Usage | None = None

    async def begin(self) -> None:
        """Find out where the user stands; raises what a status call would."""
        user = self._user
        polled, self.usage = await self._services.concerts.look(user.concert_id, user.user_id, self._caller)
        place = polled.place
        if isinstance(place, Waiting):
            self._take(Moved(place.position, polled.queue_length, 0))
            self.stream.told(Moved(place.position, polled.queue_length, 0))
        elif isinstance(place, Admitted):
            view = await self._services.concerts.view(self._user.concert_id)
            entered = LetIn(view.config, place, polled.queue_length, polled.now_ms)
            self._take(entered)
            self.stream.told(entered)

    def opening(self) -> list[Event]:
        """The greeting and a snapshot."""
        return [Event("INIT", b"connected"), self._event()]

    async def spell(self, update: Update) -> Event | Goodbye | None:
        """Spell what the stream brought; None for somebody not in line who was not in line before."""
        if isinstance(update, Farewell):
            return _goodbye(update)
        if isinstance(update, Ended) and self._state.status is UserStatus.NONE:
            return None
        if isinstance(update, Moved) and update.position == self._state.rank:
            return None  # The line is held, or goes on: of that this API says nothing.
        self._take(update)
        return self._event()

    async def heartbeat(self) -> None:
        """This API has none: the open stream is the sign of life."""

    def close(self) -> None:
        """Follow no longer."""
        self._services.registry.remove(self.stream)

    def as_server_sent(self, event: Event | None, number: int) -> bytes:  # noqa: ARG002 - events have no numbers here
        """Spell an event without the optional spaces, as this API's clients expect."""
        if event is None:
            return b"event:KEEPALIVE\ndata:%s\n\n" % self._event().data
        return b"event:%s\ndata:%s\n\n" % (event.name.encode(), event.data)

    def _take(self, update: Update) -> None:
        if isinstance(update, Moved):
            status, rank = UserStatus.WAITING, update.position
        elif isinstance(update, LetIn):
            status, rank = UserStatus.ACTIVE, 0
            self._inside_until = trio.current_time() + (update.place.expires_ms - update.now_ms) / 1000
        else:
            status, rank = UserStatus.NONE, NOT_IN_LINE
        self._state = msgspec.structs.replace(self._state, status=status, rank=rank)

    def _event(self) -> Event:
        """Spell the state of this moment."""
        is_active = self._state.status is UserStatus.ACTIVE
        left_s = max(0, int(self._inside_until - trio.current_time())) if is_active else 0
        now = datetime.fromtimestamp(self._clock_ms() / 1000, UTC)
        data = msgspec.structs.replace(
            self._state,
            active_ttl_seconds=left_s,
            timestamp=f"{now:%Y-%m-%dT%H:%M:%S}.{now.microsecond // 1000:03d}Z",
        )
        name: Literal["ACTIVE", "RANK_UPDATE"] = "ACTIVE" if is_active else "RANK_UPDATE"
        return Event(name, msgspec.json.encode(data))


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


async def queue_feed(services: Services, call: Call) -> Feed:
    """Follow the position of the token's holder: updates, and at last the way in or the end."""
    if call.position is None:
        raise AssertionError("the route asks for a position token")
    claims = call.position.claims
    # The one feed that WebSockets carry too; the route's own word for them is above this file.
    kind = StreamKind.WEBSOCKET if call.route.method == "WEBSOCKET" else StreamKind.EVENTS
    stream = Stream(
        claims.queue_id,
        claims.position_id,
        kind=kind,
        priority=claims.priority,
        address=call.address,
        claims=claims,
    )
    return await _opened(services, QueueFeed(services, call.position, stream), Others.KEPT)


async def concert_feed(services: Services, call: Call) -> Feed:
    """Follow the rank of a user. A subscription with the user's token replaces those before; without one, a
    few of the same user live side by side, and the third of one address replaces the first of that
    address."""
    user: ConcertUser = call.query
    caller = caller_of(call)
    queue_id = concert_queue(user.concert_id)
    stream = Stream(queue_id, user_position(queue_id, user.user_id), address=call.address)
    feed = ConcertFeed(services, user, caller, stream, services.clock_ms)
    return await _opened(services, feed, Others.REPLACED if caller.is_known else Others.BOUNDED)


async def _opened(services: Services, feed: "QueueFeed | ConcertFeed", others: Others) -> Feed:
    # Registered before the first look, so that nothing that happens between the two is lost.
    services.registry.add(feed.stream, others)
    try:
        await feed.begin()
    except BaseException:
        feed.close()
        raise
    return feed


def _admitted(session_token: str, redirect_url: str) -> Event:
    event = AdmittedEvent(data=AdmittedEventData(session_token=session_token, redirect_url=redirect_url))
    return Event(event.type, msgspec.json.encode(event), is_last=True)


def _goodbye(farewell: Farewell) -> Goodbye:
    return Goodbye(NORMAL_CLOSURE if farewell.is_replaced else SERVICE_RESTART)
