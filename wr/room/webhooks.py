"""Webhooks for operators: adding, changing and deleting them, and deliveries that were given up."""

from base64 import urlsafe_b64encode
from collections.abc import Callable, Sequence
from contextlib import suppress

import msgspec

from wr.events.webhook_dispatcher import WebhookDispatcher
from wr.model.audit import Action, Actor, Change, Fact, bounded
from wr.model.ids import id_text, new_position_id
from wr.model.refusals import Conflict, NotFound, Unavailable
from wr.model.webhooks import MOST_WEBHOOKS, DeadLetter, Webhook, check_webhook
from wr.room.audit_trail import AuditTrail
from wr.store.dead_letter_repository import KeptLetter
from wr.store.store import Store
from wr.store.webhook import SaveOutcome

_SECRET_BYTES = 32
_MOST_TRIES = 5


class WebhookService:
    """Operators' use cases around webhooks. All raise `Unavailable` if the store is away.

    Changes take the actor, and are recorded in the audit trail once they are made.
    """

    def __init__(
        self, store: Store, hooks: WebhookDispatcher, *, random_bytes: Callable[[int], bytes]
    ) -> None:
        self._store = store
        self._repository = store.webhooks
        self._hooks = hooks
        self._random_bytes = random_bytes
        self._audit = AuditTrail(store)

    async def add(self, actor: Actor, *, url: str, events: Sequence[str], queue_id: str) -> Webhook:
        """Send these events to this URL from now on: this server at once, others within seconds.

        The secret is in what is returned, and is told nowhere else.

        Raises:
            InvalidRequest: the URL cannot be called, or a pattern matches no event.
            Conflict: there are as many webhooks as there may be.
        """
        check_webhook(url, events)
        webhook = Webhook(
            id=id_text(new_position_id(self._random_bytes)),
            url=url,
            events=list(events),
            queue_id=queue_id,
            secret=self._new_secret(),
            created_ms=await self._store.clock_ms(),
        )
        async with self._audit.recording(actor, Action.WEBHOOK_ADDED, queue_id or None) as draft:
            if await self._repository.add(webhook) is SaveOutcome.TOO_MANY:
                raise Conflict(f"There may be {MOST_WEBHOOKS} webhooks at most", most=MOST_WEBHOOKS)
            draft.made(facts={**_facts_of(webhook), "events": webhook.events})
        await self._apply()
        return webhook

    async def all(self) -> Sequence[Webhook]:
        """List the webhooks, oldest first."""
        return await self._repository.list()

    async def change(
        self, actor: Actor, webhook_id: str, changes: dict[str, object], *, rotate_secret: bool
    ) -> Webhook:
        """Change a webhook: this server at once, others within seconds. Waiting deliveries go to the new URL.

        A new secret is in what is returned, and is told nowhere else.

        Raises:
            NotFound: there is no such webhook.
            InvalidRequest: the URL cannot be called, or a pattern matches no event.
            Conflict: other operators changed it at each attempt.
        """
        for _ in range(_MOST_TRIES):
            before = await self._find(webhook_id)
            after = msgspec.structs.replace(before, **changes)
            check_webhook(after.url, after.events)
            if rotate_secret:
                after = msgspec.structs.replace(after, secret=self._new_secret())
            queue_id = after.queue_id or before.queue_id or None
            async with self._audit.recording(actor, Action.WEBHOOK_CHANGED, queue_id) as draft:
                if await self._repository.replace(before, after) is SaveOutcome.YES:
                    facts: dict[str, Fact] = {"webhook_id": webhook_id}
                    if rotate_secret:
                        facts["rotated"] = "secret"
                    draft.made(changes=_changes_between(before, after), facts=facts)
            if draft.is_made:
                await self._apply()
                return after
        raise Conflict("The webhook is being changed by others all the time", webhook_id=webhook_id)

    async def delete(self, actor: Actor, webhook_id: str) -> None:
        """Delete a webhook. Events that were not delivered to it yet are dropped.

        Raises:
            NotFound: there is no such webhook.
        """
        found = {webhook.id: webhook for webhook in await self._repository.list()}.get(webhook_id)
        queue_id = found.queue_id or None if found else None
        async with self._audit.recording(actor, Action.WEBHOOK_DELETED, queue_id) as draft:
            # A webhook that cannot be read is in no list, and can be deleted all the same.
            if not await self._repository.delete(webhook_id):
                raise NotFound("There is no such webhook", webhook_id=webhook_id)
            draft.made(facts=_facts_of(found) if found else {"webhook_id": bounded(webhook_id)})
        await self._apply()

    async def dead_letters(self, webhook_id: str = "") -> Sequence[KeptLetter]:
        """List deliveries that were given up, newest first, of one webhook or of all; 1,000 at most.

        Deliveries that this server is trying again are left out.
        """
        before = self._hooks.retried()
        kept = await self._repository.dead_letters.newest(webhook_id)
        # A delivery that succeeds while the list is read may still be in it.
        hidden = before | self._hooks.retried()
        return [each for each in kept if each.id not in hidden]

    async def retry(self, actor: Actor, letter_id: str) -> DeadLetter:
        """Try a delivery again from this server, as often as the first time.

        The store keeps it until it is acknowledged or given up again, so that it is not lost if this server
        dies in between.

        Raises:
            NotFound: there is no such dead letter, or it is being tried again.
            Conflict: its webhook was deleted.
        """
        await self._hooks.refresh()
        letter = await self._find_letter(letter_id)
        if not self._hooks.knows(letter.webhook_id):
            raise Conflict("The webhook of this delivery is gone", webhook_id=letter.webhook_id)
        async with self._audit.recording(actor, Action.DELIVERY_RETRIED, letter.queue_id) as draft:
            self._hooks.deliver_again(letter, letter_id)
            draft.made(facts=_letter_facts(letter))
        return letter

    async def discard(self, actor: Actor, letter_id: str) -> DeadLetter:
        """Delete a delivery that was given up.

        Raises:
            NotFound: there is no such dead letter, or it is being tried again.
        """
        letter = await self._find_letter(letter_id)
        async with self._audit.recording(actor, Action.DELIVERY_DISCARDED, letter.queue_id) as draft:
            if not await self._repository.dead_letters.remove(letter_id):
                raise _no_such_letter(letter_id)
            draft.made(facts=_letter_facts(letter))
        return letter

    async def _apply(self) -> None:
        """Make this server apply a change, at once if the store can be asked."""
        # Otherwise within seconds, when it asks again. The change was made all the same: after an error the
        # operator would make it again, and a secret that is told only once would be lost.
        with suppress(Unavailable):
            await self._hooks.refresh()

    async def _find(self, webhook_id: str) -> Webhook:
        for webhook in await self._repository.list():
            if webhook.id == webhook_id:
                return webhook
        raise NotFound("There is no such webhook", webhook_id=webhook_id)

    async def _find_letter(self, letter_id: str) -> DeadLetter:
        letter = await self._repository.dead_letters.find(letter_id)
        if letter is None or letter_id in self._hooks.retried():
            raise _no_such_letter(letter_id)
        return letter

    def _new_secret(self) -> str:
        return urlsafe_b64encode(self._random_bytes(_SECRET_BYTES)).decode().rstrip("=")


def _no_such_letter(letter_id: str) -> NotFound:
    return NotFound("There is no such dead letter", dead_letter_id=letter_id)


def _facts_of(webhook: Webhook) -> dict[str, Fact]:
    return {"webhook_id": webhook.id, "url": bounded(webhook.shown_url)}


def _changes_between(before: Webhook, after: Webhook) -> dict[str, Change]:
    changes = {}
    if before.url != after.url:
        # Origins only, which may be the same: path and query may contain a secret.
        changes["url"] = Change(bounded(before.shown_url), bounded(after.shown_url))
    if before.events != after.events:
        changes["events"] = Change(bounded(" ".join(before.events)), bounded(" ".join(after.events)))
    if before.queue_id != after.queue_id:
        changes["queue_id"] = Change(before.queue_id, after.queue_id)
    return changes


def _letter_facts(letter: DeadLetter) -> dict[str, Fact]:
    return {"webhook_id": letter.webhook_id, "event_id": letter.event_id, "event_type": letter.event_type}
