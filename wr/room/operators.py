"""What operators do with queues, sessions and keys. One method for each use case."""

import msgspec

from wr.events.event_bus import EventBus
from wr.model.audit import Action, Actor, Fact, changes_between, settings_of
from wr.model.events import EventType
from wr.model.history import HistorySpan, Point, points_of
from wr.model.ids import id_text, parse_session_id, session_id_text
from wr.model.places import Gone, Reason, Waiting
from wr.model.queue_checks import check_queue
from wr.model.queue_settings import QueueConfig, QueueStatus
from wr.model.refusals import Conflict, NotFound
from wr.model.signing import SigningKey
from wr.model.wait_estimate import Forecast, forecast, observe
from wr.room.audit_trail import AuditTrail
from wr.room.blocks import NO_BLOCK, BlockService, BlockTerms
from wr.room.place_refusals import session_expired
from wr.room.queue_cache import QueueCache, QueueView, no_such_queue
from wr.room.signing_keys import SigningKeys
from wr.room.visitors import Tell
from wr.store.audit_repository import AuditPage
from wr.store.count_silent import Silent
from wr.store.find import Found
from wr.store.leave import Departure
from wr.store.statistics import QueueStatistics
from wr.store.store import Store

_MOST_TRIES = 20


class Stats(msgspec.Struct, frozen=True):
    """A queue's settings and figures, the admissions per second of the last minute, and a forecast."""

    config: QueueConfig
    figures: QueueStatistics
    admitted_per_s: float
    forecast: Forecast

    @property
    def last_wait_s(self) -> int:
        """Estimate the seconds until the last visitor in line is let in; 0 if there is no line."""
        return self.forecast.wait_s(self.figures.waiting) if self.figures.waiting else 0

    @property
    def clears_in_s(self) -> int | None:
        """Estimate the seconds until all visitors in line are let in; None while no visitor is let in."""
        if self.config.status is QueueStatus.ACTIVE or not self.figures.waiting:
            return self.last_wait_s
        return None


class FoundPerson(msgspec.Struct, frozen=True):
    """A visitor that an operator looked for: which queue has it, and where it stands."""

    position_id: bytes
    queue_id: str
    found: Found
    estimated_wait_s: int
    """0 for a visitor that is not in line."""


class Terminated(msgspec.Struct, frozen=True):
    """A session that was ended: when, and until when its visitor is blocked, in milliseconds since 1970."""

    ended_ms: int
    blocked_until_ms: int | None


