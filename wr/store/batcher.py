"""Batching: many callers, one round trip.

There is no timer. While one batch is in flight, calls gather, and all that have arrived when it returns are
the next batch. So an idle server answers at once, and a busy one shares a round trip among hundreds of
callers.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from contextvars import Context
from functools import partial
from typing import Generic, Protocol, TypeVar

import structlog
import trio

from wr.model.refusals import Unavailable

Item = TypeVar("Item")
Reply = TypeVar("Reply")
ReplyT = TypeVar("ReplyT", contravariant=True)

log = structlog.get_logger("wr.store")

_MOST_RESTING = 64
"""Tasks of each batcher that may wait for a call."""
_CLOSING = "The waiting room is shutting down"


class BatchCaller(Protocol[ReplyT]):
    """What put an item into a batch. One of the two methods is called, once. What it raises is logged."""

    @property
    def context(self) -> Context | None:
        """The context whose span the batch names; None if there is none."""
        ...

    def answer(self, reply: ReplyT, /) -> None:
        """Take the reply to the item."""
        ...

    def fail(self, failure: Exception, /) -> None:
        """Take the exception that the batch met."""
        ...


class _WaitingTask(Generic[Reply]):
    """A task that waits for the reply to its item; None once it has given up."""

    __slots__ = ("failure", "reply", "task")
    reply: Reply

    def __init__(self, task: trio.lowlevel.Task) -> None:
        self.task: trio.lowlevel.Task | None = task
        self.failure: Exception | None = None

    @property
    def context(self) -> Context | None:
        """The context of the task."""
        return None if self.task is None else self.task.context

    def give_up(self, _raise_cancel: object) -> trio.lowlevel.Abort:
        """Stop waiting: the task is cancelled."""
        self.task = None
        return trio.lowlevel.Abort.SUCCEEDED

    def answer(self, reply: Reply) -> None:
        """Wake the task with the reply, unless it has been woken or has given up."""
        task, self.task = self.task, None
        if task is not None:
            self.reply = reply
            trio.lowlevel.reschedule(task)

    def fail(self, failure: Exception) -> None:
        """Wake the task with an exception, unless it has been woken or has given up."""
        task, self.task = self.task, None
        if task is not None:
            self.failure = failure
            trio.lowlevel.reschedule(task)


class Batcher(Generic[Item, Reply]):
    """Gathers items per key and runs `execute(key, items)` for up to `most` of them at a time.

    One batch per key is in flight. Every caller gets its own reply, or the exception that its batch met.
    A caller that is cancelled stops waiting; its item may still be carried out. At most `most_waiting`
    callers wait. Further ones are refused at once, because they would wait ever longer. `around` opens a
    block around each batch, given the contexts of its callers.
    """

    def __init__(
        self,
        nursery: trio.Nursery,
        execute: Callable[[str, Sequence[Item]], Awaitable[Sequence[Reply]]],
        *,
        most: int = 256,
        most_waiting: int = 20_000,
        around: Callable[[Sequence[Context]], AbstractContextManager[None]] | None = None,
    ) -> None:
        self._around = around
        self._nursery = nursery
        self._execute = execute
        self._most = most
        self._most_waiting = most_waiting
        self._lanes: dict[str, _Lane[Item, Reply]] = {}
        self._resting: dict[str, _Lane[Item, Reply]] = {}
        self._waiting = 0

    async def submit(self, key: str, item: Item) -> Reply:
        """Carry out `item` in the next batch of `key`, and return its reply.

        Raises:
            Unavailable: the store cannot be reached, or too many callers wait already.
        """
        waiter: _WaitingTask[Reply] = _WaitingTask(trio.lowlevel.current_task())
        self.add(key, item, waiter)
        # An event for each caller would cost more than the caller's share of the batch.
        await trio.lowlevel.wait_task_rescheduled(waiter.give_up)
        if waiter.failure is not None:
            raise waiter.failure
        return waiter.reply

    def add(self, key: str, item: Item, caller: BatchCaller[Reply]) -> None:
        """Put `item` into the next batch of `key`. `caller` gets the reply in the task of the batch.

        Raises:
            Unavailable: too many callers wait already, or the server ends. The caller then gets nothing.
        """
        if self._waiting >= self._most_waiting:
            raise Unavailable("The waiting room has more to do than it can do just now")
        lane = self._lanes.get(key)
        if lane is None:
            lane = _Lane()
            try:
                # In a context of its own: log lines must not name the request that happened to come first.
                Context().run(
                    partial(self._nursery.start_soon, self._run, key, lane, name=f"batches of {key}")
                )
            except RuntimeError as error:
                raise Unavailable(_CLOSING) from error
            self._lanes[key] = lane
        lane.calls.append((item, caller))
        self._waiting += 1
        if lane.resting is not None:
            lane.wake()

    async def _run(self, key: str, lane: "_Lane[Item, Reply]") -> None:
        batch: list[tuple[Item, BatchCaller[Reply]]] = []
        calls = lane.calls
        try:
            while calls:
                batch = [calls.popleft() for _ in range(min(self._most, len(calls)))]
                self._waiting -= len(batch)
                await self._settle(key, batch)
                batch = []
                if not calls:
                    await self._rest(key, lane)
        except Exception:
            # Not raised: the nursery runs the batches of all queues. The next call of this key starts anew.
            log.exception("batches ended with an error", key=key)
        finally:
            # The server is closing, or something failed. Callers must not wait for ever.
            del self._lanes[key]
            self._resting.pop(key, None)
            self._waiting -= len(calls)
            for _, caller in (*batch, *calls):
                _tell(caller.fail, Unavailable(_CLOSING))

    async def _rest(self, key: str, lane: "_Lane[Item, Reply]") -> None:
        """Wait for the next call, because a new task for it would cost 20 µs.

        Only so many lanes may wait: if they are too many, the one that has waited longest ends.
        """
        while len(self._resting) >= _MOST_RESTING:
            self._resting.pop(next(iter(self._resting))).wake()
        self._resting[key] = lane
        lane.resting = trio.lowlevel.current_task()
        try:
            await trio.lowlevel.wait_task_rescheduled(lane.give_up)
        finally:
            self._resting.pop(key, None)

    async def _settle(self, key: str, batch: "list[tuple[Item, BatchCaller[Reply]]]") -> None:
        try:
            if self._around is None:
                replies = await self._execute(key, [item for item, _ in batch])
            else:
                with self._around(_contexts(batch)):
                    replies = await self._execute(key, [item for item, _ in batch])
        except Exception as error:  # noqa: BLE001 - each caller must learn of any failure
            failure = error
        else:
            if len(replies) == len(batch):
                for (_, caller), reply in zip(batch, replies, strict=True):
                    _tell(caller.answer, reply)
                return
            # It is not known which reply is missing, and a guess could give a visitor the place of another.
            failure = ValueError(f"{len(replies)} replies to {len(batch)} items")
        for _, caller in batch:
            _tell(caller.fail, _own(failure))


class _Lane(Generic[Item, Reply]):
    """The calls of one key that wait for their batch, and the task that carries them out."""

    __slots__ = ("calls", "resting")

    def __init__(self) -> None:
        self.calls: deque[tuple[Item, BatchCaller[Reply]]] = deque()
        self.resting: trio.lowlevel.Task | None = None
        """The task, while it waits for a call."""

    def wake(self) -> None:
        """Have the task go on. It ends if there is no call."""
        task, self.resting = self.resting, None
        if task is not None:
            trio.lowlevel.reschedule(task)

    def give_up(self, _raise_cancel: object) -> trio.lowlevel.Abort:
        """Stop resting: the task is cancelled."""
        self.resting = None
        return trio.lowlevel.Abort.SUCCEEDED


Told = TypeVar("Told")


def _tell(method: Callable[[Told], None], told: Told) -> None:
    """Call a caller; whatever it raises concerns no other caller of the batch."""
    try:
        method(told)
    except Exception:
        log.exception("a caller of a batch failed")


def _contexts(batch: Sequence[tuple[Item, BatchCaller[Reply]]]) -> list[Context]:
    contexts = [caller.context for _, caller in batch]
    return [context for context in contexts if context is not None]


def _own(error: Exception) -> Exception:
    """Give each caller its own exception: one raised in hundreds of tasks gathers all their frames."""
    return type(error)(error.message) if isinstance(error, Unavailable) else error
