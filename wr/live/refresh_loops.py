"""Refreshes live streams from the store: all of them regularly, and those with changes at once."""

from collections.abc import Sequence
from typing import Protocol

import structlog
import trio

from wr.live.registry import Registry
from wr.live.stream import Stream
from wr.model.places import Unknown, Waiting
from wr.model.refusals import NotFound, Unavailable
from wr.model.tokens import PositionClaims
from wr.room.queue_cache import QueueView
from wr.store.poll import Poll, Polled, PollKind

log = structlog.get_logger("wr.live")

LOOKS_PER_CALL = 500
"""Streams in one call of the store: about 1 ms of the store's time."""


class Looking(Protocol):
    """The part of the store that the loops need."""

    async def poll_many(self, queue_id: str, polls: Sequence[Poll], /) -> Sequence[Polled]:
        """Return the places of these visitors."""
        ...


class Restoring(Protocol):
    """The part of the recovery that the loops need."""

    async def restore_many(self, queue_id: str, claims: Sequence[PositionClaims], /) -> Sequence[bool]:
        """Restore the places of these tokens if the store has lost them. Returns whether each is there."""
        ...


class Knowing(Protocol):
    """The part of the queue cache that the loops need."""

    async def get(self, queue_id: str, /) -> QueueView:
        """Return the view of a queue."""
        ...


class LiveLoops:
    """Reads the places of streams from the store, and offers each stream its place.

    Reading the place of a live stream also counts as the visitor's heartbeat. While the store is unreachable,
    streams stay open and send no updates.
    """

    def __init__(
        self,
        store: Looking,
        restorations: Restoring,
        queue_cache: Knowing,
        registry: Registry,
        interval_s: float,
    ) -> None:
        self._store = store
        self._restorations = restorations
        self._queue_cache = queue_cache
        self._registry = registry
        self._interval_s = interval_s
        self._round_s = interval_s

    async def look_in_turn(self) -> None:
        """Refresh every stream when it is due, for ever."""
        next_round = trio.current_time()
        while True:
            # At fixed times: with a fixed pause, the time that a round takes would delay the next.
            next_round = max(next_round + self._round_s, trio.current_time())
            await trio.sleep_until(next_round)
            self._round_s = self._interval_s
            for queue_id in self._registry.queues():
                await self._refresh(queue_id, self._registry.due(queue_id, trio.current_time()))

    async def look_at_once(self) -> None:
        """For ever: refresh streams with changes at once, and send a last heartbeat for ended streams."""
        while True:
            for queue_id, people in (await self._registry.hurried()).items():
                await self._refresh(queue_id, self._registry.streams_of(queue_id, people))
            for queue_id, gone in self._registry.departed().items():
                await self._keep_places(queue_id, list(gone))

    async def _keep_places(self, queue_id: str, people: Sequence[bytes]) -> None:
        for start in range(0, len(people), LOOKS_PER_CALL):
            polls = [
                Poll(position_id, PollKind.KEEP, b"")
                for position_id in people[start : start + LOOKS_PER_CALL]
            ]
            try:
                await self._store.poll_many(queue_id, polls)
            except Unavailable:
                # Their heartbeat timeout then counts from the last refresh, some seconds earlier.
                log.debug("the last heartbeats of ended streams are lost", queue_id=queue_id)
                return

    async def _refresh(self, queue_id: str, streams: Sequence[Stream]) -> None:
        for start in range(0, len(streams), LOOKS_PER_CALL):
            try:
                await self._refresh_some(queue_id, streams[start : start + LOOKS_PER_CALL])
            except Unavailable:
                # The streams stay open. They get their changes with the first refresh after the outage.
                log.debug("streams wait for the store", queue_id=queue_id)
                return

    async def _refresh_some(self, queue_id: str, streams: Sequence[Stream]) -> None:
        polls = [
            Poll(stream.position_id, PollKind.KEEP if stream.is_alive else PollKind.LOOK, b"")
            for stream in streams
        ]
        replies = await self._store.poll_many(queue_id, polls)
        forgotten = [
            stream.claims
            for stream, polled in zip(streams, replies, strict=True)
            if stream.claims is not None and isinstance(polled.place, Unknown)
        ]
        if forgotten and any(await self._restorations.restore_many(queue_id, forgotten)):
            replies = await self._store.poll_many(queue_id, polls)
        try:
            view = await self._queue_cache.get(queue_id)
        except NotFound:
            view = None
        now = trio.current_time()
        for stream, polled in zip(streams, replies, strict=True):
            stream.offer(polled, view)
            if now >= stream.token_due and isinstance(polled.place, Waiting):
                stream.renew_token()
            stream.due = now + self._pause_s(polled, view)

    def _pause_s(self, polled: Polled, view: QueueView | None) -> float:
        """Return the seconds until the next refresh.

        It grows with the distance to the front of the line, but stays short enough to keep the place.
        """
        if view is None or not isinstance(polled.place, Waiting):
            # Changes of visitors who do not wait are announced. This refresh is for lost announcements.
            return 5 * self._interval_s
        position = polled.place.position
        keeps_place_s = view.config.heartbeat_timeout_seconds / 3
        self._round_s = min(self._round_s, keeps_place_s)
        rounds = 1 if position <= 100 else 2 if position <= 1_000 else 5
        # Half a round less, so that a stream is not skipped when a round starts a little early.
        return min((rounds - 0.5) * self._interval_s, keeps_place_s / 2)
