"""The webhooks as this server knows them, and a courier for each."""

import math
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import structlog
import trio

from wr.events.event_bus import EventBus, Outbox
from wr.events.webhook_worker import Delivery, DeliveryPolicy, WebhookWorker, settled
from wr.metrics.event_metrics import EventTally
from wr.model.refusals import Unavailable
from wr.model.webhooks import DeadLetter, Webhook

log = structlog.get_logger("wr.events.webhooks")

_LOOK_S = 2.0
"""How often to look for webhooks that other servers added or deleted. One command of the store."""
_PAUSE_S = 1.0
_MOST_BURIED = 1_000
"""Of each webhook, when the server stops: as many as are kept of it."""
_BURIAL_S = 3.0
_QUIET_S = 60.0
"""Between two lines of the log about dead letters that had to go."""
STOPPED = "the server was stopped"


class DeadLetterStorage(Protocol):
    """What is needed of where dead letters are kept."""

    async def bury(self, dead_letters: Sequence[DeadLetter], /) -> int:
        """Keep deliveries that were given up; returns how many older ones had to go."""
        ...

    async def remove(self, letter_id: str, /) -> bool:
        """Take a dead letter away."""
        ...


class WebhookStorage(Protocol):
    """What is needed of the store."""

    async def list(self) -> Sequence[Webhook]:
        """Read every webhook."""
        ...

    @property
    def dead_letters(self) -> DeadLetterStorage:
        """Where deliveries are kept that were given up."""
        ...


