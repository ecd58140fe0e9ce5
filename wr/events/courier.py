"""The courier of one webhook: delivers its events, in order for each position, until acknowledged or dead."""

import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import suppress

import msgspec
import structlog
import trio

from wr.events.book import Outbox
from wr.events.post import PostFailure, Posting
from wr.measures.event_measures import EventTally
from wr.model.events import Note, events_of
from wr.model.webhooks import DeadLetter, Webhook, retry_pause_s, signature

log = structlog.get_logger("wr.events.webhooks")

_MOST_HELD = 1_000
"""Deliveries made ready at once; what comes after them stays in the outbox, where it takes less room."""
_TURN = 64
"""Deliveries made in one turn of the event loop: about 1 ms."""
_AT_ONCE = 8
"""Deliveries under way to one webhook."""

Bury = Callable[[DeadLetter], Awaitable[None]]
"""Keeps a delivery that was given up; returns when it is kept."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How to deliver, and how hard to try; the same for all webhooks."""

    post: Posting
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
    is_of_outbox: bool
    """Whether it takes room in the outbox; one that was dead does not."""
    attempts: int = 0
    error: str = ""

    @property
    def lane(self) -> bytes:
        """What it must not be overtaken in: its position, or its queue where it is about that."""
        return self.whose or self.queue_id.encode()


class Courier:
    """Delivers to one webhook for as long as it runs.

    Events of one position wait for each other, whatever happens to the first: it is delivered, or dead.
    Others go past. A webhook that hangs keeps nobody else's events waiting: each has a courier of its own.
    """

    def __init__(self, webhook: Webhook, outbox: Outbox, tally: EventTally, plan: Plan, bury: Bury) -> None:
        self.webhook = webhook
        self.outbox = outbox
        self._tally = tally
        self._plan = plan
        self._bury = bury
        self._lanes: dict[bytes, deque[Delivery]] = {}
        self._held = 0
        self._pausing = 0
        """Lanes whose first delivery waits to be tried again."""
        # Holds each lane once at most, so it is as bounded as they are.
        self._ready, self._due = trio.open_memory_channel[bytes](10 * _MOST_HELD)
        self._changed = trio.Event()

    async def run(self) -> None:
        """Deliver until cancelled; what is not delivered then can be had from `undelivered`."""
        async with trio.open_nursery() as nursery:
            for _ in range(_AT_ONCE):
                nursery.start_soon(self._deliver_for_ever, nursery)
            while True:
                while self._held >= _MOST_HELD:
                    await self._change()
                most = min(_TURN, _MOST_HELD - self._held)
                for delivery in self._made_of(await self.outbox.take(most)):
                    self.accept(delivery)
                await trio.lowlevel.checkpoint()

    def accept(self, delivery: Delivery) -> None:
        """Deliver this as soon as what it must not overtake is settled."""
        self._held += 1
        lane = self._lanes.get(delivery.lane)
        if lane is not None:
            lane.append(delivery)
            return
        self._lanes[delivery.lane] = deque([delivery])
        self._ready.send_nowait(delivery.lane)

    async def quiet(self) -> None:
        """Wait until there is nothing to do but to wait: all is delivered, or was tried and has to pause."""
        while self._pausing < len(self._lanes) or (not self.outbox.is_empty and self._held < _MOST_HELD):
            await self._change()

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

    def _made_of(self, notes: Iterable[Note]) -> Iterator[Delivery]:
        for note in notes:
            for whose, event in events_of(note, self._plan.source):
                body = msgspec.json.encode(event)
                yield Delivery(event.id, event.type.value, event.queue_id, whose, body, is_of_outbox=True)

    async def _deliver_for_ever(self, nursery: trio.Nursery) -> None:
        async for name in self._due:
            lane = self._lanes[name]
            delivery = lane[0]
            if await self._attempt(delivery):
                self._tally.delivered += 1
            elif delivery.attempts < self._plan.tries:
                self._pausing += 1
                nursery.start_soon(self._try_later, name, delivery.attempts)
                self._has_changed()
                continue
            else:
                log.warning(
                    "a delivery is given up",
                    webhook=self.webhook.id,
                    event_type=delivery.event_type,
                    delivery=delivery.event_id,
                    error=delivery.error,
                )
                await self._bury(self.dead_letter(delivery, delivery.error))
            lane.popleft()
            self._held -= 1
            if delivery.is_of_outbox:
                self.outbox.settle(1)
            if lane:
                self._ready.send_nowait(name)
            else:
                del self._lanes[name]
            self._has_changed()

    async def _try_later(self, name: bytes, failures: int) -> None:
        await trio.sleep(retry_pause_s(failures, self._plan.first_pause_s, self._plan.draw()))
        self._pausing -= 1
        self._ready.send_nowait(name)

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
        except PostFailure as error:
            delivery.error = str(error)
        else:
            if 200 <= status < 300:
                return True
            delivery.error = f"status {status}"
        self._tally.failures += 1
        return False

    def _has_changed(self) -> None:
        self._changed.set()

    async def _change(self) -> None:
        self._changed = trio.Event()
        await self._changed.wait()


async def settled(couriers: list[Courier], patience_s: float) -> None:
    """Wait until each has done what can be done now, for so many seconds at most."""
    with suppress(trio.TooSlowError), trio.fail_after(patience_s):
        async with trio.open_nursery() as nursery:
            for courier in couriers:
                nursery.start_soon(courier.quiet)
