"""Counts of each queue: what this process did with its visitors."""

from wr.metrics.instruments import Histogram

WAIT_BOUNDS_S = (1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0, 7200.0, 14400.0)
NO_QUEUE = ""
"""Tally for rate limits that belong to no queue."""
TURNED_AWAY = ("full", "maintenance", "address", "identity", "blocked", "pass", "memory")
"""Reasons for refused joins."""


class QueueTally:
    """The counts of one queue since the process started, or since the queue was created."""

    __slots__ = (
        "admissions",
        "callers_refused",
        "cancellations",
        "expiries",
        "flushed",
        "gaps",
        "heard_ms",
        "joins",
        "rate_limited",
        "sessions_ended",
        "sessions_shared",
        "terminations",
        "turned_away",
        "waits",
    )

    def __init__(self) -> None:
        self.joins = 0
        self.admissions = 0
        self.expiries = 0
        self.sessions_ended = 0
        self.sessions_shared = 0
        """Sessions used from more than five addresses."""
        self.callers_refused = 0
        """Networks or browsers that were refused a session. Each refusal by the store counts."""
        self.cancellations = 0
        self.terminations = 0
        self.flushed = 0
        self.gaps = 0
        """Times in which no heartbeat could arrive, because no admission pass ran."""
        self.heard_ms = -1
        """When the last gap ended, in ms since 1970. 0 if there was none, negative before the first pass."""
        self.turned_away: dict[str, int] = {}
        """Refused joins by reason, one of `TURNED_AWAY`."""
        self.rate_limited: dict[str, int] = {}
        """Requests refused by a rate limit, by scope."""
        self.waits = Histogram(WAIT_BOUNDS_S)
        """Seconds from join to admission."""

    def turn_away(self, reason: str) -> None:
        """Count a refused join."""
        self.turned_away[reason] = self.turned_away.get(reason, 0) + 1

    def limit(self, scope: str) -> None:
        """Count a request refused by a rate limit."""
        self.rate_limited[scope] = self.rate_limited.get(scope, 0) + 1


class QueueMetrics:
    """The tallies of all queues.

    Callers may only count for queues that exist in the store. Otherwise clients could fill the memory with
    names. The next admission pass drops the tallies of deleted queues.
    """

    def __init__(self) -> None:
        self._tallies: dict[str, QueueTally] = {}

    def of(self, queue_id: str) -> QueueTally:
        """Return the tally of a queue, and create it if needed. Takes 0.1 µs."""
        tally = self._tallies.get(queue_id)
        if tally is None:
            self._tallies[queue_id] = tally = QueueTally()
        return tally

    def names(self) -> set[str]:
        """Return the ids of all queues with a tally."""
        return {queue_id for queue_id in self._tallies if queue_id != NO_QUEUE}

    def forget(self, queue_id: str) -> None:
        """Drop the tally of a deleted queue."""
        self._tallies.pop(queue_id, None)
