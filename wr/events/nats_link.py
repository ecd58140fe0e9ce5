"""The link to NATS JetStream: `nats-py` on a thread and an asyncio loop of its own, fed by a Trio task.

The two meet in two calls that never wait: notes go over with `call_soon_threadsafe`, and the word that they
are acknowledged comes back with `run_sync_soon`. The buffer is the outbox, bounded by events and not by
notes, which a memory channel could not do.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import structlog
import trio

from wr.events.book import Outbox
from wr.measures.event_measures import EventTally
from wr.model.events import SUBJECT_ROOT, Note, events_of

if TYPE_CHECKING:
    from nats.js import JetStreamContext

log = structlog.get_logger("wr.events.nats")

STREAM = "WAITINGROOM"
_KEPT_S = 7 * 24 * 3600
"""How long a stream that is made here keeps events: one without a bound would fill the disk."""
_REPEATS_S = 120
"""For how long the server knows an event again that it has stored."""
_BATCH = 512
"""Events on their way at once: at 1 ms to the server and back far more than a server makes."""
_TURN = 32
"""Events published in one turn of the loop, about 1 ms: in between, the server's own thread gets its turn."""
_ACKNOWLEDGE_S = 5.0
_CONNECT_S = 5.0
_PING_S = 5.0
_CLOSE_S = 1.0
_FIRST_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 15.0
_OVERLAPS = 10065
"""JetStream's code for a stream whose subjects another has already."""

Health = Literal["healthy", "unhealthy"]


class _Message(msgspec.Struct, frozen=True):
    """An event, spelled."""

    id: str
    subject: str
    payload: bytes


class _Lost(Exception):
    """The connection is gone."""


class NatsLink:
    """Publishes what an outbox holds, for as long as it runs; connects again for ever.

    Events are published in their order, and those that are not acknowledged again, with the same ids, so that
    the server drops what it has stored already. `draw` gives random numbers from 0 to 1.
    """

    def __init__(
        self, url: str, outbox: Outbox, tally: EventTally, *, source: str, draw: Callable[[], float]
    ) -> None:
        self._url = url
        self._outbox = outbox
        self._tally = tally
        self._source = source
        self._draw = draw
        self._taken: list[Note] = []
        self.health: Health = "unhealthy"
        """Whether events are being taken just now; read by whoever asks, on any thread."""

    async def run(self) -> None:
        """Publish until cancelled. What was taken and not acknowledged is published by the next run."""
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
                with trio.move_on_after(2 * _CLOSE_S, shield=True):
                    await thread.has_ended.wait()
            # It ends only when it is told to, or when something is wrong with it: then it starts again.
            nursery.cancel_scope.cancel()

    @property
    def waiting(self) -> int:
        """How many events are not acknowledged yet."""
        return self._tally.waiting

    async def drained(self) -> None:
        """Wait until all that was noted is acknowledged."""
        await self._outbox.drained()

    def abandon(self) -> int:
        """Give up what is not acknowledged, for good; returns how many events that were."""
        lost = self._outbox.abandon()
        self._tally.dropped += lost
        return lost

    async def _feed(self, thread: "_Thread") -> None:
        await thread.is_ready.wait()
        while True:
            if not self._taken:
                self._taken = await self._outbox.take(_BATCH)
            acknowledged = trio.Event()
            thread.publish(self._taken, acknowledged)
            await acknowledged.wait()
            count = sum(note.size for note in self._taken)
            self._taken = []
            self._tally.delivered += count
            self._outbox.settle(count)

    def spell(self, notes: Sequence[Note]) -> list[_Message]:
        """Make messages of notes; on the thread, so that it costs the server's own none of its time."""
        return [
            _Message(event.id, event.type.subject, msgspec.json.encode(event))
            for note in notes
            for _, event in events_of(note, self._source)
        ]

    def failed(self, error: BaseException) -> None:
        """Take in that the connection, or what was published, failed."""
        if self.health == "healthy" or not self._tally.failures:
            # The address is not told: it may hold a password.
            log.warning("NATS does not take events; they are kept", error=str(error) or type(error).__name__)
        self._tally.failures += 1
        self.health = "unhealthy"

    def connected(self) -> None:
        """Take in that events can be published."""
        log.info("NATS takes events", stream=STREAM)
        self.health = "healthy"

    def pause_s(self, failures: int) -> float:
        """How long to wait before connecting again: longer each time, never in step with other servers."""
        return float(
            min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** min(failures - 1, 10)) * (0.5 + self._draw())
        )

    @asynccontextmanager
    async def connection(self, is_closed: asyncio.Event) -> "AsyncIterator[JetStreamContext]":
        """Connect, once: coming back is this module's own work, for the client would keep what it could not
        send and send it again beside what is published again here."""
        # 30 ms and 8 MB that a server without NATS need not spend.
        import nats  # noqa: PLC0415

        async def closed() -> None:
            is_closed.set()

        async def noted(error: Exception) -> None:
            log.debug("NATS reports", error=str(error))

        client = await nats.connect(
            servers=[server.strip() for server in self._url.split(",")],
            name=f"wr {self._source}",
            allow_reconnect=False,
            connect_timeout=_CONNECT_S,
            ping_interval=_PING_S,
            max_outstanding_pings=2,
            closed_cb=closed,
            disconnected_cb=closed,
            error_cb=noted,
        )
        try:
            jetstream = client.jetstream(timeout=_ACKNOWLEDGE_S)
            await _ensure_stream(jetstream)
            yield jetstream
        finally:
            try:
                await asyncio.wait_for(client.close(), _CLOSE_S)
            except (TimeoutError, OSError, nats.errors.Error) as error:
                log.debug("the connection to NATS did not close well", error=str(error))


