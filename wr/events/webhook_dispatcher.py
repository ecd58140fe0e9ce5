"""Runs a worker for each webhook, and follows changes of the webhooks in the store."""

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

_REFRESH_S = 2.0
"""How often to read the webhooks, which other servers may have changed. Costs one command of the store."""
_RETRY_S = 1.0
_MAX_DEAD_LETTERS = 1_000
"""Undelivered events of one webhook that become dead letters when the server stops."""
_STORE_DEAD_LETTERS_S = 3.0
_LOG_INTERVAL_S = 60.0
"""Seconds between two log lines about dropped dead letters."""
STOPPED = "the server was stopped"


class DeadLetterStorage(Protocol):
    """The interface of the storage for dead letters, as far as needed here."""

    async def bury(self, dead_letters: Sequence[DeadLetter], /) -> int:
        """Store dead letters. Returns how many older ones were dropped for them."""
        ...

    async def remove(self, letter_id: str, /) -> bool:
        """Remove a dead letter."""
        ...


class WebhookStorage(Protocol):
    """The interface of the storage for webhooks, as far as needed here."""

    async def list(self) -> Sequence[Webhook]:
        """Read every webhook."""
        ...

    @property
    def dead_letters(self) -> DeadLetterStorage:
        """The storage for dead letters."""
        ...


class WebhookDispatcher:
    """Runs a worker for each webhook of the store.

    Each server delivers the events that it created itself.
    """

    def __init__(
        self,
        repository: WebhookStorage,
        event_bus: EventBus,
        tally: EventTally,
        policy: DeliveryPolicy,
    ) -> None:
        self._repository = repository
        self._event_bus = event_bus
        self._tally = tally
        self._policy = policy
        self._workers: dict[str, tuple[WebhookWorker, trio.CancelScope]] = {}
        self._nursery: trio.Nursery | None = None
        # One refresh at a time, so that an older reply of the store is never applied after a newer one.
        self._refreshing = trio.Lock()
        self._dead_letters = _DeadLetterSink(repository.dead_letters, tally)

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Deliver, and refresh the webhooks regularly, until cancelled. Ready after the first refresh."""
        is_away = False
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            nursery.start_soon(self._policy.post.keep)
            # If this is a restart after a failure, there are workers already.
            for worker, _ in tuple(self._workers.values()):
                self._start(worker)
            try:
                while True:
                    try:
                        await self.refresh()
                        is_away = False
                    except Unavailable:
                        # Known webhooks still get their events.
                        if not is_away:
                            log.warning("the store is unreachable: changes of webhooks are not noticed")
                        is_away = True
                    task_status.started()
                    task_status = trio.TASK_STATUS_IGNORED
                    await trio.sleep(_REFRESH_S)
            finally:
                self._nursery = None

    async def refresh(self) -> None:
        """Read the webhooks from the store, start workers for new ones, and stop those of deleted ones.

        Raises:
            Unavailable: the store is unreachable.
        """
        async with self._refreshing:
            await self._apply_changes()

    async def _apply_changes(self) -> None:
        listed = {webhook.id: webhook for webhook in await self._repository.list()}
        for webhook_id in self._workers.keys() - listed.keys():
            worker, scope = self._workers.pop(webhook_id)
            self._event_bus.remove(worker.outbox)
            scope.cancel()
            worker.outbox.abandon()
        for webhook_id in listed.keys() - self._workers.keys():
            self._add_worker(listed[webhook_id])
        for webhook_id, webhook in listed.items():
            worker, _ = self._workers[webhook_id]
            if worker.webhook != webhook:
                worker.outbox.want(webhook.kinds, webhook.queue_id)
                worker.webhook = webhook

    def webhooks(self) -> list[Webhook]:
        """Return the webhooks as of the last refresh."""
        return [worker.webhook for worker, _ in self._workers.values()]

    def knows(self, webhook_id: str) -> bool:
        """Whether the webhook existed at the last refresh."""
        return webhook_id in self._workers

    def deliver_again(self, letter: DeadLetter, letter_id: str) -> None:
        """Deliver a dead letter again.

        It stays in the store until the delivery has succeeded or failed, so that a crash does not lose it.

        Raises:
            KeyError: its webhook is not known.
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
        """Return the ids of the dead letters that this server is delivering again."""
        return set().union(*(worker.retried for worker, _ in self._workers.values()))

    async def drained(self, patience_s: float) -> None:
        """Wait until everything that can be delivered now is delivered, at most `patience_s` seconds."""
        await settled([worker for worker, _ in self._workers.values()], patience_s)

    async def bury_the_rest(self) -> None:
        """Store undelivered events as dead letters. Call it after `run` has ended."""
        with trio.move_on_after(_STORE_DEAD_LETTERS_S, shield=True):
            for worker, _ in self._workers.values():
                await self._store_undelivered(worker)
        # If the time was too short, some outboxes still hold events. Those are lost.
        lost = sum(worker.outbox.abandon() for worker, _ in self._workers.values())
        if lost:
            self._tally.dropped += lost
            log.error("deliveries are lost: the server stops and the store takes too long", count=lost)

    async def _store_undelivered(self, worker: WebhookWorker) -> None:
        """Store the undelivered events of one webhook as dead letters, up to the limit."""
        # Dead letters that were being delivered again are still in the store.
        left = [delivery for delivery in worker.undelivered(_MAX_DEAD_LETTERS) if delivery.is_of_outbox]
        dead_letters = [worker.dead_letter(delivery, delivery.error or STOPPED) for delivery in left]
        try:
            if dead_letters:
                await self._dead_letters.bury_all(dead_letters)
                log.warning(
                    "deliveries were not finished and are dead letters",
                    webhook=worker.webhook.id,
                    count=len(dead_letters),
                )
            worker.outbox.settle(len(dead_letters))
            lost, reason = worker.outbox.abandon(), "the dead letters are full"
        except Unavailable:
            lost, reason = worker.outbox.abandon(), "the store is unreachable"
        if lost:
            self._tally.dropped += lost
            log.error(
                "deliveries are lost: the server stops", reason=reason, webhook=worker.webhook.id, count=lost
            )

    def _add_worker(self, webhook: Webhook) -> None:
        outbox = Outbox(
            f"webhook {webhook.id}",
            self._tally,
            self._policy.most_waiting,
            kinds=webhook.kinds,
            queue_id=webhook.queue_id,
        )
        self._event_bus.add(outbox)
        self._start(WebhookWorker(webhook, outbox, self._tally, self._policy, self._dead_letters))

    def _start(self, worker: WebhookWorker) -> None:
        scope = trio.CancelScope()
        self._workers[worker.webhook.id] = (worker, scope)
        if self._nursery is not None:
            self._nursery.start_soon(_run_in, scope, worker)


