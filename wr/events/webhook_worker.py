"""The courier of one webhook: delivers its events, in order for each position, until acknowledged or dead."""

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
from wr.events.http_client import RequestFailure, Requesting
from wr.metrics.event_metrics import EventTally
from wr.model.events import EventNote, events_of
from wr.model.webhooks import DeadLetter, Webhook, retry_pause_s, signature

log = structlog.get_logger("wr.events.webhooks")

_MOST_READY = 1_000
"""Lanes that are ready or under way; what comes after them stays in the outbox, where it takes less room.

Those that pause do not count: they must not keep others from going past. What there is of them is bounded by
what the outbox may hold, for it counts until it is settled.
"""
_TURN = 64
"""Deliveries made in one turn of the event loop: about 1 ms."""
_AT_ONCE = 8
"""Deliveries under way to one webhook."""


class DeadLetterSink(Protocol):
    """Where deliveries go that are given up."""

    async def bury(self, letter: DeadLetter, instead_of: str) -> None:
        """Keep a letter in place of another of that id, if there is one; returns when it is kept."""
        ...

    async def remove(self, letter_id: str) -> None:
        """Forget a letter that has been delivered after all; returns when it is forgotten."""
        ...


class DeliveryPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How to deliver, and how hard to try; the same for all webhooks."""

    post: Requesting
    tries: int
    first_pause_s: float
    """After the first failure; doubled after each other."""
    most_waiting: int
    """Events kept for one webhook."""
    source: str
    """What events call this server."""
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
    """The dead letter that is tried anew, and kept until that is settled; empty for what is of the outbox."""
    attempts: int = 0
    error: str = ""

    @property
    def is_of_outbox(self) -> bool:
        """Whether it takes room in the outbox; one that was dead does not."""
        return not self.letter_id

    @property
    def lane(self) -> bytes:
        """What it must not be overtaken in: its position, or its queue where it is about that."""
        return self.whose or self.queue_id.encode()


class WebhookWorker:
    """Delivers to one webhook for as long as it runs.

    Events of one position wait for each other, whatever happens to the first: it is delivered, or dead.
    Others go past. A webhook that hangs keeps nobody else's events waiting: each has a courier of its own.
    """

    def __init__(
        self,
        webhook: Webhook,
        outbox: Outbox,
        tally: EventTally,
        plan: DeliveryPolicy,
        cemetery: DeadLetterSink,
    ) -> None:
        self.webhook = webhook
        """Whom to tell; may be exchanged for another at any time, which all that waits then goes to."""
        self.outbox = outbox
        self._tally = tally
        self._plan = plan
        self._cemetery = cemetery
        # Most have one delivery, and there may be many: a list takes a tenth of a deque's room.
        self._lanes: dict[bytes, list[Delivery]] = {}
        self._pauses: list[tuple[float, bytes]] = []
        """A heap: when a lane is to be tried again, and which."""
        self._pause_came = trio.Event()
        self.retried: set[str] = set()
        """Ids of the dead letters that are being tried anew."""
        self._open_ready()
        self._changed = trio.Event()

    async def run(self) -> None:
        """Deliver until cancelled; what is not delivered then can be had from `undelivered`.

        May be run again after it ended, in whatever way: what was under way is begun anew.
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
                for delivery in self._made_of(await self.outbox.take(most)):
                    self.accept(delivery)
                # What was taken may have come into lanes that pause: then all is quiet.
                self._has_changed()
                await trio.lowlevel.checkpoint()

    def accept(self, delivery: Delivery) -> None:
        """Deliver this as soon as what it must not overtake is settled."""
        if delivery.letter_id:
            self.retried.add(delivery.letter_id)
        lane = self._lanes.get(delivery.lane)
        if lane is not None:
            lane.append(delivery)
            return
        self._lanes[delivery.lane] = [delivery]
        self._ready.send_nowait(delivery.lane)

    async def quiet(self) -> None:
        """Wait until there is nothing to do but to wait: all is delivered, or was tried and has to pause."""
        while self._lanes_ready or not self.outbox.is_empty:
            await self._change()

    @property
    def _lanes_ready(self) -> int:
        return len(self._lanes) - len(self._pauses)

    def _open_ready(self) -> None:
        # Holds each lane once at most, so it is as bounded as they are.
        self._ready, self._due = trio.open_memory_channel[bytes](math.inf)

    def unfinished(self) -> list[Delivery]:
        """What was made ready and is neither delivered nor dead; once it does not run any more."""
        return [delivery for lane in self._lanes.values() for delivery in lane]

    def undelivered(self, most: int) -> list[Delivery]:
        """What is neither delivered nor dead, ready or not, up to `most`; once it does not run any more."""
        left = self.unfinished()[:most]
        left += self._made_of(self.outbox.take_now(most - len(left)))
        return left

    def dead_letter(self, delivery: Delivery, error: str) -> DeadLetter:
        """Write down a delivery that is given up, and why."""
        return DeadLetter(
            webhook_id=self.webhook.id,
            event_id=delivery.event_id,
            event_type=delivery.event_type,
            queue_id=delivery.queue_id,
            whose=delivery.whose.hex(),
            body=delivery.body.decode(),
            attempts=delivery.attempts,
            error=error,
            died_ms=self._plan.clock_ms(),
        )

    def _made_of(self, notes: Iterable[EventNote]) -> Iterator[Delivery]:
        for note in notes:
            for whose, event in events_of(note, self._plan.source):
                body = msgspec.json.encode(event)
                yield Delivery(event.id, event.type.value, event.queue_id, whose, body)

    async def _deliver_for_ever(self) -> None:
        async for name in self._due:
            lane = self._lanes[name]
            delivery = lane[0]
            if await self._attempt(delivery):
                self._tally.delivered += 1
                if delivery.letter_id:
                    await self._cemetery.remove(delivery.letter_id)
            elif delivery.attempts < self._plan.tries:
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
        await self._cemetery.bury(self.dead_letter(delivery, delivery.error), delivery.letter_id)

    def _pause(self, name: bytes, failures: int) -> None:
        pause_s = retry_pause_s(failures, self._plan.first_pause_s, self._plan.draw())
        heapq.heappush(self._pauses, (trio.current_time() + pause_s, name))
        self._pause_came.set()
        self._has_changed()

    async def _end_pauses(self) -> None:
        """Make lanes ready again whose pause is over: one task for all, for there may be many."""
        while True:
            now_s = trio.current_time()
            while self._pauses and self._pauses[0][0] <= now_s:
                _, name = heapq.heappop(self._pauses)
                self._ready.send_nowait(name)
            self._pause_came = trio.Event()
            with trio.move_on_at(self._pauses[0][0] if self._pauses else math.inf):
                await self._pause_came.wait()

    async def _attempt(self, delivery: Delivery) -> bool:
        """Deliver, once; whether it was acknowledged, which any status of the two hundreds does."""
        timestamp = str(self._plan.clock_ms() // 1000)
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
            status = await self._plan.post(self.webhook.url, headers, delivery.body)
        except RequestFailure as error:
            delivery.error = str(error)
        else:
            if 200 <= status < 300:
                return True
            delivery.error = f"status {status}"
        self._tally.failures += 1
        return False

    def _has_changed(self) -> None:
        # Exchanged here and not where it is waited for: more than one may wait, and each is to be woken.
        changed, self._changed = self._changed, trio.Event()
        changed.set()

    async def _change(self) -> None:
        await self._changed.wait()


async def settled(workers: list[WebhookWorker], patience_s: float) -> None:
    """Wait until each has done what can be done now, for so many seconds at most."""
    with suppress(trio.TooSlowError), trio.fail_after(patience_s):
        async with trio.open_nursery() as nursery:
            for worker in workers:
                nursery.start_soon(worker.quiet)
