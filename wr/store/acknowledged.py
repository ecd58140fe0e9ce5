"""What the store's methods need of a server's memory of what it has acknowledged (see `wr.recovery`)."""

from typing import Protocol

from wr.model.queue_settings import QueueConfig
from wr.store.admit import NOTHING_KNOWN, AdmissionPass, Known


class Acknowledging(Protocol):
    """A server's memory of what it has acknowledged."""

    def known(self, queue_id: str, /) -> Known:
        """Return what the server knows of a queue."""
        ...

    def learn(self, queue_id: str, done: AdmissionPass, /) -> None:
        """Note what a pass did."""
        ...

    def learn_settings(self, config: QueueConfig, /) -> None:
        """Note the settings of a queue as they were read."""
        ...

    def remembers(self, queue_id: str, /) -> bool:
        """Whether the server knows the queue, and of no deletion."""
        ...

    def not_found(self, queue_id: str, /) -> None:
        """Note that a pass found no settings of a queue."""
        ...

    def may_be_outdated(self, queue_id: str, /) -> bool:
        """Whether the server may know too little to notice that the store has forgotten."""
        ...

    def forget(self, queue_id: str, /) -> None:
        """Stop remembering a queue, because it was deleted."""
        ...


class NothingAcknowledged:
    """Remembers nothing: for callers of a store that are not servers."""

    def known(self, queue_id: str, /) -> Known:  # noqa: ARG002
        """Return that nothing is known."""
        return NOTHING_KNOWN

    def learn(self, queue_id: str, done: AdmissionPass, /) -> None:
        """Note nothing."""

    def learn_settings(self, config: QueueConfig, /) -> None:
        """Note nothing."""

    def remembers(self, queue_id: str, /) -> bool:  # noqa: ARG002
        """Return that no queue is known."""
        return False

    def not_found(self, queue_id: str, /) -> None:
        """Note nothing."""

    def may_be_outdated(self, queue_id: str, /) -> bool:  # noqa: ARG002
        """Return that there is nothing to know."""
        return False

    def forget(self, queue_id: str, /) -> None:
        """Do nothing."""
