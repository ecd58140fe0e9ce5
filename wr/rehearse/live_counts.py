"""Live counts of a rehearsal for the progress display. The checks do not use them."""

from dataclasses import dataclass


@dataclass
class LiveCounts:
    """How many visitors have reached each state so far."""

    joined: int = 0
    admitted: int = 0
    left: int = 0
    """Gave up their place."""
    expired: int = 0
    """Lost their place without giving it up."""
    finished: int = 0
    """Used a session and then ended it."""
    over: int = 0
    """Visitors whose visit has ended, in any way."""
    errors: int = 0

    @property
    def waiting(self) -> int:
        """Number of waiting visitors."""
        return self.joined - self.admitted - self.left - self.expired

    @property
    def moves(self) -> int:
        """A number that grows whenever the state of a visitor changes."""
        return self.joined + self.admitted + self.left + self.expired + self.over
