"""The live feed of a user of the second API (its document, section 2.3)."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal

import msgspec
import trio

from wr.api.authenticated_request import AuthenticatedRequest
from wr.api.live_feed import Event, Feed, Goodbye, goodbye, open_feed
from wr.api.services import Services
from wr.api.user_queue.messages import ConcertEvent, ConcertUser
from wr.api.user_queue.operations import queue_user
from wr.live.registry import Others
from wr.live.stream import Stream
from wr.live.updates import AdmittedUpdate, EndedUpdate, Farewell, PositionUpdate, TokenDue, Update
from wr.model.limits import Usage
from wr.model.places import Admitted, Waiting
from wr.room.user_queue import NOT_IN_LINE, QueueUser, UserStatus, concert_queue, user_position


class UserQueueFeed:
    """The second API's feed: `INIT`, `RANK_UPDATE`, `ACTIVE`, `KEEPALIVE` (its document, section 2.3)."""

    __slots__ = (
        *("_caller", "_clock_ms", "_inside_until", "_services", "_state", "_user"),
        *("headers", "stream", "usage"),
    )

    def __init__(
        self,
        services: Services,
        user: ConcertUser,
        caller: QueueUser,
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
        """Read the user's place from the store. Raises the same errors as a status call."""
        user = self._user
        standing = await self._services.user_queue.status(user.concert_id, user.user_id, self._caller)
        self.usage = standing.usage
        place = standing.place
        # This API does not report the length of the line.
        if isinstance(place, Waiting):
            self._take(PositionUpdate(place.position, 0, 0))
            self.stream.told(PositionUpdate(place.position, 0, 0))
        elif isinstance(place, Admitted):
            view = await self._services.user_queue.view(self._user.concert_id)
            admitted = AdmittedUpdate(view.config, place, 0, standing.now_ms)
            self._take(admitted)
            self.stream.told(admitted)

    def opening(self) -> list[Event]:
        """Return `INIT` and the current state."""
        return [Event("INIT", b"connected"), self._event()]

    async def spell(self, update: Update) -> Event | Goodbye | None:
        """Turn an update into an event. Returns None if this API has nothing to send."""
        if isinstance(update, Farewell):
            return goodbye(update)
        if isinstance(update, EndedUpdate) and self._state.status is UserStatus.NONE:
            return None
        if isinstance(update, TokenDue):
            return None  # This API has no position tokens.
        if isinstance(update, PositionUpdate) and update.position == self._state.rank:
            return None  # The queue's status has changed, which this API does not report.
        self._take(update)
        return self._event()

    async def heartbeat(self) -> None:
        """Do nothing: this API has no heartbeats. The open stream keeps the place."""

    def close(self) -> None:
        """Unregister the stream."""
        self._services.registry.remove(self.stream)

    def as_server_sent(self, event: Event | None, number: int) -> bytes:  # noqa: ARG002 - events have no numbers here
        """Return an event without the optional spaces, as this API's clients expect."""
        if event is None:
            return b"event:KEEPALIVE\ndata:%s\n\n" % self._event().data
        return b"event:%s\ndata:%s\n\n" % (event.name.encode(), event.data)

    def _take(self, update: Update) -> None:
        if isinstance(update, PositionUpdate):
            status, rank = UserStatus.WAITING, update.position
        elif isinstance(update, AdmittedUpdate):
            status, rank = UserStatus.ACTIVE, 0
            self._inside_until = trio.current_time() + (update.place.expires_ms - update.now_ms) / 1000
        else:
            status, rank = UserStatus.NONE, NOT_IN_LINE
        self._state = msgspec.structs.replace(self._state, status=status, rank=rank)

    def _event(self) -> Event:
        """Return the current state as an event."""
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


async def concert_feed(services: Services, request: AuthenticatedRequest[ConcertUser]) -> Feed:
    """Follow the rank of a user.

    A subscription with the user's token replaces the user's earlier ones. Without a token, several may be
    open, and the third one from an address replaces the first one from that address.
    """
    user = request.message
    caller = queue_user(request.caller)
    queue_id = concert_queue(user.concert_id)
    stream = Stream(queue_id, user_position(queue_id, user.user_id), address=request.caller.address)
    feed = UserQueueFeed(services, user, caller, stream, services.clock_ms)
    return await open_feed(services, feed, Others.REPLACED if caller.is_known else Others.BOUNDED)
