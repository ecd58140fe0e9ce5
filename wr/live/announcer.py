"""Announces changes of visitors' places, so that their live streams on all servers are updated at once."""

from collections.abc import Iterable, Mapping
from typing import Protocol

import structlog
import trio

from wr.live.registry import Registry
from wr.model.refusals import Unavailable

log = structlog.get_logger("wr.announcer")

_MOST_NOTED = 100_000
"""Visitors of one queue in one announcement. With more, the announcement means all visitors of the queue."""


class Announcing(Protocol):
    """The part of the store that the announcer needs."""

    async def announce(self, news: Mapping[str, Iterable[bytes] | None], /) -> None:
        """Announce, for each queue, the position ids whose place has changed. None means all of the queue."""
        ...


class Announcer:
    """Collects changes without waiting, and announces them in the background.

    Streams of this process are updated at once, streams of other servers with the next announcement. Changes
    that arrive during an announcement go into the next one.
    """

    def __init__(self, registry: Registry, announcements: Announcing) -> None:
        self._registry = registry
        self._announcements = announcements
        self._noted: dict[str, set[bytes] | None] = {}
        self._news = trio.Event()

    def tell(self, queue_id: str, position_ids: Iterable[bytes] | None) -> None:
        """Note that the places of these visitors have changed. None means all visitors of the queue."""
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
        """Announce the noted changes, for ever."""
        while True:
            await self._news.wait()
            self._news = trio.Event()
            noted, self._noted = self._noted, {}
            try:
                await self._announcements.announce(noted)
            except Unavailable:
                # Dropped: streams on other servers see the changes when they are refreshed next.
                log.warning("changes could not be announced to other servers", queues=len(noted))
