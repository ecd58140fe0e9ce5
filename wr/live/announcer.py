"""The announcer: lets streams here and at other replicas know that something happened to their people."""

from collections.abc import Iterable, Mapping
from typing import Protocol

import structlog
import trio

from wr.live.registry import Registry
from wr.model.refusals import Unavailable

log = structlog.get_logger("wr.announcer")

_MOST_NOTED = 100_000
"""People noted for one announcement; with more than that, everybody is meant."""


class Announcing(Protocol):
    """What the announcer needs of the store."""

    async def announce(self, news: Mapping[str, Iterable[bytes] | None], /) -> None:
        """Announce whose news cannot wait."""
        ...


class Announcer:
    """Notes what happened without making anybody wait, and announces it in the background.

    Streams of this process hear at once; those of other replicas with the next announcement, and what is
    noted while one is on its way goes together with the next.
    """

    def __init__(self, registry: Registry, announcements: Announcing) -> None:
        self._registry = registry
        self._announcements = announcements
        self._noted: dict[str, set[bytes] | None] = {}
        self._news = trio.Event()

    def tell(self, queue_id: str, position_ids: Iterable[bytes] | None) -> None:
        """Note that something happened to these people (None: to everybody in the queue)."""
        people = None if position_ids is None else set(position_ids)
        if people is not None and not people:
            return
        self._registry.hurry(queue_id, people)
        noted = self._noted.setdefault(queue_id, set())
        if people is None or noted is None or len(noted) + len(people) > _MOST_NOTED:
            self._noted[queue_id] = None
        else:
            noted |= people
        self._news.set()

    async def announce_for_ever(self) -> None:
        """Announce what is noted, as it comes."""
        while True:
            await self._news.wait()
            self._news = trio.Event()
            noted, self._noted = self._noted, {}
            try:
                await self._announcements.announce(noted)
            except Unavailable:
                # Streams elsewhere learn it at their next look; no need to hold it, and nothing to hold back.
                log.warning("other replicas could not be told what happened", queues=len(noted))
