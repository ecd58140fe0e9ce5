"""Changes of webhooks that are made are answered as such, whatever becomes of the look at them afterwards."""

import os
import secrets
from collections.abc import Sequence

import trio

from tests.support.engines import Engine
from wr.events.event_bus import EventBus
from wr.events.http_client import HttpClient
from wr.events.webhook_dispatcher import WebhookDispatcher
from wr.events.webhook_worker import DeliveryPolicy
from wr.metrics.event_metrics import EventTally
from wr.model.audit import Actor
from wr.model.limits import Limit
from wr.model.refusals import Unavailable
from wr.model.webhooks import Webhook
from wr.room.webhooks import WebhookService
from wr.store.dead_letter_repository import DeadLetters
from wr.store.store import Store, open_store

LIMITS = {scope: Limit(0) for scope in ("enqueue", "status", "heartbeat", "activity", "admin")}
OPERATOR = Actor("anna", "127.0.0.1")


class GoneAgain:
    """What is seen of a store that goes away once a change is made."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.looks = 0

    async def list(self) -> Sequence[Webhook]:
        await trio.lowlevel.checkpoint()
        self.looks += 1
        raise Unavailable("away")

    @property
    def dead_letters(self) -> DeadLetters:
        return self._store.webhooks.dead_letters


async def test_a_secret_is_told_though_the_store_goes_away_once_it_is_kept(
    engine: Engine, prefix: str
) -> None:
    async with open_store(engine.url, LIMITS, prefix=f"{prefix}:{secrets.token_hex(4)}") as store:
        storage, event_bus = GoneAgain(store), EventBus()
        plan = DeliveryPolicy(
            post=HttpClient((), timeout_s=1),
            tries=1,
            first_pause_s=1,
            most_waiting=1,
            source="s",
            draw=lambda: 0.5,
        )
        service = WebhookService(
            store, WebhookDispatcher(storage, event_bus, EventTally(), plan), random_bytes=os.urandom
        )
        with trio.fail_after(10):
            added = await service.add(OPERATOR, url="https://example.com/", events=["*"], queue_id="")
            assert await service.all() == [added]
            changed = await service.change(OPERATOR, added.id, {}, rotate_secret=True)
            assert changed.secret != added.secret
            assert await service.all() == [changed]
            await service.delete(OPERATOR, added.id)
            assert await service.all() == []
        assert storage.looks == 3, "each change was to be heeded at once"
