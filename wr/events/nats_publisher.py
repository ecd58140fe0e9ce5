"""Publishes events to NATS JetStream with `nats-py`, which needs asyncio, so it runs in a thread of its own.

A Trio task passes notes to the thread with `call_soon_threadsafe`. The thread reports acknowledged batches
with `run_sync_soon`. Neither call waits. The outbox is the buffer: its limit counts events, while a memory
channel could only count notes.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Literal

import msgspec
import structlog
import trio

from wr.events.event_bus import Outbox
from wr.events.nats_connection import STREAM, Connected, connected
from wr.events.nats_refusals import Refusals, RetryDecision, SubjectForbidden
from wr.metrics.event_metrics import EventTally
from wr.model.events import EventNote, events_of

log = structlog.get_logger("wr.events.nats")

_BATCH = 512
"""Events published at once, before their acknowledgements. With a round trip of 1 ms, one server creates far
fewer."""
_TURN = 32
"""Events published in a row, in about 1 ms. After that the server's main thread can run."""
_END_S = 2.0
_FIRST_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 15.0

Health = Literal["healthy", "unhealthy"]


class _Message(msgspec.Struct, frozen=True):
    """An event as NATS gets it."""

    id: str
    subject: str
    payload: bytes


class _Batch:
    """Notes that are being published, and their result."""

    def __init__(self, notes: Sequence[EventNote]) -> None:
        self.notes = notes
        self.dropped = 0
        """Events that NATS refused for good."""
        self.is_settled = trio.Event()


class _ConnectionLost(Exception):
    """The connection to NATS was lost."""


class NatsPublisher:
    """Publishes the events of an outbox while it runs, and reconnects as often as needed.

    Events are published in order. Events that are not acknowledged are published again with the same ids, so
    that NATS can drop duplicates. An event that NATS refuses several times is dropped and counted, so that it
    does not block the others. `draw` returns random numbers from 0 to 1.
    """

    def __init__(
        self, url: str, outbox: Outbox, tally: EventTally, *, source: str, draw: Callable[[], float]
    ) -> None:
        self.url = url
        self.name = f"wr {source}"
        self._outbox = outbox
        self._tally = tally
        self._source = source
        self._draw = draw
        self._taken: list[EventNote] = []
        self._untaken: frozenset[str] = frozenset()
        self._has_said_unseen = False
        self.health: Health = "unhealthy"
        """Whether NATS accepts events just now. May be read from any thread."""

    async def run(self) -> None:
        """Publish until cancelled. The next run publishes again what was not acknowledged."""
        thread = _Thread(self)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._feed, thread)
            try:
                await trio.to_thread.run_sync(
                    thread.run, limiter=trio.CapacityLimiter(1), abandon_on_cancel=True
                )
            finally:
                self.health = "unhealthy"
                thread.stop()
                with trio.move_on_after(_END_S, shield=True):
                    await thread.has_ended.wait()
            # The thread ended by itself, so something is wrong with it. The caller starts this task again.
            nursery.cancel_scope.cancel()

    @property
    def waiting(self) -> int:
        """Number of events that are not acknowledged yet."""
        return self._tally.waiting

    async def drained(self) -> None:
        """Wait until all events are acknowledged."""
        await self._outbox.drained()

    def abandon(self) -> int:
        """Drop all events that are not acknowledged. Returns how many there were."""
        lost = self._outbox.abandon()
        self._tally.dropped += lost
        return lost

    async def _feed(self, thread: "_Thread") -> None:
        await thread.is_ready.wait()
        while True:
            if not self._taken:
                self._taken = await self._outbox.take(_BATCH)
            batch = _Batch(self._taken)
            thread.publish(batch)
            await batch.is_settled.wait()
            count = sum(note.size for note in self._taken)
            self._taken = []
            self._tally.delivered += count - batch.dropped
            self._tally.dropped += batch.dropped
            self._outbox.settle(count)

    def spell(self, notes: Sequence[EventNote]) -> list[_Message]:
        """Turn notes into messages. Called in the NATS thread, to keep the work off the main thread."""
        return [
            _Message(event.id, event.type.subject, msgspec.json.encode(event))
            for note in notes
            for _, event in events_of(note, self._source)
        ]

    def failed(self, error: BaseException) -> None:
        """Note that connecting or publishing failed."""
        if self.health == "healthy" or not self._tally.failures:
            # The URL is not logged, because it may hold a password.
            log.warning("NATS does not take events; they are kept", error=str(error) or type(error).__name__)
        self._tally.failures += 1
        self.health = "unhealthy"

    def connected(self, link: Connected) -> None:
        """Note the result of the check after connecting."""
        if link.untaken and link.untaken != self._untaken:
            log.error("no stream of NATS takes some events; they are dropped", subjects=sorted(link.untaken))
        self._untaken = link.untaken
        if link.is_seen:
            self.took()
        elif not link.untaken and not self._has_said_unseen:
            self._has_said_unseen = True
            log.info("NATS does not allow to check for a stream; events are published anyway")

    def took(self) -> None:
        """Note that NATS accepts events."""
        if self.health != "healthy":
            log.info("NATS takes events", stream=STREAM)
        self.health = "healthy"

    def pause_s(self, failures: int) -> float:
        """Return the pause before the next try, in seconds. It doubles each time, with a random factor.

        The random factor keeps many servers from trying at the same moment.
        """
        return float(
            min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** min(failures - 1, 10)) * (0.5 + self._draw())
        )