class _DeadLetterSink:
    """Stores the dead letters of all workers, and counts the older ones that are dropped for them."""

    def __init__(self, dead_letters: DeadLetterStorage, tally: EventTally) -> None:
        self._dead_letters = dead_letters
        self._tally = tally
        self._dropped = 0
        self._next_log_s = -math.inf

    async def bury(self, letter: DeadLetter, instead_of: str) -> None:
        """Store a dead letter. While the store is unreachable, it waits: there is no other place for it."""
        await _retry_until_done(lambda: self.bury_all([letter]))
        if instead_of:
            await self.remove(instead_of)

    async def remove(self, letter_id: str) -> None:
        """Remove a dead letter that is settled. Waits while the store is unreachable."""
        await _retry_until_done(lambda: self._dead_letters.remove(letter_id))

    async def bury_all(self, dead_letters: Sequence[DeadLetter]) -> None:
        """Store dead letters of one webhook. Dropped older ones are counted, and logged once a minute.

        Raises:
            Unavailable: the store is unreachable. It may have stored them anyway.
        """
        dropped = await self._dead_letters.bury(dead_letters)
        self._tally.dropped += dropped
        self._dropped += dropped
        if self._dropped and trio.current_time() >= self._next_log_s:
            webhook_id = dead_letters[-1].webhook_id
            log.error("dead letters are dropped: there are too many", webhook=webhook_id, count=self._dropped)
            self._dropped = 0
            self._next_log_s = trio.current_time() + _LOG_INTERVAL_S


async def _retry_until_done(attempt: Callable[[], Awaitable[object]]) -> None:
    while True:
        try:
            await attempt()
        except Unavailable:
            await trio.sleep(_RETRY_S)
        else:
            return


async def _run_in(scope: trio.CancelScope, worker: WebhookWorker) -> None:
    """Deliver until the scope is cancelled. An error in one worker does not affect the others."""
    with scope:
        while True:
            try:
                await worker.run()
            except Exception:
                log.exception("deliveries failed and are begun again", webhook=worker.webhook.id)
            await trio.sleep(_RETRY_S)
