"""Starts the delivery of events to webhooks and NATS, and ends it without losing events if possible."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import structlog
import trio

from wr.events.webhook_dispatcher import WebhookDispatcher
from wr.supervision.loops import keep_running

if TYPE_CHECKING:
    from wr.events.nats_publisher import NatsPublisher

log = structlog.get_logger("wr.events")


@asynccontextmanager
async def telling(
    hooks: WebhookDispatcher, link: "NatsPublisher | None", *, patience_s: Callable[[], float]
) -> AsyncIterator[None]:
    """Publish and deliver events during the block, and afterwards those that are left.

    At the end of the block `patience_s` returns how many seconds that may take. Everything that creates
    events has to end inside the block. Deliveries that are not finished in time become dead letters. Events
    that NATS has not acknowledged in time are lost, and the log says how many.
    """
    async with trio.open_nursery() as nursery:
        await nursery.start(keep_running, "webhooks", hooks.run)
        if link is not None:
            nursery.start_soon(keep_running, "nats", lambda _status: link.run())
        yield
        left_s = patience_s()
        if link is not None and link.waiting:
            log.info(
                "stopping: waiting until NATS has acknowledged the last events",
                count=link.waiting,
                grace_s=round(left_s, 3),
            )
        with trio.move_on_after(left_s):
            async with trio.open_nursery() as last:
                last.start_soon(hooks.drained, left_s)
                if link is not None:
                    last.start_soon(link.drained)
        nursery.cancel_scope.cancel()
    await hooks.bury_the_rest()
    lost = 0 if link is None else link.abandon()
    if lost:
        log.error("events are lost: NATS did not take them before the server stopped", count=lost)
