"""The health of the server, put together from its parts, for the health check of the API."""

from collections.abc import Callable
from typing import Protocol

from wr.api.services import Health
from wr.room.queue_cache import QueueCache
from wr.store.health import StoreHealth


class NatsStatus(Protocol):
    """What the health check needs to know of NATS."""

    @property
    def nats_health(self) -> str:
        """`healthy`, `unhealthy` or `disabled`."""
        ...


class ServerHealth:
    """Asks each part how it is doing."""

    def __init__(
        self, store: StoreHealth, nats: NatsStatus, queue_cache: QueueCache, uptime_s: Callable[[], float]
    ) -> None:
        self._store = store
        self._nats = nats
        self._queue_cache = queue_cache
        self._uptime_s = uptime_s

    async def check(self) -> Health:
        """Ask the store, for a second at most, and note the rest."""
        condition = await self._store.condition()
        recovering = sum(view.is_recovering for view in self._queue_cache.views())
        return Health(condition, self._nats.nats_health, recovering, self._uptime_s())