class OperatorService:
    """Operators' use cases. All raise `Unavailable` if the store is away.

    Changes take the actor, and are recorded in the audit trail once they are made. Events are noted before
    the next wait, because a caller that has gone would be cancelled there.
    """

    def __init__(
        self,
        store: Store,
        signing_keys: SigningKeys,
        queue_cache: QueueCache,
        blocks: BlockService,
        tell: Tell,
        events: EventBus,
    ) -> None:
        self._store = store
        self._blocks = blocks
        self._signing_keys = signing_keys
        self._queue_cache = queue_cache
        self._tell = tell
        self._events = events
        self._audit = AuditTrail(store)

    async def create_queue(self, actor: Actor, config: QueueConfig) -> QueueConfig:
        """Create a queue.

        Raises:
            InvalidRequest: its settings contradict each other.
            Conflict: there is a queue of that id.
        """
        check_queue(config)
        async with self._audit.recording(actor, Action.QUEUE_CREATED, config.id) as draft:
            made = await self._store.queues.write(config, self._store.now_ms())
            if made is None:
                raise Conflict("There is a queue of that id already", queue_id=config.id)
            self._queue_cache.take(made)
            draft.made(facts=settings_of(made), at_ms=made.created_ms)
            if self._events.wanted:
                settings = {"settings": settings_of(made)}
                self._events.note(EventType.QUEUE_CREATED, made.id, made.created_ms, facts=settings)
        return made

    async def update_queue(self, actor: Actor, queue_id: str, changes: dict[str, object]) -> QueueConfig:
        """Change some settings of a queue. All servers know them within one admission interval.

        Three round trips, if no other operator changes the queue at the same moment.

        Raises:
            NotFound: no such queue.
            InvalidRequest: the settings would contradict each other.
        """
        for _ in range(_MOST_TRIES):
            current = await self._read(queue_id)
            changed = msgspec.structs.replace(current, **changes)
            check_queue(changed)
            async with self._audit.recording(actor, Action.QUEUE_UPDATED, queue_id) as draft:
                # Another operator may have changed the queue in between. Then its version differs, and the
                # settings are read again.
                stored = await self._store.queues.write(changed, self._store.now_ms())
                if stored is not None:
                    self._queue_cache.take(stored)
                    draft.made(changes=changes_between(current, stored), at_ms=stored.updated_ms)
                    if self._events.wanted:
                        self._note_update(current, stored)
            if stored is not None:
                if stored.status is not current.status:
                    self._tell(queue_id, None)
                return stored
        raise Conflict("The queue is being changed by others all the time", queue_id=queue_id)

    async def queue(self, queue_id: str) -> QueueConfig:
        """Read a queue's settings.

        Raises:
            NotFound: no such queue.
        """
        return await self._read(queue_id)

    async def queues(self) -> list[Stats]:
        """List every queue with its figures, by id. Three round trips for up to 64 of them.

        A queue whose data cannot be read is left out and logged.
        """
        queue_ids = await self._store.queues.names()
        configs = await self._store.queues.read_many(queue_ids)
        figures = await self._store.reports.figures_of(queue_ids)
        found = []
        for config in configs:
            its_figures = None if config is None else figures.get(config.id)
            if config is not None and its_figures is not None:
                found.append(_stats_of(config, its_figures))
        return found

    async def delete_queue(self, actor: Actor, queue_id: str) -> None:
        """Delete a queue with its places and sessions.

        Raises:
            NotFound: no such queue.
        """
        seen = self._queue_cache.last_seen(queue_id)
        # Asked before the deletion, so that nothing can fail after it.
        now_ms = await self._store.clock_ms() if self._events.wanted else 0
        async with self._audit.recording(actor, Action.QUEUE_DELETED, queue_id) as draft:
            if not await self._store.queues.delete(queue_id):
                raise no_such_queue(queue_id)
            draft.made(facts=_facts_of(seen))
            if now_ms:
                self._events.note(EventType.QUEUE_DELETED, queue_id, now_ms)
        self._queue_cache.forget(queue_id)
        self._store.forget_queue(queue_id)
        self._tell(queue_id, None)

    async def flush(self, actor: Actor, queue_id: str) -> int:
        """Send away all visitors in line; sessions go on. Returns how many.

        Raises:
            NotFound: no such queue.
        """
        async with self._audit.recording(actor, Action.QUEUE_FLUSHED, queue_id) as draft:
            flushed = await self._store.flush(queue_id)
            if flushed is None:
                raise no_such_queue(queue_id)
            draft.made(facts={"flushed": flushed})
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

    async def silent(self, queue_id: str, timeout_s: int) -> Silent:
        """Count the visitors that would lose their places under this heartbeat timeout, if they stay silent.

        Raises:
            NotFound: no such queue.
        """
        found = await self._store.reports.silent(queue_id, timeout_s)
        if found is None:
            raise no_such_queue(queue_id)
        return found

    async def history(self, queue_id: str, span: HistorySpan) -> list[Point]:
        """Read a queue's history, step by step, oldest first. One round trip.

        Raises:
            NotFound: no such queue.
        """
        found = await self._store.reports.history(queue_id, span)
        if found is None:
            raise no_such_queue(queue_id)
        return points_of(found.notes, found.now_ms, span)

    async def find_position(self, position_id: bytes) -> FoundPerson:
        """Find a place in line, or what became of it. Counts and changes nothing.

        Raises:
            NotFound: no queue has it. A place that ended is known for an hour.
        """
        found = await self._find(position_id)
        if found is None:
            raise NotFound("There is no such position", position_id=id_text(position_id))
        return found

    async def find_session(self, position_id: bytes) -> FoundPerson:
        """Find the session that a place became. Counts and changes nothing.

        Raises:
            NotFound: no queue has it, or the place did not become a session.
        """
        found = await self._find(position_id)
        place = None if found is None else found.found.place
        never = (Reason.HEARTBEAT_TIMEOUT, Reason.FLUSHED)
        if found is None or isinstance(place, Waiting) or (isinstance(place, Gone) and place.reason in never):
            raise NotFound("There is no such session", session_id=session_id_text(position_id))
        return found

    async def _find(self, position_id: bytes) -> FoundPerson | None:
        found = await self._store.reports.find(await self._store.queues.names(), position_id)
        if found is None:
            return None
        queue_id, person = found
        view = await self._queue_cache.get(queue_id)
        wait_s = (
            view.estimated_wait_s(person.place.position, person.priority)
            if isinstance(person.place, Waiting)
            else 0
        )
        return FoundPerson(position_id, queue_id, person, wait_s)

    async def terminate(
        self, actor: Actor, session_id: str, reason: str, block: BlockTerms = NO_BLOCK
    ) -> Terminated:
        """End a session at once, and block its visitor for a while if asked to.

        One round trip for each queue.

        Raises:
            NotFound: no such session.
            SessionExpired: it has ended already.
        """
        position_id = parse_session_id(session_id)
        if position_id is not None:
            for queue_id in await self._store.queues.names():
                departure = Departure(
                    position_id=position_id,
                    reason=Reason.TERMINATED,
                    session_only=True,
                    subject=b"",
                )
                try:
                    blocked_ms = await self._blocks.block_holder(
                        actor, queue_id, position_id, block, of=session_id, reason=reason
                    )
                except NotFound:
                    # The queue was listed, and deleted meanwhile.
                    continue
                async with self._audit.recording(actor, Action.SESSION_TERMINATED, queue_id) as draft:
                    departed = await self._store.depart(queue_id, departure)
                    if departed.ended_now:
                        draft.made(facts={"session_id": session_id, "reason": reason})
                place = departed.place
                if isinstance(place, Gone):
                    if departed.ended_now:
                        self._tell(queue_id, [position_id])
                        return Terminated(place.ended_ms, blocked_ms)
                    raise session_expired(position_id, place)
        raise NotFound("There is no such session", session_id=session_id)

    async def rotate_keys(self, actor: Actor) -> list[SigningKey]:
        """Create new signing keys. Tokens signed with earlier keys stay valid until they expire."""
        async with self._audit.recording(actor, Action.KEYS_ROTATED) as draft:
            made = await self._signing_keys.rotate()
            draft.made(facts={"kids": [key.kid for key in made]})
        return made

    async def audit(self, *, queue_id: str, limit: int, before: str) -> AuditPage:
        """Read the audit trail, newest first; of one queue, deleted or not, unless `queue_id` is empty."""
        return await self._store.audit.page(queue_id=queue_id, limit=limit, before=before)

    async def keys(self) -> list[SigningKey]:
        """List the signing keys, newest first."""
        await self._signing_keys.refresh()
        return self._signing_keys.ring.all()

    def _note_update(self, before: QueueConfig, after: QueueConfig) -> None:
        at_ms = after.updated_ms
        changes = msgspec.to_builtins(changes_between(before, after))
        # The version tells two changes within a millisecond apart.
        mark = b"%d" % before.version
        self._events.note(EventType.QUEUE_UPDATED, after.id, at_ms, facts={"changes": changes}, mark=mark)
        were_let_in, are_let_in = (config.status is QueueStatus.ACTIVE for config in (before, after))
        if were_let_in is not are_let_in:
            kind = EventType.QUEUE_RESUMED if are_let_in else EventType.QUEUE_PAUSED
            self._events.note(kind, after.id, at_ms, facts={"status": str(after.status)}, mark=mark)

    async def _read(self, queue_id: str) -> QueueConfig:
        config = await self._store.queues.read(queue_id)
        if config is None:
            self._queue_cache.forget(queue_id)
            raise no_such_queue(queue_id)
        return config

    async def _stats(self, queue_id: str) -> Stats | None:
        config = await self._store.queues.read(queue_id)
        figures = await self._store.reports.figures(queue_id)
        if config is None or figures is None:
            return None
        return _stats_of(config, figures)


def _facts_of(seen: QueueView | None) -> dict[str, Fact]:
    """Tell what a queue was at the last admission pass.

    The store is not asked, because then a queue whose data cannot be read could not be deleted.
    """
    if seen is None:
        return {}
    return {"name": seen.config.name, "waiting": seen.waiting, "active": seen.active}


def _stats_of(config: QueueConfig, figures: QueueStatistics) -> Stats:
    pace = observe(figures.seconds, figures.now_ms, config.created_ms, figures.active)
    return Stats(config, figures, pace.admitted_per_s, forecast(config, figures.active, pace))
