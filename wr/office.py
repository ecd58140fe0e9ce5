"""The office: what operators do with queues, sessions and keys."""

import msgspec

from wr.keeper import KeyKeeper
from wr.model import places
from wr.model.ids import parse_session_id
from wr.model.pace import observe
from wr.model.queue import QueueConfig, check_queue
from wr.model.refusals import Conflict, NotFound
from wr.model.signing import SigningKey
from wr.queue_book import QueueBook, no_such_queue
from wr.room import Tell, session_expired
from wr.store.departures import Departure
from wr.store.figures import Figures
from wr.store.store import Store

_MOST_TRIES = 20


class Stats(msgspec.Struct, frozen=True):
    """A queue's settings and figures, and the admissions per second of the last minute."""

    config: QueueConfig
    figures: Figures
    admitted_per_s: float


class Office:
    """Operators' use cases. All raise `Unavailable` while the store is away."""

    def __init__(self, store: Store, keeper: KeyKeeper, book: QueueBook, tell: Tell) -> None:
        self._store = store
        self._keeper = keeper
        self._book = book
        self._tell = tell

    async def create_queue(self, config: QueueConfig) -> QueueConfig:
        """Create a queue.

        Raises:
            InvalidRequest: its settings make no sense together.
            Conflict: there is one of that id.
        """
        check_queue(config)
        if not await self._store.queues.write(config, await self._store.clock_ms()):
            raise Conflict("There is a queue of that id already", queue_id=config.id)
        return (await self._book.reload(config.id)).config

    async def update_queue(self, queue_id: str, changes: dict[str, object]) -> QueueConfig:
        """Change settings of a queue; the rest stays. Holds at every replica within one admission interval.

        Raises:
            NotFound: no such queue.
            InvalidRequest: the settings would make no sense together.
        """
        for _ in range(_MOST_TRIES):
            current = await self._read(queue_id)
            changed = msgspec.structs.replace(current, **changes)
            check_queue(changed)
            # Somebody else's change in between is seen by its version: then read and try again.
            if await self._store.queues.write(changed, await self._store.clock_ms()):
                view = await self._book.reload(queue_id)
                if changed.status is not current.status:
                    self._tell(queue_id, None)
                return view.config
        raise Conflict("The queue is being changed by others all the time", queue_id=queue_id)

    async def queue(self, queue_id: str) -> QueueConfig:
        """Read a queue's settings.

        Raises:
            NotFound: no such queue.
        """
        return await self._read(queue_id)

    async def queues(self) -> list[Stats]:
        """List every queue with its figures, by id. Two round trips for each."""
        found = [await self._stats(queue_id) for queue_id in await self._store.queues.names()]
        return [stats for stats in found if stats is not None]

    async def delete_queue(self, queue_id: str) -> None:
        """Delete a queue and everyone in it.

        Raises:
            NotFound: no such queue.
        """
        if not await self._store.queues.delete(queue_id):
            raise no_such_queue(queue_id)
        self._book.forget(queue_id)
        self._tell(queue_id, None)

    async def flush(self, queue_id: str) -> int:
        """Send away everyone who waits; sessions go on. Returns how many.

        Raises:
            NotFound: no such queue.
        """
        flushed = await self._store.flush(queue_id)
        if flushed is None:
            raise no_such_queue(queue_id)
        self._tell(queue_id, None)
        return flushed

    async def stats(self, queue_id: str) -> Stats:
        """Read a queue's figures.

        Raises:
            NotFound: no such queue.
        """
        stats = await self._stats(queue_id)
        if stats is None:
            raise no_such_queue(queue_id)
        return stats

    async def terminate(self, session_id: str) -> int:
        """End a session at once; returns when, in milliseconds since 1970. One round trip for each queue.

        Raises:
            NotFound: no such session.
            SessionExpired: it has ended already.
        """
        position_id = parse_session_id(session_id)
        if position_id is not None:
            for queue_id in await self._store.queues.names():
                departed = await self._store.depart(
                    queue_id,
                    Departure(
                        position_id=position_id,
                        reason=places.Reason.TERMINATED,
                        session_only=True,
                        subject=b"",
                    ),
                )
                state = departed.state
                if isinstance(state, places.Gone):
                    if departed.ended_now:
                        self._tell(queue_id, [position_id])
                        return state.ended_ms
                    raise session_expired(position_id, state.ended_ms, state.reason.text)
        raise NotFound("There is no such session", session_id=session_id)

    async def rotate_keys(self) -> list[SigningKey]:
        """Make new signing keys; tokens signed with earlier ones stay valid until they expire."""
        return await self._keeper.rotate()

    async def keys(self) -> list[SigningKey]:
        """List the signing keys, newest first."""
        await self._keeper.refresh()
        return self._keeper.ring.all()

    async def _read(self, queue_id: str) -> QueueConfig:
        config = await self._store.queues.read(queue_id)
        if config is None:
            self._book.forget(queue_id)
            raise no_such_queue(queue_id)
        return config

    async def _stats(self, queue_id: str) -> Stats | None:
        config = await self._store.queues.read(queue_id)
        figures = await self._store.figures(queue_id)
        if config is None or figures is None:
            return None
        pace = observe(figures.seconds, figures.now_ms, config.created_ms)
        return Stats(config, figures, pace.admitted_per_s)
