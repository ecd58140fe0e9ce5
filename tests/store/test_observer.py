"""What the store did is noted where its replies are read: whoever asked may have gone, and order holds."""

import secrets
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.support.engines import Engine
from tests.support.scripted_queue import new_id
from tests.support.store_over import store_over
from wr.events.event_bus import EventBus, Outbox
from wr.events.store_events import StoreEvents
from wr.metrics.event_metrics import EventTally
from wr.model.events import EventType
from wr.model.limits import Limit
from wr.model.places import Reason
from wr.model.queue_settings import QueueConfig, QueueStatus
from wr.model.refusals import Unavailable
from wr.room.admission import AdmissionObserver, admit_once
from wr.store.admit import AdmissionPass
from wr.store.connection import Connection
from wr.store.enqueue import Join
from wr.store.leave import Departure
from wr.store.script import Script
from wr.store.store import Store

LIMITS = {scope: Limit(0) for scope in ("enqueue", "status", "heartbeat", "activity", "admin")}
Told = list[tuple[EventType, bytes]]


@dataclass
class Noted:
    """A store with one queue, and what is noted of it."""

    store: Store
    outbox: Outbox
    queue_id: str = "noted"

    async def join(self) -> bytes:
        position_id = new_id()
        await self.store.joins.submit(self.queue_id, Join(position_id, b"", 0, b"", b"", b""))
        return position_id

    async def leave(self, position_id: bytes) -> None:
        await self.store.depart(self.queue_id, Departure(position_id, Reason.CANCELLED, False, b""))

    def told(self) -> Told:
        """What was noted of people since the last time, in order."""
        return [(note.kind, who) for note in self.outbox.take_now(1000) for who in note.people]


@asynccontextmanager
async def noted(
    engine: Engine, prefix: str, connect: Callable[[str], Connection] = Connection
) -> AsyncIterator[Noted]:
    event_bus, outbox = EventBus(), Outbox("test", EventTally(), 1000)
    event_bus.add(outbox)
    with trio.fail_after(30):
        own = f"{prefix}:{secrets.token_hex(4)}"
        connection = connect(engine.url)
        async with store_over(connection, LIMITS, own, StoreEvents(event_bus)) as store:
            it = Noted(store, outbox)
            config = QueueConfig(
                id=it.queue_id, name="Q", target_url="https://shop.example/", admission_rate=1000
            )
            assert await store.queues.write(config, await store.clock_ms())
            yield it


async def test_what_is_carried_out_for_somebody_who_has_gone_is_noted(engine: Engine, prefix: str) -> None:
    async with noted(engine, prefix) as it:
        await it.join()
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(it.join)
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        last = await it.join()
        told = it.told()
        assert [kind for kind, _ in told] == [EventType.POSITION_ENQUEUED] * 5
        async with trio.open_nursery() as nursery:
            nursery.start_soon(it.leave, told[1][1])
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        await it.leave(last)
        assert it.told() == [(EventType.POSITION_CANCELLED, told[1][1]), (EventType.POSITION_CANCELLED, last)]


class LateConnection(Connection):
    """Every answer of the store comes after a wait: at times one is there at once."""

    async def call(self, *what: Any) -> Any:
        reply = await super().call(*what)
        await trio.lowlevel.checkpoint()
        return reply


async def test_a_pass_and_a_flush_are_noted_though_their_caller_is_cancelled(
    engine: Engine, prefix: str
) -> None:
    async with noted(engine, prefix, LateConnection) as it:
        inside = await it.join()
        with trio.CancelScope() as gone:
            gone.cancel()
            await it.store.passes.admit([it.queue_id])
        await it.store.queues.write(await changed(it, status=QueueStatus.PAUSED), 0)
        waiting = await it.join()
        with trio.CancelScope() as gone:
            gone.cancel()
            await it.store.flush(it.queue_id)
        assert it.told() == [
            (EventType.POSITION_ENQUEUED, inside),
            (EventType.POSITION_ADMITTED, inside),
            (EventType.SESSION_STARTED, inside),
            (EventType.POSITION_ENQUEUED, waiting),
            (EventType.POSITION_CANCELLED, waiting),
        ]


