"""The event book: takes a note of what happened, for everybody who is to be told of it."""

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import structlog
import trio

from wr.metrics.event_metrics import EventTally
from wr.model.events import EventNote, EventType

log = structlog.get_logger("wr.events")

ALL_KINDS = frozenset(EventType)
_MOST_HELD = 20_000
"""Events of one queue that are held back at once: two passes of the largest kind, in the milliseconds that a
batch takes. With a store that takes seconds, what comes first is told after it rather than memory used up."""


class _Held:
    """What is noted of one queue while something that came before is still under way."""

    __slots__ = ("first", "notes", "size")

    def __init__(self) -> None:
        self.first: list[EventNote] = []
        self.notes: list[EventNote] = []
        self.size = 0


class Outbox:
    """What one receiver is still to be told: of bounded size, oldest first.

    What does not fit is dropped and counted: those who come last, so that what is kept has no holes, and
    nobody has to wait.
    """

    def __init__(
        self,
        name: str,
        tally: EventTally,
        most: int,
        *,
        kinds: frozenset[EventType] = ALL_KINDS,
        queue_id: str = "",
    ) -> None:
        self._name = name
        self._tally = tally
        self._most = most
        self._kinds = kinds
        self._queue_id = queue_id
        self._notes: deque[EventNote] = deque()
        self._held = 0
        self._news = trio.Event()
        self._settled = trio.Event()
        self._is_dropping = False
        self._is_abandoned = False

    def want(self, kinds: frozenset[EventType], queue_id: str) -> None:
        """Take other events from now on; what is kept already stays."""
        self._kinds = kinds
        self._queue_id = queue_id

    def offer(self, note: EventNote) -> None:
        """Keep a note, or of many people in one as many as there is room for."""
        if note.kind not in self._kinds or (self._queue_id and note.queue_id != self._queue_id):
            return
        size = note.size
        room = self._most - self._held
        self._tally.noted += size
        if size > room:
            self._drop(size - room)
            if room <= 0:
                return
            note, _ = note.split(room)
            size = room
        self._held += size
        self._tally.waiting += size
        self._notes.append(note)
        self._news.set()

    async def take(self, most: int) -> list[EventNote]:
        """Wait for notes and take those of up to `most` events, oldest first; they count until settled."""
        while not self._notes:
            self._news = trio.Event()
            await self._news.wait()
        return self.take_now(most)

    def take_now(self, most: int) -> list[EventNote]:
        """Take notes of up to `most` events, none where there are none."""
        taken: list[EventNote] = []
        while self._notes and most > 0:
            note = self._notes.popleft()
            if note.size > most:
                note, rest = note.split(most)
                self._notes.appendleft(rest)
            most -= note.size
            taken.append(note)
        return taken

    def settle(self, count: int) -> None:
        """Say that so many events need no room any more: delivered, or given up."""
        if self._is_abandoned:
            return
        self._held -= count
        self._tally.waiting -= count
        if self._held <= self._most // 2:
            # Not at the first that fits again: at the brink each event would be worth a line of the log.
            self._is_dropping = False
        self._settled.set()

    def abandon(self) -> int:
        """Forget everything, taken or not, for good; returns how many events that were."""
        count = self._held
        self._notes.clear()
        self.settle(count)
        self._is_abandoned = True
        return count

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to take just now; what was taken may not be settled yet."""
        return not self._notes

    async def drained(self) -> None:
        """Wait until all that was kept is settled."""
        while self._held:
            self._settled = trio.Event()
            await self._settled.wait()

    def _drop(self, count: int) -> None:
        self._tally.dropped += count
        if not self._is_dropping:
            log.error("events are dropped: too many are not delivered yet", receiver=self._name)
        self._is_dropping = True


class EventBus:
    """Where the code that makes things happen says so.

    Looking at `wanted` is all that it costs while nobody is to be told; a note is about 1 µs for each
    receiver, however many people it is about. Never waits.
    """

    def __init__(self) -> None:
        self.wanted = False
        """Whether anybody is to be told."""
        self._outboxes: list[Outbox] = []
        self._held: dict[str, _Held] = {}

    @contextmanager
    def holding(self, queue_id: str) -> Iterator[list[EventNote]]:
        """Hold back what is noted of a queue until the block ends; what it puts into the list comes first.

        One block at a time for each queue. Where more is noted meanwhile than is held back, all of it is let
        go in its order, and what was to come first comes when the block ends.
        """
        held = self._held[queue_id] = _Held()
        try:
            yield held.first
        finally:
            # Gone already if it was more than is held back.
            self._held.pop(queue_id, None)
            self._let_go(held.first)
            self._let_go(held.notes)

    def add(self, outbox: Outbox) -> None:
        """Give it all notes from now on."""
        self._outboxes.append(outbox)
        self.wanted = True

    def remove(self, outbox: Outbox) -> None:
        """Give it no more."""
        self._outboxes.remove(outbox)
        self.wanted = bool(self._outboxes)

    def note(
        self,
        kind: EventType,
        queue_id: str,
        at_ms: int,
        people: Sequence[bytes] = (),
        facts: dict[str, Any] | None = None,
        *,
        waits_ms: Sequence[int] = (),
        mark: bytes = b"",
    ) -> None:
        """Take a note; `people` are positions, none when it happened to the queue itself."""
        note = EventNote(kind, queue_id, at_ms, people, facts, waits_ms, mark)
        held = self._held.get(queue_id) if self._held else None
        if held is None:
            self._offer(note)
            return
        held.size += note.size
        held.notes.append(note)
        if held.size > _MOST_HELD:
            # None of it can wait any more: what came later must not go past what came before.
            del self._held[queue_id]
            self._let_go(held.first)
            self._let_go(held.notes)

    def note_people(
        self,
        kind: EventType,
        queue_id: str,
        at_ms: int,
        people: Sequence[bytes],
        facts: dict[str, Any] | None = None,
        waits_ms: Sequence[int] = (),
    ) -> None:
        """Take a note of something that happens to people, unless it happened to nobody."""
        if people:
            self.note(kind, queue_id, at_ms, people, facts, waits_ms=waits_ms)

    def _let_go(self, notes: list[EventNote]) -> None:
        for note in notes:
            self._offer(note)
        notes.clear()

    def _offer(self, note: EventNote) -> None:
        for outbox in self._outboxes:
            outbox.offer(note)
