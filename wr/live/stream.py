"""One open stream: a small object that holds what its reader is to be told next, and nothing older."""

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
from wr.model.queue import QueueStatus
from wr.model.tokens import PositionClaims
from wr.room.queue_cache import QueueView
from wr.store.poll import Polled


class StreamKind(StrEnum):
    """What carries a stream: told apart only to be counted."""

    WEBSOCKET = "websocket"
    EVENTS = "events"


class Stream:
    """The reader's end and the registry's end of one stream.

    The registry offers what the store says; the reader takes the newest of it when it is ready. A reader that
    is slow misses what was in between, and costs no more memory than one that is not.
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
        """What the token says that the stream was opened with; with it a place comes back that the store has
        forgotten."""
        self.priority = priority
        """Of the place; estimates of the wait depend on it."""
        self.address = address
        """The address that the stream's client comes from."""
        self.kind = kind
        self.queue_id = queue_id
        self.position_id = position_id
        self.is_alive = is_alive
        """Whether the stream counts as a sign of life; a transport whose peer stops answering says no."""
        self.due = -math.inf
        """Trio time from which on the next look is due."""
        self.token_due = math.inf
        """Trio time from which on the client is to get a fresh token; infinite where it gets none."""
        self._is_token_due = False
        self._latest: Update | None = None
        self.on_news: Callable[[], None] | None = None
        """Called when there is something to take; a reader that waits in `next` puts its own here."""
        self._told: object = None

    def offer(self, polled: Polled, view: QueueView | None) -> None:
        """Take in what the store says; wakes the reader if that is news."""
        if isinstance(self._latest, Farewell):
            return
        update = _update(polled, view, self.priority)
        if update is None:
            return
        if _gist(update) == self._told:
            self._latest = None  # Back at what the reader was told last.
        else:
            self._set(update)

    def renew_token(self) -> None:
        """Have the client given a fresh token, beside what else there is to tell; wakes the reader."""
        self.token_due = math.inf
        self._is_token_due = True
        if self.on_news is not None:
            self.on_news()

    def told(self, update: Update) -> None:
        """Note what the reader knows already, from elsewhere; a position offered before that is older."""
        self._told = _gist(update)
        latest = self._latest
        if isinstance(latest, PositionUpdate) or (latest is not None and _gist(latest) == self._told):
            self._latest = None

    def close(self, *, is_replaced: bool) -> None:
        """End the stream, not the place."""
        self._set(Farewell(is_replaced))

    async def next(self, patience_s: float) -> Update | None:
        """Wait for something to tell; None when there was nothing for `patience_s` seconds.

        What it returns counts as told: the same position or admission does not come twice in a row.
        """
        if self._latest is None and not self._is_token_due:
            with trio.move_on_after(patience_s):
                await self._wait()
        return self.take()

    def take(self) -> Update | None:
        """Take what there is to tell, which counts as told from now on; None when there is nothing."""
        if self._is_token_due and (self._latest is None or isinstance(self._latest, PositionUpdate)):
            self._is_token_due = False
            if self._latest is not None and self.on_news is not None:
                self.on_news()  # What else there is comes at the next turn.
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
        # One reader for each stream: parking its task costs nothing, an event for each wait would.
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
    """What a place means to its holder; nothing while the queue's settings are on their way."""
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
    """What makes an update news: the position, or that the line is held; not how the estimate wavers."""
    if isinstance(update, PositionUpdate):
        status = update.queue_status
        if status is QueueStatus.ACTIVE and not update.is_recovering:
            return update.position
        return (update.position, status, update.is_recovering)
    if isinstance(update, AdmittedUpdate):
        return update.place
    return update
