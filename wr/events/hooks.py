"""The webhooks as this server knows them, and a courier for each."""

from collections.abc import Sequence
from typing import Protocol

import structlog
import trio

from wr.events.book import EventBook, Outbox
from wr.events.courier import Courier, Delivery, Plan, settled
from wr.measures.event_measures import EventTally
from wr.model.refusals import Unavailable
from wr.model.webhooks import DeadLetter, Webhook

log = structlog.get_logger("wr.events.webhooks")

_LOOK_S = 2.0
"""How often to look for webhooks that other servers added or deleted. One command of the store."""
_PAUSE_S = 1.0
_MOST_BURIED = 1_000
_BURIAL_S = 3.0
STOPPED = "the server was stopped"


class Shelf(Protocol):
    """What is needed of the store."""

    async def list(self) -> Sequence[Webhook]:
        """Read every webhook."""
        ...

    async def bury(self, letters: Sequence[DeadLetter], /) -> None:
        """Keep deliveries that were given up."""
        ...


class Hooks:
    """Keeps a courier for each webhook of the store, for as long as it runs.

    Each server delivers the events that it noted itself.
    """

    def __init__(
        self,
        shelf: Shelf,
        book: EventBook,
        tally: EventTally,
        plan: Plan,
    ) -> None:
        self._shelf = shelf
        self._book = book
        self._tally = tally
        self._plan = plan
        self._couriers: dict[str, tuple[Courier, trio.CancelScope]] = {}
        self._nursery: trio.Nursery | None = None
        # An answer that is older than another must not be heeded after it.
        self._looking = trio.Lock()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Look for webhooks and deliver, until cancelled; ready when it has looked once."""
        is_away = False
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            # After a failure: what was under way is begun again.
            for earlier, _ in tuple(self._couriers.values()):
                self._hire(earlier.webhook, earlier)
            try:
                while True:
                    try:
                        await self.refresh()
                        is_away = False
                    except Unavailable:
                        # Those that are known go on being told; what is noted meanwhile is kept for them.
                        if not is_away:
                            log.warning("webhooks cannot be looked up while the store is away")
                        is_away = True
                    task_status.started()
                    task_status = trio.TASK_STATUS_IGNORED
                    await trio.sleep(_LOOK_S)
            finally:
                self._nursery = None

    async def refresh(self) -> None:
        """Look which webhooks there are, and have a courier for each of them and for no other.

        Raises:
            Unavailable: the store cannot be asked.
        """
        async with self._looking:
            await self._look()

    async def _look(self) -> None:
        listed = {webhook.id: webhook for webhook in await self._shelf.list()}
        for webhook_id in self._couriers.keys() - listed.keys():
            courier, scope = self._couriers.pop(webhook_id)
            self._book.remove(courier.outbox)
            scope.cancel()
            courier.outbox.abandon()
        for webhook_id in listed.keys() - self._couriers.keys():
            self._hire(listed[webhook_id])

    def knows(self, webhook_id: str) -> bool:
        """Whether there was such a webhook at the last look."""
        return webhook_id in self._couriers

    def deliver_again(self, letter: DeadLetter) -> None:
        """Try a delivery anew that was given up, of a webhook that is known; raises `KeyError` otherwise."""
        courier, _ = self._couriers[letter.webhook_id]
        courier.accept(
            Delivery(
                letter.event_id,
                letter.event_type,
                letter.queue_id,
                bytes.fromhex(letter.whose),
                letter.body.encode(),
                is_of_outbox=False,
            )
        )

    async def drained(self, patience_s: float) -> None:
        """Wait until all that can be delivered now is, for so many seconds at most."""
        await settled([courier for courier, _ in self._couriers.values()], patience_s)

    async def bury_the_rest(self) -> None:
        """Keep what is not delivered among the dead letters, once this does not run any more."""
        letters: list[DeadLetter] = []
        lost = 0
        for courier, _ in self._couriers.values():
            left = courier.undelivered(_MOST_BURIED - len(letters))
            letters += [courier.dead_letter(delivery, delivery.error or STOPPED) for delivery in left]
            lost += courier.outbox.abandon() - sum(delivery.is_of_outbox for delivery in left)
        if lost:
            self._tally.dropped += lost
            log.error("events are dropped: the server stops and the dead letters are full", count=lost)
        if not letters:
            return
        with trio.move_on_after(_BURIAL_S, shield=True):
            try:
                await self._shelf.bury(letters)
                log.warning("deliveries were not finished and are dead letters", count=len(letters))
            except Unavailable:
                self._tally.dropped += len(letters)
                log.error("deliveries are lost: the server stops and the store is away", count=len(letters))  # noqa: TRY400

    def _hire(self, webhook: Webhook, earlier: Courier | None = None) -> None:
        if earlier is None:
            outbox = Outbox(
                f"webhook {webhook.id}",
                self._tally,
                self._plan.most_waiting,
                kinds=webhook.kinds,
                queue_id=webhook.queue_id,
            )
            self._book.add(outbox)
        else:
            outbox = earlier.outbox
        courier = Courier(webhook, outbox, self._tally, self._plan, self._bury)
        for delivery in () if earlier is None else earlier.unfinished():
            courier.accept(delivery)
        scope = trio.CancelScope()
        self._couriers[webhook.id] = (courier, scope)
        if self._nursery is not None:
            self._nursery.start_soon(_run_in, scope, courier)

    async def _bury(self, letter: DeadLetter) -> None:
        """Keep a dead letter; waits for the store when it is away, for there is nowhere else to keep it."""
        while True:
            try:
                await self._shelf.bury([letter])
            except Unavailable:
                await trio.sleep(_PAUSE_S)
            else:
                return


async def _run_in(scope: trio.CancelScope, courier: Courier) -> None:
    with scope:
        await courier.run()
