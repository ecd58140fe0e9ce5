"""The admission loop: every interval, one pass over every queue."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

import structlog
import trio

from wr.events.book import EventBook
from wr.model.events import Kind
from wr.model.places import Reason
from wr.model.refusals import Unavailable
from wr.model.times import rfc3339_ms
from wr.store.admissions import Pass

log = structlog.get_logger("wr.admission")

_MOST_ROUNDS = 20
_PATIENCE_S = 5.0
_SILENT = {"reason": Reason.HEARTBEAT_TIMEOUT.text}
_OVER = {"reason": Reason.SESSION_TIMEOUT.text}


class Admitting(Protocol):
    """What the loop needs of the store."""

    async def admit(self, queue_ids: Sequence[str], /) -> Mapping[str, Pass | None]:
        """Run one pass over each queue."""
        ...


class Listing(Protocol):
    """What the loop needs of the registry of queues."""

    async def names(self) -> list[str]:
        """List the ids of all queues."""
        ...


class Learning(Protocol):
    """What the loop tells what it saw."""

    async def learn(self, queue_id: str, admission: Pass | None, /) -> None:
        """Take in what a pass over a queue saw."""
        ...


class Witness:
    """Takes in what passes saw: for the queue book, and for the streams of those it happened to."""

    def __init__(
        self, book: Learning, tell: Callable[[str, Iterable[bytes]], None], *, events: EventBook | None = None
    ) -> None:
        self._events = events or EventBook()
        self._book = book
        self._tell = tell

    async def learn(self, queue_id: str, admission: Pass | None) -> None:
        """Take in what a pass over a queue saw."""
        await self._book.learn(queue_id, admission)
        if admission is not None:
            if self._events.wanted:
                self._note(queue_id, admission)
            self._tell(queue_id, [*admission.admitted, *admission.dropped, *admission.ended])

    def _note(self, queue_id: str, admission: Pass) -> None:
        """Take notes for other systems: some microseconds, however many people it is about."""
        at_ms, note = admission.now_ms, self._events.note_people
        note(Kind.POSITION_EXPIRED, queue_id, at_ms, admission.dropped, _SILENT)
        note(Kind.SESSION_ENDED, queue_id, at_ms, admission.ended, _OVER)
        note(Kind.POSITION_ADMITTED, queue_id, at_ms, admission.admitted)
        expires = {"expires_at": rfc3339_ms(admission.sessions_end_ms)}
        note(Kind.SESSION_STARTED, queue_id, at_ms, admission.admitted, expires)


async def admit_once(store: Admitting, registry: Listing, book: Learning) -> int:
    """Run a pass over every queue, again over those with more to do; returns how many people got in.

    Raises:
        Unavailable: the store cannot be reached; nobody was let in whom the next pass would not count.
    """
    admitted = 0
    pending = await registry.names()
    for _ in range(_MOST_ROUNDS):
        if not pending:
            break
        # Once it is sent a pass is carried out, whether or not the server stops meanwhile; nobody but the one
        # who sent it knows whom it let in. The store's own patience ends before this one.
        with trio.fail_after(_PATIENCE_S, shield=True):
            passes = await store.admit(pending)
            for queue_id, admission in passes.items():
                await book.learn(queue_id, admission)
        admitted += sum(len(admission.admitted) for admission in passes.values() if admission is not None)
        pending = [
            queue_id for queue_id, admission in passes.items() if admission is not None and admission.more
        ]
    return admitted


async def run_admission(
    store: Admitting,
    registry: Listing,
    book: Learning,
    *,
    interval_s: float,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run a pass every `interval_s` seconds, for ever; reports ready after the first.

    While the store is away nobody is let in: people are held rather than let pass, because how many are
    inside is known there and nowhere else. Whatever else goes wrong is logged and tried again too: a loop
    that ended would take the server with it, and everyone in line.
    """
    is_failing = False
    is_ready = False
    next_pass = trio.current_time()
    while True:
        try:
            await admit_once(store, registry, book)
        except Unavailable as error:
            if not is_failing:
                log.warning("nobody is let in while the store is away", error=str(error.__cause__ or error))
            is_failing = True
        except Exception:
            if not is_failing:
                log.exception("an admission pass failed and is tried again and again")
            is_failing = True
        else:
            if is_failing:
                log.info("admission passes succeed again")
            is_failing = False
        if not is_ready:
            is_ready = True
            task_status.started()
        # A pass that took long is not made up for: the tokens in the store already account for the time.
        next_pass = max(next_pass + interval_s, trio.current_time())
        await trio.sleep_until(next_pass)