async def _ensure_stream(jetstream: "JetStreamContext") -> None:
    """Make the stream if there is none; one that is there is the operator's, and is left as it is."""
    from nats.js.api import StreamConfig  # noqa: PLC0415
    from nats.js.errors import BadRequestError, NotFoundError  # noqa: PLC0415

    try:
        await jetstream.stream_info(STREAM)
    except NotFoundError:
        config = StreamConfig(
            name=STREAM,
            subjects=[f"{SUBJECT_ROOT}.>"],
            max_age=_KEPT_S,
            duplicate_window=_REPEATS_S,
        )
        try:
            await jetstream.add_stream(config)
        except BadRequestError as error:
            if error.err_code != _OVERLAPS:
                raise
            log.info("events go to the operator's own stream", reason=error.description)


class _Thread:
    """The asyncio side: one batch at a time, from the first to the last acknowledgement."""

    def __init__(self, link: NatsLink) -> None:
        self._link = link
        self._trio = trio.lowlevel.current_trio_token()
        self.is_ready = trio.Event()
        self.has_ended = trio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main: asyncio.Task[None] | None = None
        self._batches: asyncio.Queue[tuple[Sequence[Note], trio.Event]] = asyncio.Queue()
        self._unacknowledged: list[_Message] = []
        self._acknowledged: trio.Event | None = None

    def run(self) -> None:
        """Run the loop in this thread until `stop`."""
        try:
            asyncio.run(self._run())
        except (asyncio.CancelledError, trio.RunFinishedError):
            return
        finally:
            with suppress(trio.RunFinishedError):
                self._trio.run_sync_soon(self.has_ended.set)

    def stop(self) -> None:
        """End it soon, from the Trio side."""
        if self._loop is not None and self._main is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._main.cancel)

    def publish(self, notes: Sequence[Note], acknowledged: trio.Event) -> None:
        """Have these published, from the Trio side; sets the event when all are acknowledged."""
        assert self._loop is not None  # noqa: S101 - set before `is_ready`
        self._loop.call_soon_threadsafe(self._batches.put_nowait, (notes, acknowledged))

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._main = asyncio.current_task()
        self._trio.run_sync_soon(self.is_ready.set)
        import nats.errors  # noqa: PLC0415 - as above

        failures = 0
        while True:
            began_s = time.monotonic()
            is_closed = asyncio.Event()
            try:
                async with self._link.connection(is_closed) as jetstream:
                    self._link.connected()
                    await self._publish_for_ever(jetstream, is_closed)
            except (TimeoutError, OSError, nats.errors.Error, _Lost) as error:
                self._link.failed(error)
            # A connection that held for a while was a good one.
            failures = 1 if time.monotonic() - began_s > _LONGEST_PAUSE_S else failures + 1
            await asyncio.sleep(self._link.pause_s(failures))

    async def _publish_for_ever(self, jetstream: "JetStreamContext", is_closed: asyncio.Event) -> None:
        lost = asyncio.create_task(is_closed.wait())
        try:
            while True:
                if not self._unacknowledged:
                    await self._next_batch(lost)
                await self._publish(jetstream, lost)
                if self._acknowledged is not None:
                    self._trio.run_sync_soon(self._acknowledged.set)
                    self._acknowledged = None
        finally:
            lost.cancel()

    async def _next_batch(self, lost: "asyncio.Task[bool | Literal[True]]") -> None:
        batch = asyncio.create_task(self._batches.get())
        try:
            await asyncio.wait({batch, lost}, return_when=asyncio.FIRST_COMPLETED)
            if not batch.done():
                raise _Lost("the connection was lost")
            notes, self._acknowledged = batch.result()
        finally:
            batch.cancel()
        self._unacknowledged = self._link.spell(notes)

    async def _publish(self, jetstream: "JetStreamContext", lost: "asyncio.Task[Any]") -> None:
        """Publish what is not acknowledged, in order.

        Raises:
            Whatever the first failure was: that one and all after it stay, to be published again.
        """
        under_way: list[asyncio.Task[Any]] = []
        for message in self._unacknowledged:
            headers = {"Nats-Msg-Id": message.id}
            under_way.append(
                asyncio.create_task(jetstream.publish(message.subject, message.payload, headers=headers))
            )
            if len(under_way) % _TURN == 0:
                await asyncio.sleep(0)
        whole = asyncio.gather(*under_way, return_exceptions=True)
        await asyncio.wait({whole, lost}, return_when=asyncio.FIRST_COMPLETED)
        if not whole.done():
            whole.cancel()
            await asyncio.wait({whole})
            raise _Lost("the connection was lost")
        outcomes = whole.result()
        for index, outcome in enumerate(outcomes):
            if isinstance(outcome, BaseException):
                self._unacknowledged = self._unacknowledged[index:]
                raise outcome
        self._unacknowledged = []
