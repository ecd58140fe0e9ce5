"""The demo queues that `--demo-queue` creates, named as in the examples of both API documents."""

import structlog

from wr.model.audit import Actor
from wr.model.new_queue import new_queue
from wr.model.queue_settings import QueueConfig
from wr.model.refusals import Conflict
from wr.room.operators import OperatorService
from wr.store.store import Store

log = structlog.get_logger("wr")

DEMO_QUEUE = QueueConfig(
    id="demo",
    name="Demo sale",
    target_url="https://example.com/checkout",
    max_active_users=150,
    max_queue_size=100_000,
    admission_rate=50.0,
    session_timeout_seconds=60,
    heartbeat_interval_seconds=20,
    heartbeat_timeout_seconds=50,
)
DEMO_QUEUES = (
    DEMO_QUEUE,
    # The examples in both API documents name these queues; with them, the examples run unchanged.
    QueueConfig(id="concert-tickets", name="Concert Ticket Sale", target_url="https://example.com/checkout"),
    new_queue("concert-1", {"name": "Concert 1", "target_url": "https://example.com/checkout"}),
)


async def create_demo_queues(store: Store, operators: OperatorService) -> None:
    """Create the demo queues, unless the store has a queue already."""
    if not await store.queues.names():
        for config in DEMO_QUEUES:
            try:
                await operators.create_queue(Actor("wr serve", ""), config)
            except Conflict:
                log.info("another server created this demo queue", queue_id=config.id)
