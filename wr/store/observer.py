"""What is told what the store did, as soon as its reply is read."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from wr.store.admit import AdmissionPass
from wr.store.enqueue import Join, Joined
from wr.store.leave import Departed, Departure


class StoreObserver(Protocol):
    """Takes notes where replies are read. The caller may have gone by then, and the store has done it all the
    same. No method waits.
    """

    @property
    def wanted(self) -> bool:
        """Whether notes are wanted. If not, no other method is called."""
        ...

    def joining(
        self, queue_id: str, /
    ) -> AbstractContextManager[Callable[[Sequence[Join], Sequence[Joined]], None]]:
        """Open a block around a batch of joins, and give what takes the joins and their replies.

        Other notes of the queue come after those of the batch. One block at a time for each queue.
        """
        ...

    def departed(
        self, queue_id: str, departures: Sequence[Departure], replies: Sequence[Departed], /
    ) -> None:
        """Note what departures ended."""
        ...

    def passed(self, queue_id: str, done: AdmissionPass, /) -> None:
        """Note what an admission pass did."""
        ...

    def flushed(self, queue_id: str, at_ms: int, people: list[bytes], /) -> None:
        """Note which visitors were sent away, and when."""
        ...
