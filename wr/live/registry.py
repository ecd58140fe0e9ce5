"""The registry of all live streams of this process, to find them by queue and by visitor."""

from collections.abc import Iterable
from enum import Enum

import trio

from wr.live.stream import Stream, StreamKind
from wr.model.address_shares import AddressShares
from wr.model.client_address import limited_address
from wr.model.refusals import TooManyStreams, Unavailable

MOST_OF_ADDRESS = 2
"""Streams of one visitor from one address if no token is needed: one, and a new one that replaces it."""


class Others(Enum):
    """What happens to the open streams of a visitor when a new one is opened."""

    KEPT = "kept"
    """They stay open."""
    REPLACED = "replaced"
    """They are closed."""
    BOUNDED = "bounded"
    """They stay open. If the same address has too many, its oldest are closed."""


class Registry:
    """Finds streams by queue and visitor, and collects visitors whose streams need a refresh at once."""

    def __init__(self, shares: AddressShares) -> None:
        """Create an empty registry. `shares` counts and limits the streams of each client address."""
        self._shares = shares
        self._queues: dict[str, dict[bytes, list[Stream]]] = {}
        self._hurried: dict[str, set[bytes] | None] = {}
        self._departed: dict[str, set[bytes]] = {}
        self._news = trio.Event()
        self._is_closed = False
        self.count = 0
        """Number of open streams."""
        self.kinds: dict[StreamKind, int] = dict.fromkeys(StreamKind, 0)
        """Number of open streams of each kind."""

    def add(self, stream: Stream, others: Others = Others.KEPT) -> None:
        """Register a stream until `remove`. `others` decides about the visitor's other streams.

        Raises:
            Unavailable: the server is stopping.
            TooManyStreams: the client's address has reached its limit. Then no other stream is closed.
        """
        if self._is_closed:
            raise Unavailable("The waiting room is shutting down")
        if self._shares.excess_with_another(stream.address):
            raise TooManyStreams(f"One address may hold {self._shares.most} live streams at once")
        earlier = self._queues.get(stream.queue_id, {}).get(stream.position_id, [])
        if others is Others.BOUNDED:
            # Without a token, anyone can open a stream for any visitor. So only streams of the same address
            # are closed.
            limited = limited_address(stream.address)
            same_address = [other for other in earlier if limited_address(other.address) == limited]
            replaced = same_address[: len(same_address) + 1 - MOST_OF_ADDRESS]
        else:
            replaced = earlier if others is Others.REPLACED else []
        for other in replaced:
            other.close(is_replaced=True)
        people = self._queues.setdefault(stream.queue_id, {})
        people.setdefault(stream.position_id, []).append(stream)
        self._shares.take(stream.address)
        self.count += 1
        self.kinds[stream.kind] += 1

    def remove(self, stream: Stream) -> None:
        """Unregister a stream that was added."""
        people = self._queues[stream.queue_id]
        streams = people[stream.position_id]
        self.count -= 1
        self.kinds[stream.kind] -= 1
        streams.remove(stream)
        self._shares.give_back(stream.address)
        if stream.is_alive and not self._is_closed:
            # The visitor was there until now: the heartbeat timeout starts now, not at the last refresh.
            self._departed.setdefault(stream.queue_id, set()).add(stream.position_id)
            self._news.set()
        if not streams:
            del people[stream.position_id]
            if not people:
                del self._queues[stream.queue_id]

    def queues(self) -> list[str]:
        """Return the ids of all queues with streams in this process."""
        return list(self._queues)

    def due(self, queue_id: str, now: float) -> list[Stream]:
        """Return the streams of a queue whose refresh is due at the Trio time `now`."""
        people = self._queues.get(queue_id, {})
        return [stream for streams in people.values() for stream in streams if stream.due <= now]

    def streams_of(self, queue_id: str, position_ids: Iterable[bytes] | None) -> list[Stream]:
        """Return the streams of these visitors. None means all visitors of the queue."""
        people = self._queues.get(queue_id, {})
        chosen = people if position_ids is None else position_ids
        return [stream for position_id in chosen for stream in people.get(position_id, ())]

    def hurry(self, queue_id: str, position_ids: Iterable[bytes] | None) -> None:
        """Request a refresh at once for these visitors. None means all visitors of the queue."""
        people = self._queues.get(queue_id)
        if people is None:
            return
        if position_ids is None:
            self._hurried[queue_id] = None
        else:
            here = {position_id for position_id in position_ids if position_id in people}
            if not here:
                return
            waiting = self._hurried.setdefault(queue_id, set())
            if waiting is not None:
                waiting |= here
        self._news.set()

    async def hurried(self) -> dict[str, set[bytes] | None]:
        """Wait for requested refreshes or ended streams. Returns the visitors to refresh, by queue.

        The result may be empty, and None means all visitors of a queue. The list is cleared.
        """
        await self._news.wait()
        self._news = trio.Event()
        hurried, self._hurried = self._hurried, {}
        return hurried

    def departed(self) -> dict[str, set[bytes]]:
        """Return the visitors whose streams have ended since the last call, by queue."""
        departed, self._departed = self._departed, {}
        return departed

    def close(self) -> None:
        """Close every stream because the server stops. Visitors keep their places."""
        self._is_closed = True
        for people in self._queues.values():
            for streams in people.values():
                for stream in streams:
                    stream.close(is_replaced=False)
