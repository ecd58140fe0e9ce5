"""The event bus: passes each event to the outbox of every receiver that wants it."""

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
"""Events of one queue that may be held back at once: two of the largest admission passes.

That is enough for the milliseconds that a batch takes. If the store takes seconds, the limit protects memory:
held events are released early, and the events that should come first come after them.
"""


class _Held:
    """Events of one queue that wait until earlier events, in `first`, are known."""

    __slots__ = ("first", "notes", "size")

    def __init__(self) -> None:
        self.first: list[EventNote] = []
        self.notes: list[EventNote] = []
        self.size = 0


class Outbox:
    """The events that one receiver has not received yet, oldest first. Its size is limited.

    When it is full, new events are dropped and counted. So the kept events have no gaps, and the code that
    creates events never waits.
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
        """Accept other events from now on. Events already kept stay."""
        self._kinds = kinds
        self._queue_id = queue_id

    def offer(self, note: EventNote) -> None:
        """Keep a note. If it is about many visitors and not all fit, keep the part that fits."""
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
        """Wait for notes and take those of up to `most` events, oldest first.

        They still count towards the limit until `settle`.
        """
        while not self._notes:
            self._news = trio.Event()
            await self._news.wait()
        return self.take_now(most)

    def take_now(self, most: int) -> list[EventNote]:
        """Take notes of up to `most` events, without waiting. The list may be empty."""
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
        """Free the room of `count` events that were delivered or given up."""
        if self._is_abandoned:
            return
        self._held -= count
        self._tally.waiting -= count
        if self._held <= self._most // 2:
            # Only when half empty. Otherwise a full outbox would log a line for nearly every event.
            self._is_dropping = False
        self._settled.set()

    def abandon(self) -> int:
        """Drop all events, also those that were taken but not settled. Returns how many there were."""
        count = self._held
        self._notes.clear()
        self.settle(count)
        self._is_abandoned = True
        return count

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to take. Events that were taken may not be settled yet."""
        return not self._notes

    async def drained(self) -> None:
        """Wait until all events are settled."""
        while self._held:
            self._settled = trio.Event()
            await self._settled.wait()

    def _drop(self, count: int) -> None:
        self._tally.dropped += count
        if not self._is_dropping:
            log.error("events are dropped: too many are not delivered yet", receiver=self._name)
        self._is_dropping = True


class EventBus:
    """Receives events from the code that causes them. Never waits.

    Without receivers the caller only reads `wanted`. A note costs about 1 µs for each receiver, however many
    visitors it is about.
    """

    def __init__(self) -> None:
        self.wanted = False
        """Whether there is any receiver."""
        self._outboxes: list[Outbox] = []
        self._held: dict[str, _Held] = {}

    @contextmanager
    def holding(self, queue_id: str) -> Iterator[list[EventNote]]:
        """Hold back the events of a queue until the block ends. Notes in the yielded list go out before them.

        Only one block at a time for each queue. If more events come than may be held back, all held events
        go out at once in their order, and the notes of the list follow at the end of the block.
        """
        held = self._held[queue_id] = _Held()
        try:
            yield held.first
        finally:
            # It is already removed if there were too many events.
            self._held.pop(queue_id, None)
            self._release(held.first)
            self._release(held.notes)

    def add(self, outbox: Outbox) -> None:
        """Pass all notes to this outbox from now on."""
        self._outboxes.append(outbox)
        self.wanted = True

    def remove(self, outbox: Outbox) -> None:
        """Pass no more notes to this outbox."""
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
        """Pass on an event. `people` are position ids, or empty for an event of the queue itself."""
        note = EventNote(kind, queue_id, at_ms, people, facts, waits_ms, mark)
        held = self._held.get(queue_id) if self._held else None
        if held is None:
            self._offer(note)
            return
        held.size += note.size
        held.notes.append(note)
        if held.size > _MOST_HELD:
            # Release all of them, so that the order stays.
            del self._held[queue_id]
            self._release(held.first)
            self._release(held.notes)

    def note_people(
        self,
        kind: EventType,
        queue_id: str,
        at_ms: int,
        people: Sequence[bytes],
        facts: dict[str, Any] | None = None,
        waits_ms: Sequence[int] = (),
    ) -> None:
        """Pass on an event of visitors. Does nothing if `people` is empty."""
        if people:
            self.note(kind, queue_id, at_ms, people, facts, waits_ms=waits_ms)

    def _release(self, notes: list[EventNote]) -> None:
        for note in notes:
            self._offer(note)
        notes.clear()

    def _offer(self, note: EventNote) -> None:
        for outbox in self._outboxes:
            outbox.offer(note)
