"""Webhooks as operators know them: adding and deleting them, and what could not be delivered."""

from base64 import urlsafe_b64encode
from collections.abc import Callable, Sequence

from wr.audit import AuditTrail
from wr.events.hooks import Hooks
from wr.model.audit import Action, Actor, bounded
from wr.model.ids import id_text, new_position_id
from wr.model.refusals import Conflict, NotFound
from wr.model.webhooks import MOST_WEBHOOKS, DeadLetter, Webhook, check_webhook
from wr.store.store import Store
from wr.store.webhooks import KeptLetter

_SECRET_BYTES = 32


class WebhookDesk:
    """Operators' use cases around webhooks. All raise `Unavailable` while the store is away.

    What changes something takes the actor, and is written down in the audit trail once it is done.
    """

    def __init__(self, store: Store, hooks: Hooks, *, random_bytes: Callable[[int], bytes]) -> None:
        self._store = store
        self._shelf = store.webhooks
        self._hooks = hooks
        self._random_bytes = random_bytes
        self._audit = AuditTrail(store)

    async def add(self, actor: Actor, *, url: str, events: Sequence[str], queue_id: str) -> Webhook:
        """Tell this URL of these events from now on: this server at once, others within seconds.

        The secret of what is returned is told nowhere else.

        Raises:
            InvalidRequest: the URL cannot be called, or a pattern means no event.
            Conflict: there are as many webhooks as there may be.
        """
        check_webhook(url, events)
        if len(await self._shelf.list()) >= MOST_WEBHOOKS:
            raise Conflict(f"There may be {MOST_WEBHOOKS} webhooks at most", most=MOST_WEBHOOKS)
        webhook = Webhook(
            id=id_text(new_position_id(self._random_bytes)),
            url=url,
            events=list(events),
            queue_id=queue_id,
            secret=urlsafe_b64encode(self._random_bytes(_SECRET_BYTES)).decode().rstrip("="),
            created_ms=await self._store.clock_ms(),
        )
        async with self._audit.noting(actor, Action.WEBHOOK_ADDED, queue_id or None) as draft:
            await self._shelf.add(webhook)
            draft.made(facts={**_facts_of(webhook), "events": webhook.events})
        await self._hooks.refresh()
        return webhook

    async def all(self) -> Sequence[Webhook]:
        """List the webhooks, oldest first."""
        return await self._shelf.list()

    async def delete(self, actor: Actor, webhook_id: str) -> None:
        """Tell a webhook nothing any more; what was not delivered to it is dropped.

        Raises:
            NotFound: there is no such webhook.
        """
        found = [webhook for webhook in await self._shelf.list() if webhook.id == webhook_id]
        queue_id = found[0].queue_id or None if found else None
        async with self._audit.noting(actor, Action.WEBHOOK_DELETED, queue_id) as draft:
            if not found or not await self._shelf.delete(webhook_id):
                raise NotFound("There is no such webhook", webhook_id=webhook_id)
            draft.made(facts=_facts_of(found[0]))
        await self._hooks.refresh()

    async def dead_letters(self) -> Sequence[KeptLetter]:
        """List the deliveries that were given up, newest first."""
        return await self._shelf.dead_letters()

    async def retry(self, actor: Actor, letter_id: str) -> DeadLetter:
        """Have this server try a delivery anew, as often as at first; it is no dead letter meanwhile.

        Raises:
            NotFound: there is no such dead letter.
            Conflict: its webhook is gone.
        """
        await self._hooks.refresh()
        letter = await self._find(letter_id)
        if not self._hooks.knows(letter.webhook_id):
            raise Conflict("The webhook of this delivery is gone", webhook_id=letter.webhook_id)
        async with self._audit.noting(actor, Action.DELIVERY_RETRIED, letter.queue_id) as draft:
            await self._take(letter_id)
            self._hooks.deliver_again(letter)
            draft.made(facts=_letter_facts(letter))
        return letter

    async def discard(self, actor: Actor, letter_id: str) -> DeadLetter:
        """Forget a delivery that was given up.

        Raises:
            NotFound: there is no such dead letter.
        """
        letter = await self._find(letter_id)
        async with self._audit.noting(actor, Action.DELIVERY_DISCARDED, letter.queue_id) as draft:
            await self._take(letter_id)
            draft.made(facts=_letter_facts(letter))
        return letter

    async def _find(self, letter_id: str) -> DeadLetter:
        for kept in await self._shelf.dead_letters():
            if kept.id == letter_id:
                return kept.letter
        raise _no_such_letter(letter_id)

    async def _take(self, letter_id: str) -> None:
        if await self._shelf.take_letter(letter_id) is None:
            raise _no_such_letter(letter_id)


def _no_such_letter(letter_id: str) -> NotFound:
    return NotFound("There is no such dead letter", dead_letter_id=letter_id)


def _facts_of(webhook: Webhook) -> dict[str, str | int | float | list[str]]:
    return {"webhook_id": webhook.id, "url": bounded(webhook.shown_url)}


def _letter_facts(letter: DeadLetter) -> dict[str, str | int | float | list[str]]:
    return {"webhook_id": letter.webhook_id, "event_id": letter.event_id, "event_type": letter.event_type}
