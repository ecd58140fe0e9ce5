"""The queue cache: what this server knows of each queue without asking the store."""

import msgspec

from wr.model.priorities import admissions_until
from wr.model.queue_settings import QueueConfig
from wr.model.refusals import NotFound
from wr.model.wait_estimate import Forecast, Pace, forecast, observe
from wr.store.admit import AdmissionPass, Forgotten
from wr.store.queue_repository import QueueRepository


class QueueView(msgspec.Struct, frozen=True):
    """One queue as of the last admission pass, at most one admission interval ago."""

    config: QueueConfig
    waiting: int
    active: int
    pace: Pace
    forecast: Forecast
    waiting_by_priority: tuple[int, ...] = (0, 0, 0, 0)
    has_shares: bool = False
    """Whether visitors of several priorities wait, and each priority gets its share of the admissions."""
    is_recovering: bool = False
    """Whether no visitor is let in, because the store has forgotten and the line forms again."""
    forgotten: Forgotten | None = None
    """What the store last forgot of the queue; None if it has forgotten nothing."""

    def estimated_wait_s(self, position: int, priority: int = 0) -> int:
        """Estimate the seconds until the visitor at that position in line (from 1) is let in."""
        if not self.has_shares:
            return self.forecast.wait_s(position)
        share = self.config.priority_share
        return self.forecast.wait_s(admissions_until(position, priority, self.waiting_by_priority, share))


def view_of(
    config: QueueConfig,
    waiting: int = 0,
    active: int = 0,
    pace: Pace | None = None,
    waiting_by_priority: tuple[int, ...] = (0, 0, 0, 0),
    *,
    is_recovering: bool = False,
    forgotten: Forgotten | None = None,
) -> QueueView:
    """Make the view of a queue. Without a pace it is that of a queue that has let in no visitor yet."""
    pace = pace or Pace()
    return QueueView(
        config,
        waiting,
        active,
        pace,
        forecast(config, active, pace),
        waiting_by_priority,
        has_shares=config.priority_share < 1 and sum(count > 0 for count in waiting_by_priority) > 1,
        is_recovering=is_recovering,
        forgotten=forgotten,
    )


class QueueCache:
    """Keeps a view of every queue. The admission passes of this server keep the views fresh."""

    def __init__(self, repository: QueueRepository) -> None:
        self._repository = repository
        self._views: dict[str, QueueView] = {}

    def knows(self, queue_id: str) -> bool:
        """Whether the queue existed when it was last looked at."""
        return queue_id in self._views

    def last_seen(self, queue_id: str) -> QueueView | None:
        """Return the last view of a queue, without asking the store; None if there is none."""
        return self._views.get(queue_id)

    async def get(self, queue_id: str) -> QueueView:
        """Return the view of a queue, asking the store for one that is not known yet.

        Raises:
            NotFound: there is no such queue.
            Unavailable: the store cannot be asked.
        """
        return self._views.get(queue_id) or await self.reload(queue_id)

    async def reload(self, queue_id: str) -> QueueView:
        """Read the queue's settings again; raises as `get`."""
        config = await self._repository.read(queue_id)
        if config is None:
            self.forget(queue_id)
            raise no_such_queue(queue_id)
        return self.take(config)

    def take(self, config: QueueConfig) -> QueueView:
        """Take in the settings of a queue as the store has them; the figures of the last pass stay."""
        known = self._views.get(config.id)
        view = view_of(config)
        if known is not None:
            view = view_of(
                config,
                known.waiting,
                known.active,
                known.pace,
                known.waiting_by_priority,
                is_recovering=known.is_recovering,
                forgotten=known.forgotten,
            )
        self._views[config.id] = view
        return view

    async def learn(self, queue_id: str, admission: AdmissionPass | None) -> None:
        """Note what an admission pass saw. If the version of the settings differs, they are read again."""
        if admission is None:
            self.forget(queue_id)
            return
        view = self._views.get(queue_id)
        if view is None or view.config.version != admission.config_version:
            try:
                view = await self.reload(queue_id)
            except NotFound:
                return
        self._views[queue_id] = view_of(
            view.config,
            admission.waiting,
            admission.active,
            observe(admission.seconds, admission.now_ms, view.config.created_ms, admission.active),
            admission.waiting_by_priority,
            is_recovering=admission.is_held,
            forgotten=admission.forgotten,
        )

    def names(self) -> set[str]:
        """The ids of the queues that have a view."""
        return set(self._views)

    def views(self) -> list[QueueView]:
        """Every view, by id."""
        return [view for _, view in sorted(self._views.items())]

    def forget(self, queue_id: str) -> None:
        """Drop the view of a queue."""
        self._views.pop(queue_id, None)


def no_such_queue(queue_id: str) -> NotFound:
    """The refusal for a queue that does not exist."""
    return NotFound("There is no such queue", queue_id=queue_id)