class WebhookDispatcher:
    """Keeps a courier for each webhook of the store, for as long as it runs.

    Each server delivers the events that it noted itself.
    """

    def __init__(
        self,
        repository: WebhookStorage,
        event_bus: EventBus,
        tally: EventTally,
        plan: DeliveryPolicy,
    ) -> None:
        self._repository = repository
        self._book = event_bus
        self._tally = tally
        self._plan = plan
        self._workers: dict[str, tuple[WebhookWorker, trio.CancelScope]] = {}
        self._nursery: trio.Nursery | None = None
        # An answer that is older than another must not be heeded after it.
        self._looking = trio.Lock()
        self._cemetery = _DeadLetterSink(repository.dead_letters, tally)

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Look for webhooks and deliver, until cancelled; ready when it has looked once."""
        is_away = False
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            nursery.start_soon(self._plan.post.keep)
            # After a failure: what was under way is begun again.
            for worker, _ in tuple(self._workers.values()):
                self._start(worker)
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
        listed = {webhook.id: webhook for webhook in await self._repository.list()}
        for webhook_id in self._workers.keys() - listed.keys():
            worker, scope = self._workers.pop(webhook_id)
            self._book.remove(worker.outbox)
            scope.cancel()
            worker.outbox.abandon()
        for webhook_id in listed.keys() - self._workers.keys():
            self._hire(listed[webhook_id])
        for webhook_id, webhook in listed.items():
            worker, _ = self._workers[webhook_id]
            if worker.webhook != webhook:
                worker.outbox.want(webhook.kinds, webhook.queue_id)
                worker.webhook = webhook

    def webhooks(self) -> list[Webhook]:
        """List the webhooks as of the last look."""
        return [worker.webhook for worker, _ in self._workers.values()]

    def knows(self, webhook_id: str) -> bool:
        """Whether there was such a webhook at the last look."""
        return webhook_id in self._workers

    def deliver_again(self, letter: DeadLetter, letter_id: str) -> None:
        """Try a delivery anew that was given up, of a webhook that is known; raises `KeyError` otherwise.

        The letter is kept until that is settled, so that nothing that ends this server loses it.
        """
        worker, _ = self._workers[letter.webhook_id]
        worker.accept(
            Delivery(
                letter.event_id,
                letter.event_type,
                letter.queue_id,
                bytes.fromhex(letter.whose),
                letter.body.encode(),
                letter_id,
            )
        )

    def retried(self) -> set[str]:
        """Name the dead letters that this server is trying anew."""
        return set().union(*(worker.retried for worker, _ in self._workers.values()))

    async def drained(self, patience_s: float) -> None:
        """Wait until all that can be delivered now is, for so many seconds at most."""
        await settled([worker for worker, _ in self._workers.values()], patience_s)

    async def bury_the_rest(self) -> None:
        """Keep what is not delivered among the dead letters, once this does not run any more."""
        with trio.move_on_after(_BURIAL_S, shield=True):
            for worker, _ in self._workers.values():
                await self._bury_of(worker)
        # Whoever could not be seen to in time has an outbox that is not abandoned yet.
        lost = sum(worker.outbox.abandon() for worker, _ in self._workers.values())
        if lost:
            self._tally.dropped += lost
            log.error("deliveries are lost: the server stops and the store takes too long", count=lost)

    async def _bury_of(self, worker: WebhookWorker) -> None:
        """Keep what is not delivered to one webhook, as far as there is room for it."""
        # What was dead before is so still.
        left = [delivery for delivery in worker.undelivered(_MOST_BURIED) if delivery.is_of_outbox]
        dead_letters = [worker.dead_letter(delivery, delivery.error or STOPPED) for delivery in left]
        try:
            if dead_letters:
                await self._cemetery.bury_all(dead_letters)
                log.warning(
                    "deliveries were not finished and are dead letters",
                    webhook=worker.webhook.id,
                    count=len(dead_letters),
                )
            worker.outbox.settle(len(dead_letters))
            lost, reason = worker.outbox.abandon(), "the dead letters are full"
        except Unavailable:
            lost, reason = worker.outbox.abandon(), "the store is away"
        if lost:
            self._tally.dropped += lost
            log.error(
                "deliveries are lost: the server stops", reason=reason, webhook=worker.webhook.id, count=lost
            )

    def _hire(self, webhook: Webhook) -> None:
        outbox = Outbox(
            f"webhook {webhook.id}",
            self._tally,
            self._plan.most_waiting,
            kinds=webhook.kinds,
            queue_id=webhook.queue_id,
        )
        self._book.add(outbox)
        self._start(WebhookWorker(webhook, outbox, self._tally, self._plan, self._cemetery))

    def _start(self, worker: WebhookWorker) -> None:
        scope = trio.CancelScope()
        self._workers[worker.webhook.id] = (worker, scope)
        if self._nursery is not None:
            self._nursery.start_soon(_run_in, scope, worker)


class _DeadLetterSink:
    """Where couriers bring what they give up; counts what has to go for it."""

    def __init__(self, dead_letters: DeadLetterStorage, tally: EventTally) -> None:
        self._dead_letters = dead_letters
        self._tally = tally
        self._gone = 0
        self._quiet_until_s = -math.inf

    async def bury(self, letter: DeadLetter, instead_of: str) -> None:
        """Keep a dead letter; waits for the store when it is away, for there is nowhere else to keep it."""
        await _in_the_end(lambda: self.bury_all([letter]))
        if instead_of:
            await self.remove(instead_of)

    async def remove(self, letter_id: str) -> None:
        """Forget a letter that is settled; waits for the store when it is away."""
        await _in_the_end(lambda: self._dead_letters.remove(letter_id))

    async def bury_all(self, dead_letters: Sequence[DeadLetter]) -> None:
        """Keep dead letters of one webhook; what has to go for them is counted, and logged once a minute.

        Raises:
            Unavailable: the store is away; they may be kept all the same.
        """
        gone = await self._dead_letters.bury(dead_letters)
        self._tally.dropped += gone
        self._gone += gone
        if self._gone and trio.current_time() >= self._quiet_until_s:
            webhook_id = dead_letters[-1].webhook_id
            log.error("dead letters are dropped: there are too many", webhook=webhook_id, count=self._gone)
            self._gone = 0
            self._quiet_until_s = trio.current_time() + _QUIET_S


async def _in_the_end(attempt: Callable[[], Awaitable[object]]) -> None:
    while True:
        try:
            await attempt()
        except Unavailable:
            await trio.sleep(_PAUSE_S)
        else:
            return


async def _run_in(scope: trio.CancelScope, worker: WebhookWorker) -> None:
    """Deliver until the scope is cancelled; what goes wrong with one webhook is nobody else's trouble."""
    with scope:
        while True:
            try:
                await worker.run()
            except Exception:
                log.exception("deliveries failed and are begun again", webhook=worker.webhook.id)
            await trio.sleep(_PAUSE_S)
