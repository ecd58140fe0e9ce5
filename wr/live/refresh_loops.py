"""The live loops: positions of all streams once in a while, and at once for those something happened to."""

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
"""Streams looked at in one call: about 1 ms of the store's time."""


class Looking(Protocol):
    """What the loops need of the store."""

    async def poll_many(self, queue_id: str, polls: Sequence[Poll], /) -> Sequence[Polled]:
        """Tell where these people stand."""
        ...


class Restoring(Protocol):
    """What the loops need to put back what the store has forgotten."""

    async def restore_many(self, queue_id: str, claims: Sequence[PositionClaims], /) -> Sequence[bool]:
        """Put back what these tokens tell of, if the store has forgotten it; for each whether it is there."""
        ...


class Knowing(Protocol):
    """What the loops need of the queue book."""

    async def get(self, queue_id: str, /) -> QueueView:
        """Return the view of a queue."""
        ...


class LiveLoops:
    """Looks at streams and offers each what the store says of its person.

    A stream that is alive keeps its place by being looked at. While the store is away nothing is offered:
    streams stay open and say nothing rather than something false.
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
        """Look at every stream when it is due, for ever."""
        next_round = trio.current_time()
        while True:
            # By the clock and not after a pause: what a round takes would add up to late updates.
            next_round = max(next_round + self._round_s, trio.current_time())
            await trio.sleep_until(next_round)
            self._round_s = self._interval_s
            for queue_id in self._registry.queues():
                await self._look(queue_id, self._registry.due(queue_id, trio.current_time()))

    async def look_at_once(self) -> None:
        """Look at those something happened to, and keep the places of those who have just gone, for ever."""
        while True:
            for queue_id, people in (await self._registry.hurried()).items():
                await self._look(queue_id, self._registry.streams_of(queue_id, people))
            for queue_id, gone in self._registry.departed().items():
                await self._keep(queue_id, list(gone))

    async def _keep(self, queue_id: str, people: Sequence[bytes]) -> None:
        for start in range(0, len(people), LOOKS_PER_CALL):
            polls = [Poll(who, PollKind.KEEP, b"") for who in people[start : start + LOOKS_PER_CALL]]
            try:
                await self._store.poll_many(queue_id, polls)
            except Unavailable:
                # Their silence counts from their last look then, seconds earlier.
                log.debug("the last sign of life of some could not be kept", queue_id=queue_id)
                return

    async def _look(self, queue_id: str, streams: Sequence[Stream]) -> None:
        for start in range(0, len(streams), LOOKS_PER_CALL):
            try:
                await self._look_at(queue_id, streams[start : start + LOOKS_PER_CALL])
            except Unavailable:
                # Held, not ended: what happened meanwhile is seen at the first look after the store is back.
                log.debug("streams wait for the store", queue_id=queue_id)
                return

    async def _look_at(self, queue_id: str, streams: Sequence[Stream]) -> None:
        polls = [
            Poll(stream.position_id, PollKind.KEEP if stream.is_alive else PollKind.LOOK, b"")
            for stream in streams
        ]
        answers = await self._store.poll_many(queue_id, polls)
        forgotten = [
            stream.claims
            for stream, polled in zip(streams, answers, strict=True)
            if stream.claims is not None and isinstance(polled.place, Unknown)
        ]
        if forgotten and any(await self._restorations.restore_many(queue_id, forgotten)):
            answers = await self._store.poll_many(queue_id, polls)
        try:
            view = await self._queue_cache.get(queue_id)
        except NotFound:
            view = None
        now = trio.current_time()
        for stream, polled in zip(streams, answers, strict=True):
            stream.offer(polled, view)
            if now >= stream.token_due and isinstance(polled.place, Waiting):
                stream.renew_token()
            stream.due = now + self._pause_s(polled, view)

    def _pause_s(self, polled: Polled, view: QueueView | None) -> float:
        """People far back are told less often, but always often enough to keep their place."""
        if view is None or not isinstance(polled.place, Waiting):
            # What happens to somebody who does not wait is announced; these looks are for what got lost.
            return 5 * self._interval_s
        position = polled.place.position
        keeps_place_s = view.config.heartbeat_timeout_seconds / 3
        self._round_s = min(self._round_s, keeps_place_s)
        rounds = 1 if position <= 100 else 2 if position <= 1_000 else 5
        # Half a round less, so that a round that comes a little early is not a round missed.
        return min((rounds - 0.5) * self._interval_s, keeps_place_s / 2)
