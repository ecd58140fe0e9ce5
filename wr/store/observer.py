"""Who is told what the store did, as soon as its reply is read."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from wr.store.admit import AdmissionPass
from wr.store.enqueue import Join, Joined
from wr.store.leave import Departed, Departure


class StoreObserver(Protocol):
    """Takes notes where replies are read, and not where they are waited for: who asked may have gone by then,
    and the store has done it all the same. Never waits.
    """

    @property
    def wanted(self) -> bool:
        """Whether anybody is to be told; unless, nothing else is called."""
        ...

    def joining(
        self, queue_id: str, /
    ) -> AbstractContextManager[Callable[[Sequence[Join], Sequence[Joined]], None]]:
        """Open a block around a batch of joins: it takes them and the replies, and what else is noted of the
        queue meanwhile comes after them. One at a time for each queue."""
        ...

    def departed(
        self, queue_id: str, departures: Sequence[Departure], replies: Sequence[Departed], /
    ) -> None:
        """Take in what departures ended."""
        ...

    def passed(self, queue_id: str, done: AdmissionPass, /) -> None:
        """Take in what an admission pass did."""
        ...

    def flushed(self, queue_id: str, at_ms: int, people: list[bytes], /) -> None:
        """Take in who was sent away, and when."""
        ...
