"""Delivers the events of one webhook, in order for each position, until acknowledged or given up."""

import heapq
import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Protocol

import msgspec
import structlog
import trio

from wr.events.event_bus import Outbox
from wr.events.requesting import RequestFailure, Requesting
from wr.metrics.event_metrics import EventTally
from wr.model.events import EventNote, events_of
from wr.model.webhooks import DeadLetter, Webhook, retry_pause_s, signature

log = structlog.get_logger("wr.events.webhooks")

_MOST_READY = 1_000
"""Lanes that are ready or being delivered. Further events stay in the outbox, where they need less memory.

Lanes that pause before a retry do not count, because they must not block others. Their number is limited too:
their events count towards the limit of the outbox until they are settled.
"""
_TURN = 64
"""Deliveries prepared in a row before other tasks may run: about 1 ms."""
_AT_ONCE = 8
"""Deliveries to one webhook at the same time."""


class DeadLetterSink(Protocol):
    """The interface of the storage for deliveries that are given up."""

    async def bury(self, letter: DeadLetter, instead_of: str) -> None:
        """Store a dead letter, and remove the one with the id `instead_of` if it is not empty."""
        ...

    async def remove(self, letter_id: str) -> None:
        """Remove a dead letter that was delivered at last."""
        ...


class DeliveryPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How to deliver and how often to try. It is the same for all webhooks."""

    post: Requesting
    tries: int
    first_pause_s: float
    """Pause after the first failure. It doubles after each further one."""
    most_waiting: int
    """Events that the outbox of one webhook may hold."""
    source: str
    """Name of this server in its events."""
    draw: Callable[[], float]
    """Random numbers from 0 to 1."""
    clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000


class Delivery(msgspec.Struct):
    """One event for one webhook."""

    event_id: str
    event_type: str
    queue_id: str
    whose: bytes
    body: bytes
    letter_id: str = ""
    """Id of the dead letter that is delivered again. Empty for an event of the outbox."""
    attempts: int = 0
    error: str = ""

    @property
    def is_of_outbox(self) -> bool:
        """Whether it counts towards the limit of the outbox. A dead letter does not."""
        return not self.letter_id

    @property
    def lane(self) -> bytes:
        """Key of deliveries that keep their order: the position, or the queue for an event of a queue."""
        return self.whose or self.queue_id.encode()


class WebhookWorker:
    """Delivers the events of one webhook.

    Events of one position are delivered one after the other: the next one starts when the first is delivered
    or given up. Events of other positions do not wait for them. Each webhook has its own worker, so a webhook
    that hangs delays no other.
    """

    def __init__(
        self,
        webhook: Webhook,
        outbox: Outbox,
        tally: EventTally,
        policy: DeliveryPolicy,
        dead_letters: DeadLetterSink,
    ) -> None:
        self.webhook = webhook
        """The webhook. It may be replaced at any time. Waiting deliveries then go to the new one."""
        self.outbox = outbox
        self._tally = tally
        self._policy = policy
        self._dead_letters = dead_letters
        # A list, because most lanes hold one delivery, and a list needs a tenth of the memory of a deque.
        self._lanes: dict[bytes, list[Delivery]] = {}
        self._pauses: list[tuple[float, bytes]] = []
        """A heap of pausing lanes: the Trio time of the next try, and the lane."""
        self._pause_came = trio.Event()
        self.retried: set[str] = set()
        """Ids of the dead letters that are being delivered again."""
        self._open_ready()
        self._changed = trio.Event()

    async def run(self) -> None:
        """Deliver until cancelled. `undelivered` then returns what is left.

        It may run again after it has ended or failed. Deliveries that were in progress start again.
        """
        self._pauses.clear()
        self._open_ready()
        for name in self._lanes:
            self._ready.send_nowait(name)
        async with trio.open_nursery() as nursery:
            for _ in range(_AT_ONCE):
                nursery.start_soon(self._deliver_for_ever)
            nursery.start_soon(self._end_pauses)
            while True:
                while self._lanes_ready >= _MOST_READY:
                    await self._change()
                most = min(_TURN, _MOST_READY - self._lanes_ready)
                for delivery in self._deliveries_of(await self.outbox.take(most)):
                    self.accept(delivery)
                # If all of them belong to pausing lanes, the worker is quiet.
                self._has_changed()
                await trio.lowlevel.checkpoint()

    def accept(self, delivery: Delivery) -> None:
        """Deliver this after the earlier deliveries of its lane."""
        if delivery.letter_id:
            self.retried.add(delivery.letter_id)
        lane = self._lanes.get(delivery.lane)
        if lane is not None:
            lane.append(delivery)
            return
        self._lanes[delivery.lane] = [delivery]
        self._ready.send_nowait(delivery.lane)

    async def quiet(self) -> None:
        """Wait until everything is delivered, or was tried and pauses before a retry."""
        while self._lanes_ready or not self.outbox.is_empty:
            await self._change()

    @property
    def _lanes_ready(self) -> int:
        return len(self._lanes) - len(self._pauses)

    def _open_ready(self) -> None:
        # Without a limit of its own: it holds each lane at most once, and the lanes are limited.
        self._ready, self._due = trio.open_memory_channel[bytes](math.inf)

    def unfinished(self) -> list[Delivery]:
        """Return deliveries that were prepared and are not settled. Call it after `run` has ended."""
        return [delivery for lane in self._lanes.values() for delivery in lane]

    def undelivered(self, most: int) -> list[Delivery]:
        """Return up to `most` unsettled deliveries, also from the outbox. Call it after `run` has ended."""
        left = self.unfinished()[:most]
        left += self._deliveries_of(self.outbox.take_now(most - len(left)))
        return left

    def dead_letter(self, delivery: Delivery, error: str) -> DeadLetter:
        """Return the dead letter of a delivery that is given up because of `error`."""
        return DeadLetter(
            webhook_id=self.webhook.id,
            event_id=delivery.event_id,
            event_type=delivery.event_type,
            queue_id=delivery.queue_id,
            whose=delivery.whose.hex(),
            body=delivery.body.decode(),
            attempts=delivery.attempts,
            error=error,
            died_ms=self._policy.clock_ms(),
        )

    def _deliveries_of(self, notes: Iterable[EventNote]) -> Iterator[Delivery]:
        for note in notes:
            for whose, event in events_of(note, self._policy.source):
                body = msgspec.json.encode(event)
                yield Delivery(event.id, event.type.value, event.queue_id, whose, body)

    async def _deliver_for_ever(self) -> None:
        async for name in self._due:
            lane = self._lanes[name]
            delivery = lane[0]
            if await self._attempt(delivery):
                self._tally.delivered += 1
                if delivery.letter_id:
                    await self._dead_letters.remove(delivery.letter_id)
            elif delivery.attempts < self._policy.tries:
                self._pause(name, delivery.attempts)
                continue
            else:
                await self._give_up(delivery)
            lane.pop(0)
            self.retried.discard(delivery.letter_id)
            if delivery.is_of_outbox:
                self.outbox.settle(1)
            if lane:
                self._ready.send_nowait(name)
            else:
                del self._lanes[name]
            self._has_changed()

    async def _give_up(self, delivery: Delivery) -> None:
        log.warning(
            "a delivery is given up",
            webhook=self.webhook.id,
            event_type=delivery.event_type,
            delivery=delivery.event_id,
            error=delivery.error,
        )
        await self._dead_letters.bury(self.dead_letter(delivery, delivery.error), delivery.letter_id)

    def _pause(self, name: bytes, failures: int) -> None:
        pause_s = retry_pause_s(failures, self._policy.first_pause_s, self._policy.draw())
        heapq.heappush(self._pauses, (trio.current_time() + pause_s, name))
        self._pause_came.set()
        self._has_changed()

    async def _end_pauses(self) -> None:
        """Make lanes ready again when their pause is over. One task does it for all, as there may be many."""
        while True:
            now_s = trio.current_time()
            while self._pauses and self._pauses[0][0] <= now_s:
                _, name = heapq.heappop(self._pauses)
                self._ready.send_nowait(name)
            self._pause_came = trio.Event()
            with trio.move_on_at(self._pauses[0][0] if self._pauses else math.inf):
                await self._pause_came.wait()

    async def _attempt(self, delivery: Delivery) -> bool:
        """Try a delivery once. Returns whether it was acknowledged, with any status from 200 to 299."""
        timestamp = str(self._policy.clock_ms() // 1000)
        headers = [
            ("Content-Type", "application/json"),
            ("User-Agent", "wr"),
            ("X-WR-Event", delivery.event_type),
            ("X-WR-Delivery", delivery.event_id),
            ("X-WR-Timestamp", timestamp),
            ("X-WR-Signature", signature(self.webhook.secret, timestamp, delivery.body)),
        ]
        delivery.attempts += 1
        try:
            status = await self._policy.post(self.webhook.url, headers, delivery.body)
        except RequestFailure as error:
            delivery.error = str(error)
        else:
            if 200 <= status < 300:
                return True
            delivery.error = f"status {status}"
        self._tally.failures += 1
        return False

    def _has_changed(self) -> None:
        # A new event is created here and not by a waiting task, because several tasks may wait.
        changed, self._changed = self._changed, trio.Event()
        changed.set()

    async def _change(self) -> None:
        await self._changed.wait()


async def settled(workers: list[WebhookWorker], patience_s: float) -> None:
    """Wait until each worker has done what it can do now, at most `patience_s` seconds."""
    with suppress(trio.TooSlowError), trio.fail_after(patience_s):
        async with trio.open_nursery() as nursery:
            for worker in workers:
                nursery.start_soon(worker.quiet)
