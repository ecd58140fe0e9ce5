"""The registry: every stream that is open in this process, by queue and by person."""

from collections.abc import Iterable
from enum import Enum

import trio

from wr.live.stream import Stream, StreamKind
from wr.model.address_shares import AddressShares
from wr.model.client_address import limited_address
from wr.model.refusals import TooManyStreams, Unavailable

MOST_OF_ADDRESS = 2
"""Streams of one person that one address may hold where no proof is asked for: one, and the next one's first
moment."""


class Others(Enum):
    """What becomes of the streams that a person has, when another is opened."""

    KEPT = "kept"
    """They go on."""
    REPLACED = "replaced"
    """They end."""
    BOUNDED = "bounded"
    """They go on, but for the oldest of the same address when it has too many."""


class Registry:
    """Finds streams by whom they are about, and notes whose news cannot wait for the next round."""

    def __init__(self, shares: AddressShares) -> None:
        """Make an empty registry; `shares` bounds and counts the streams of each client address."""
        self._shares = shares
        self._queues: dict[str, dict[bytes, list[Stream]]] = {}
        self._hurried: dict[str, set[bytes] | None] = {}
        self._departed: dict[str, set[bytes]] = {}
        self._news = trio.Event()
        self._is_closed = False
        self.count = 0
        """Streams that are open."""
        self.kinds: dict[StreamKind, int] = dict.fromkeys(StreamKind, 0)
        """How many of them are of each kind."""

    def add(self, stream: Stream, others: Others = Others.KEPT) -> None:
        """Register `stream` until it is removed; `others` says what becomes of other streams of that person.

        Raises:
            Unavailable: the server is stopping.
            TooManyStreams: the client's address has as many as it may. No other stream is ended then.
        """
        if self._is_closed:
            raise Unavailable("The waiting room is shutting down")
        if self._shares.excess_with_another(stream.address):
            raise TooManyStreams(f"One address may hold {self._shares.most} live streams at once")
        earlier = self._queues.get(stream.queue_id, {}).get(stream.position_id, [])
        if others is Others.BOUNDED:
            # What a stranger opens under somebody else's name ends at most what the same address has opened.
            limited = limited_address(stream.address)
            of_address = [each for each in earlier if limited_address(each.address) == limited]
            replaced = of_address[: len(of_address) + 1 - MOST_OF_ADDRESS]
        else:
            replaced = earlier if others is Others.REPLACED else []
        for each in replaced:
            each.close(is_replaced=True)
        people = self._queues.setdefault(stream.queue_id, {})
        people.setdefault(stream.position_id, []).append(stream)
        self._shares.take(stream.address)
        self.count += 1
        self.kinds[stream.kind] += 1

    def remove(self, stream: Stream) -> None:
        """Forget a stream that was added."""
        people = self._queues[stream.queue_id]
        streams = people[stream.position_id]
        self.count -= 1
        self.kinds[stream.kind] -= 1
        streams.remove(stream)
        self._shares.give_back(stream.address)
        if stream.is_alive and not self._is_closed:
            # Present until now: their time of silence begins here, not at the last look.
            self._departed.setdefault(stream.queue_id, set()).add(stream.position_id)
            self._news.set()
        if not streams:
            del people[stream.position_id]
            if not people:
                del self._queues[stream.queue_id]

    def queues(self) -> list[str]:
        """List the queues that somebody here waits in."""
        return list(self._queues)

    def due(self, queue_id: str, now: float) -> list[Stream]:
        """List the streams of a queue that are to be looked at by Trio time `now`."""
        people = self._queues.get(queue_id, {})
        return [stream for streams in people.values() for stream in streams if stream.due <= now]

    def streams_of(self, queue_id: str, position_ids: Iterable[bytes] | None) -> list[Stream]:
        """List the streams of these people, or of everybody in the queue."""
        people = self._queues.get(queue_id, {})
        chosen = people if position_ids is None else position_ids
        return [stream for position_id in chosen for stream in people.get(position_id, ())]

    def hurry(self, queue_id: str, position_ids: Iterable[bytes] | None) -> None:
        """Something has just happened to these people (None: to everybody in the queue): look at once."""
        people = self._queues.get(queue_id)
        if people is None:
            return
        if position_ids is None:
            self._hurried[queue_id] = None
        else:
            here = {position_id for position_id in position_ids if position_id in people}
            if not here:
                return
            noted = self._hurried.setdefault(queue_id, set())
            if noted is not None:
                noted |= here
        self._news.set()

    async def hurried(self) -> dict[str, set[bytes] | None]:
        """Wait until some news cannot wait, or a stream has ended; take the list of whose news it is."""
        await self._news.wait()
        self._news = trio.Event()
        hurried, self._hurried = self._hurried, {}
        return hurried

    def departed(self) -> dict[str, set[bytes]]:
        """Take the list of those whose stream has ended since the last call, by queue."""
        departed, self._departed = self._departed, {}
        return departed

    def close(self) -> None:
        """End every stream, because the server stops; nobody loses a place."""
        self._is_closed = True
        for people in self._queues.values():
            for streams in people.values():
                for stream in streams:
                    stream.close(is_replaced=False)
