"""Batching: many callers, one round trip.

There is no timer. While one batch is in flight, calls gather, and all that have arrived when it returns are
the next batch. So an idle server answers at once, and a busy one shares a round trip among hundreds of
callers.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from contextvars import Context
from typing import Generic, TypeVar

import structlog
import trio

from wr.model.refusals import Unavailable

Item = TypeVar("Item")
Reply = TypeVar("Reply")

log = structlog.get_logger("wr.store")

_CLOSING = "The waiting room is shutting down"


class _Waiter(Generic[Item, Reply]):
    """One caller: its item, its task (None once it has given up), and the reply that it wakes with."""

    __slots__ = ("failure", "item", "reply", "task")
    reply: Reply

    def __init__(self, item: Item, task: trio.lowlevel.Task) -> None:
        self.item = item
        self.task: trio.lowlevel.Task | None = task
        self.failure: Exception | None = None

    def give_up(self, _raise_cancel: object) -> trio.lowlevel.Abort:
        """Stop waiting: the caller is cancelled."""
        self.task = None
        return trio.lowlevel.Abort.SUCCEEDED

    def answer(self, reply: Reply) -> None:
        """Wake the caller with its reply, unless it has been woken or has given up."""
        task, self.task = self.task, None
        if task is not None:
            self.reply = reply
            trio.lowlevel.reschedule(task)

    def fail(self, failure: Exception) -> None:
        """Wake the caller with an exception, unless it has been woken or has given up."""
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
        self._lanes: dict[str, deque[_Waiter[Item, Reply]]] = {}
        self._waiting = 0

    async def submit(self, key: str, item: Item) -> Reply:
        """Carry out `item` in the next batch of `key`, and return its reply.

        Raises:
            Unavailable: the store cannot be reached, or too many callers wait already.
        """
        if self._waiting >= self._most_waiting:
            raise Unavailable("The waiting room has more to do than it can do just now")
        waiter: _Waiter[Item, Reply] = _Waiter(item, trio.lowlevel.current_task())
        lane = self._lanes.get(key)
        if lane is None:
            lane = deque()
            try:
                self._nursery.start_soon(self._run, key, lane, name=f"batches of {key}")
            except RuntimeError as error:
                raise Unavailable(_CLOSING) from error
            self._lanes[key] = lane
        lane.append(waiter)
        self._waiting += 1
        # An event for each caller would cost more than the caller's share of the batch.
        await trio.lowlevel.wait_task_rescheduled(waiter.give_up)
        if waiter.failure is not None:
            raise waiter.failure
        return waiter.reply

    async def _run(self, key: str, lane: deque[_Waiter[Item, Reply]]) -> None:
        batch: list[_Waiter[Item, Reply]] = []
        try:
            while lane:
                batch = [lane.popleft() for _ in range(min(self._most, len(lane)))]
                self._waiting -= len(batch)
                await self._settle(key, batch)
        except Exception:
            # Not raised: the nursery runs the batches of all queues. The next call of this key starts anew.
            log.exception("batches ended with an error", key=key)
        finally:
            # The server is closing, or something failed. Callers must not wait for ever.
            del self._lanes[key]
            self._waiting -= len(lane)
            for waiter in (*batch, *lane):
                if waiter.task is not None:
                    waiter.fail(Unavailable(_CLOSING))

    async def _settle(self, key: str, batch: list[_Waiter[Item, Reply]]) -> None:
        try:
            if self._around is None:
                replies = await self._execute(key, [waiter.item for waiter in batch])
            else:
                callers = [waiter.task.context for waiter in batch if waiter.task is not None]
                with self._around(callers):
                    replies = await self._execute(key, [waiter.item for waiter in batch])
        except Exception as error:  # noqa: BLE001 - each caller must learn of any failure
            failure = error
        else:
            if len(replies) == len(batch):
                for waiter, reply in zip(batch, replies, strict=True):
                    waiter.answer(reply)
                return
            # It is not known which reply is missing, and a guess could give a visitor the place of another.
            failure = ValueError(f"{len(replies)} replies to {len(batch)} items")
        for waiter in batch:
            waiter.fail(_own(failure))


def _own(error: Exception) -> Exception:
    """Give each caller its own exception: one raised in hundreds of tasks gathers all their frames."""
    return type(error)(error.message) if isinstance(error, Unavailable) else error