class _Thread:
    """The thread with the asyncio loop. It publishes one batch at a time, until all is acknowledged."""

    def __init__(self, link: NatsPublisher) -> None:
        self._link = link
        self._trio = trio.lowlevel.current_trio_token()
        self.is_ready = trio.Event()
        self.has_ended = trio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main: asyncio.Task[None] | None = None
        self._batches: asyncio.Queue[_Batch] = asyncio.Queue()
        self._batch: _Batch | None = None
        self._unacknowledged: list[_Message] = []
        self._refusals = Refusals()

    def run(self) -> None:
        """Run the asyncio loop in this thread until `stop`."""
        try:
            asyncio.run(self._run())
        except (asyncio.CancelledError, trio.RunFinishedError):
            return
        finally:
            with suppress(trio.RunFinishedError):
                self._trio.run_sync_soon(self.has_ended.set)

    def stop(self) -> None:
        """End the thread soon. Called by the Trio side."""
        if self._loop is not None and self._main is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._main.cancel)

    def publish(self, batch: _Batch) -> None:
        """Publish a batch. Called by the Trio side. Sets `is_settled` when all is acknowledged or dropped."""
        assert self._loop is not None  # noqa: S101 - set before `is_ready`
        self._loop.call_soon_threadsafe(self._batches.put_nowait, batch)

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._main = asyncio.current_task()
        self._trio.run_sync_soon(self.is_ready.set)
        # Imported late, because the import takes 30 ms and 8 MB that a server without NATS need not spend.
        import nats.errors  # noqa: PLC0415

        failures = 0
        while True:
            began_s = time.monotonic()
            try:
                async with connected(self._link.url, self._link.name) as link:
                    self._link.connected(link)
                    await self._publish_for_ever(link)
            except (TimeoutError, OSError, nats.errors.Error, _ConnectionLost) as error:
                self._link.failed(error)
            # After a connection that lasted for a while, the pauses start short again.
            failures = 1 if time.monotonic() - began_s > _LONGEST_PAUSE_S else failures + 1
            await asyncio.sleep(self._link.pause_s(failures))

    async def _publish_for_ever(self, link: Connected) -> None:
        lost = asyncio.create_task(link.is_closed.wait())
        try:
            while True:
                if self._batch is None:
                    await self._next_batch(lost)
                rounds = 0
                while self._unacknowledged:
                    rounds += 1
                    await self._publish(link, lost)
                    if self._unacknowledged:
                        await asyncio.sleep(self._link.pause_s(rounds))
                if self._batch is not None:
                    self._trio.run_sync_soon(self._batch.is_settled.set)
                    self._batch = None
        finally:
            lost.cancel()

    async def _next_batch(self, lost: "asyncio.Task[bool | Literal[True]]") -> None:
        batch = asyncio.create_task(self._batches.get())
        try:
            await asyncio.wait({batch, lost}, return_when=asyncio.FIRST_COMPLETED)
            if not batch.done():
                raise _ConnectionLost("the connection was lost")
            self._batch = batch.result()
        finally:
            batch.cancel()
        self._unacknowledged = self._link.spell(self._batch.notes)

    async def _publish(self, link: Connected, lost: "asyncio.Task[Any]") -> None:
        """Publish all events that are not acknowledged, in order, and keep those that need another try.

        Raises:
            BaseException: the first failure that is not the refusal of an event, or may not be one.
        """
        tasks: list[asyncio.Task[Any]] = []
        for message in self._unacknowledged:
            tasks.append(asyncio.create_task(_send(link, message)))
            if len(tasks) % _TURN == 0:
                await asyncio.sleep(0)
        whole = asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.wait({whole, lost}, return_when=asyncio.FIRST_COMPLETED)
        if not whole.done():
            whole.cancel()
            await asyncio.wait({whole})
            raise _ConnectionLost("the connection was lost")
        self._settle(link, whole.result())

    def _settle(self, link: Connected, outcomes: "Sequence[object]") -> None:
        kept: list[_Message] = []
        failure: BaseException | None = None
        refusal: BaseException | None = None
        for message, outcome in zip(self._unacknowledged, outcomes, strict=True):
            if not isinstance(outcome, BaseException):
                self._refusals.taken(message)
                continue
            decision = self._refusals.judge(link, message, outcome)
            if decision is RetryDecision.GIVEN_UP:
                assert self._batch is not None  # noqa: S101 - these are its messages
                self._batch.dropped += 1
                continue
            kept.append(message)
            if decision is RetryDecision.REFUSED:
                refusal = outcome
            else:
                failure = failure or outcome
        is_any_taken = any(not isinstance(outcome, BaseException) for outcome in outcomes)
        self._unacknowledged = kept
        if failure is not None:
            raise failure
        if is_any_taken:
            self._link.took()
        elif refusal is not None:
            self._link.failed(refusal)


async def _send(link: Connected, message: _Message) -> None:
    import nats.errors  # noqa: PLC0415

    if message.subject in link.forbidden:
        raise SubjectForbidden(message.subject)
    try:
        await link.jetstream.publish(message.subject, message.payload, headers={"Nats-Msg-Id": message.id})
    except nats.errors.TimeoutError:
        # NATS does not answer a message that is not permitted, but reports an error separately.
        if message.subject in link.forbidden:
            raise SubjectForbidden(message.subject) from None
        raise
