"""One open stream: holds only the newest update for its client, so that a slow client needs no memory."""

import math
from collections.abc import Callable
from enum import StrEnum

import trio

from wr.live.updates import (
    FORGOTTEN,
    QUEUE_DELETED,
    TOKEN_DUE,
    AdmittedUpdate,
    EndedUpdate,
    Farewell,
    PositionUpdate,
    Update,
)
from wr.model.places import Admitted, Gone, Unserved, Waiting
from wr.model.queue_settings import QueueStatus
from wr.model.tokens import PositionClaims
from wr.room.queue_cache import QueueView
from wr.store.poll import Polled


class StreamKind(StrEnum):
    """The transport of a stream. Used only for counting."""

    WEBSOCKET = "websocket"
    EVENTS = "events"


class Stream:
    """One live stream of a visitor, shared by the refresh loops and the task that sends (the reader).

    The loops offer the place that the store returns. The reader takes the newest update when it is ready. A
    slow reader misses the updates in between.
    """

    __slots__ = (
        *("_latest", "_told", "due", "is_alive", "kind", "on_news", "position_id", "queue_id"),
        *("_is_token_due", "address", "claims", "priority", "token_due"),
    )

    def __init__(
        self,
        queue_id: str,
        position_id: bytes,
        *,
        is_alive: bool = True,
        kind: StreamKind = StreamKind.EVENTS,
        priority: int = 0,
        address: str = "",
        claims: PositionClaims | None = None,
    ) -> None:
        self.claims = claims
        """Claims of the token that opened the stream. They restore the place if the store loses it."""
        self.priority = priority
        """Priority of the place. The estimated wait depends on it."""
        self.address = address
        """IP address of the client."""
        self.kind = kind
        self.queue_id = queue_id
        self.position_id = position_id
        self.is_alive = is_alive
        """Whether the stream counts as a heartbeat. False if the client has not answered a ping."""
        self.due = -math.inf
        """Trio time of the next refresh."""
        self.token_due = math.inf
        """Trio time at which the client should get a new token. Infinity if it gets none."""
        self._is_token_due = False
        self._latest: Update | None = None
        self.on_news: Callable[[], None] | None = None
        """Called when `take` has something to return. `next` sets it while it waits."""
        self._told: object = None

    def offer(self, polled: Polled, view: QueueView | None) -> None:
        """Accept the place that the store returned, and wake the reader if it has changed."""
        if isinstance(self._latest, Farewell):
            return
        update = _update(polled, view, self.priority)
        if update is None:
            return
        if _gist(update) == self._told:
            self._latest = None  # The place is again the one that the reader took last.
        else:
            self._set(update)

    def renew_token(self) -> None:
        """Request a new token for the client, in addition to other updates, and wake the reader."""
        self.token_due = math.inf
        self._is_token_due = True
        if self.on_news is not None:
            self.on_news()

    def told(self, update: Update) -> None:
        """Note an update that the client already has from another source. Drops an older pending position."""
        self._told = _gist(update)
        latest = self._latest
        if isinstance(latest, PositionUpdate) or (latest is not None and _gist(latest) == self._told):
            self._latest = None

    def close(self, *, is_replaced: bool) -> None:
        """Close the stream. The visitor keeps the place."""
        self._set(Farewell(is_replaced))

    async def next(self, patience_s: float) -> Update | None:
        """Wait for an update. Returns None if there is none for `patience_s` seconds.

        The same position or admission does not come twice in a row.
        """
        if self._latest is None and not self._is_token_due:
            with trio.move_on_after(patience_s):
                await self._wait()
        return self.take()

    def take(self) -> Update | None:
        """Return the newest update without waiting, or None. It counts as sent from now on."""
        if self._is_token_due and (self._latest is None or isinstance(self._latest, PositionUpdate)):
            self._is_token_due = False
            if self._latest is not None and self.on_news is not None:
                self.on_news()  # The reader takes the other update next.
            return TOKEN_DUE
        update, self._latest = self._latest, None
        if update is not None:
            self._told = _gist(update)
        return update

    def _set(self, update: Update) -> None:
        self._latest = update
        if self.on_news is not None:
            self.on_news()

    async def _wait(self) -> None:
        # Each stream has one reader, so its task is suspended directly. A Trio event would cost more.
        reader = trio.lowlevel.current_task()

        def wake() -> None:
            self.on_news = None
            trio.lowlevel.reschedule(reader)

        def give_up(_raise_cancel: object) -> trio.lowlevel.Abort:
            self.on_news = None
            return trio.lowlevel.Abort.SUCCEEDED

        self.on_news = wake

        await trio.lowlevel.wait_task_rescheduled(give_up)


def _update(polled: Polled, view: QueueView | None, priority: int) -> Update | None:
    """Turn a place into an update. Returns None while the queue's settings are not known yet."""
    place = polled.place
    if isinstance(place, Waiting):
        if view is None:
            return None
        estimated_wait_s = view.estimated_wait_s(place.position, priority)
        return PositionUpdate(
            place.position,
            polled.queue_length,
            estimated_wait_s,
            view.config.status,
            view.config.heartbeat_timeout_seconds,
            view.is_recovering,
        )
    if isinstance(place, Admitted):
        return (
            None if view is None else AdmittedUpdate(view.config, place, polled.queue_length, polled.now_ms)
        )
    if isinstance(place, Gone):
        return EndedUpdate(place.reason.text)
    return QUEUE_DELETED if place is Unserved.NO_QUEUE else FORGOTTEN


def _gist(update: Update) -> object:
    """Return the part of an update that counts as a change: the position or state, not the estimated wait."""
    if isinstance(update, PositionUpdate):
        status = update.queue_status
        if status is QueueStatus.ACTIVE and not update.is_recovering:
            return update.position
        return (update.position, status, update.is_recovering)
    if isinstance(update, AdmittedUpdate):
        return update.place
    return update
