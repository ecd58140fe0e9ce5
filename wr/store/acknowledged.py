"""The server's memory of what it has acknowledged, as the store's methods use it."""

from typing import Protocol

from wr.model.queue import QueueConfig
from wr.store.admit import NOTHING_KNOWN, AdmissionPass, Known


class Acknowledging(Protocol):
    """What the store needs of the server's memory of what it has acknowledged."""

    def known(self, queue_id: str, /) -> Known:
        """Tell what the server knows of a queue."""
        ...

    def learn(self, queue_id: str, done: AdmissionPass, /) -> None:
        """Take in what a pass did."""
        ...

    def learn_settings(self, config: QueueConfig, /) -> None:
        """Take in the settings of a queue as they were read."""
        ...

    def remembers(self, queue_id: str, /) -> bool:
        """Whether the server knows of the queue, and of no deletion."""
        ...

    def not_found(self, queue_id: str, /) -> None:
        """Take in that a pass found no settings of a queue."""
        ...

    def may_be_outdated(self, queue_id: str, /) -> bool:
        """Whether the server may know too little to see that the store has forgotten."""
        ...

    def forget(self, queue_id: str, /) -> None:
        """Drop a queue: it was deleted."""
        ...


class NothingAcknowledged:
    """Remembers nothing: for stores that no server serves from."""

    def known(self, queue_id: str, /) -> Known:  # noqa: ARG002
        """Tell that nothing is known."""
        return NOTHING_KNOWN

    def learn(self, queue_id: str, done: AdmissionPass, /) -> None:
        """Take in nothing."""

    def learn_settings(self, config: QueueConfig, /) -> None:
        """Take in nothing."""

    def remembers(self, queue_id: str, /) -> bool:  # noqa: ARG002
        """Tell that no queue is known."""
        return False

    def not_found(self, queue_id: str, /) -> None:
        """Take in nothing."""

    def may_be_outdated(self, queue_id: str, /) -> bool:  # noqa: ARG002
        """Tell that there is nothing to be known."""
        return False

    def forget(self, queue_id: str, /) -> None:
        """Drop nothing."""