async def test_a_flush_whose_caller_has_gone_ends_with_the_slice_that_it_is_at(
    engine: Engine, prefix: str
) -> None:
    async with noted(engine, prefix, LateConnection) as it:
        it.store.queues.flush_slice = 2
        for _ in range(5):
            await it.join()
        it.told()
        with trio.CancelScope() as gone:
            gone.cancel()
            await it.store.flush(it.queue_id)
        assert [kind for kind, _ in it.told()] == [EventType.POSITION_CANCELLED] * 2
        assert await it.store.flush(it.queue_id) == 3


async def test_whoever_changes_or_deletes_a_queue_learns_that_it_was_done_though_cancelled(
    engine: Engine, prefix: str
) -> None:
    async with noted(engine, prefix, LateConnection) as it:
        paused = await changed(it, status=QueueStatus.PAUSED)
        written, deleted = None, False
        with trio.CancelScope() as gone:
            gone.cancel()
            written = await it.store.queues.write(paused, 0)
        with trio.CancelScope() as gone:
            gone.cancel()
            deleted = await it.store.queues.delete(it.queue_id)
        assert written is not None
        assert (written.status, written.version, deleted) == (QueueStatus.PAUSED, paused.version + 1, True)


async def test_a_place_is_noted_before_what_becomes_of_it_though_its_join_is_answered_later(
    engine: Engine, prefix: str
) -> None:
    carried_out, read = trio.Event(), trio.Event()

    class SlowJoins(Connection):
        """The answer to a join is read when `read` is set."""

        async def call(self, script: Script, *what: Any) -> Any:
            reply = await super().call(script, *what)
            if script.name == "enqueue":
                carried_out.set()
                await read.wait()
            return reply

    async with noted(engine, prefix, SlowJoins) as it:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(it.join)
            await carried_out.wait()
            passed = (await it.store.passes.admit([it.queue_id]))[it.queue_id]
            assert passed is not None
            (who,) = passed.admitted
            await it.leave(who)
            read.set()
        assert it.told() == [
            (EventType.POSITION_ENQUEUED, who),
            (EventType.POSITION_ADMITTED, who),
            (EventType.SESSION_STARTED, who),
            (EventType.SESSION_ENDED, who),
        ]


async def test_everybody_is_told_what_passes_did_though_settings_cannot_be_read_just_then(
    engine: Engine, prefix: str
) -> None:
    told: list[tuple[str, int]] = []

    class Forgetful:
        """A book that must read the settings, while the store is away again."""

        def names(self) -> set[str]:
            return set()

        def forget(self, queue_id: str) -> None:
            raise AssertionError(queue_id)

        async def learn(self, queue_id: str, admission: AdmissionPass | None) -> None:
            raise Unavailable("away")

    def tell(queue_id: str, people: Iterable[bytes]) -> None:
        told.append((queue_id, len(list(people))))

    async with noted(engine, prefix) as it:
        other = QueueConfig(id="other", name="Q", target_url="https://shop.example/")
        assert await it.store.queues.write(other, await it.store.clock_ms())
        await it.join()
        await it.store.joins.submit("other", Join(new_id(), b"", 0, b"", b"", b""))
        with pytest.raises(Unavailable):
            await admit_once(it.store.passes, it.store.queues, AdmissionObserver(Forgetful(), tell))
        assert told == [("noted", 1), ("other", 1)]
        assert [kind for kind, _ in it.told()].count(EventType.SESSION_STARTED) == 2


async def changed(it: Noted, **changes: QueueStatus) -> QueueConfig:
    config = await it.store.queues.read(it.queue_id)
    assert config is not None
    return msgspec.structs.replace(config, **changes)
