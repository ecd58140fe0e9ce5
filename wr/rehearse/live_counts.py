"""Live counts of a rehearsal, for the eye; the judgement takes nothing from here."""

from dataclasses import dataclass


@dataclass
class LiveCounts:
    """What has happened so far."""

    joined: int = 0
    admitted: int = 0
    left: int = 0
    """Gave their place up."""
    expired: int = 0
    """Not in line any more, and not by their own wish."""
    finished: int = 0
    """Used a session to its end."""
    over: int = 0
    """Visitors whose visit has ended, whatever way."""
    errors: int = 0

    @property
    def waiting(self) -> int:
        """How many are in line."""
        return self.joined - self.admitted - self.left - self.expired

    @property
    def moves(self) -> int:
        """Grows whenever somebody's standing changes."""
        return self.joined + self.admitted + self.left + self.expired + self.over
