"""Counts of events for other systems, by kind of receiver: created, delivered, dropped."""


class EventTally:
    """Counts of the events for one kind of receiver."""

    __slots__ = ("delivered", "dropped", "failures", "noted", "waiting")

    def __init__(self) -> None:
        self.noted = 0
        """Events created for the receiver."""
        self.delivered = 0
        """Events that the receiver acknowledged."""
        self.dropped = 0
        """Events that were lost: no room, not even as dead letters, or no time when the server stopped."""
        self.failures = 0
        """Failed attempts to connect to NATS or to deliver to a webhook."""
        self.waiting = 0
        """Events that are not acknowledged or given up yet."""


class EventMetrics:
    """The tallies of one process. All webhooks share one, to keep the number of labels small."""

    def __init__(self) -> None:
        self.nats = EventTally()
        self.webhooks = EventTally()

    def all(self) -> list[tuple[tuple[str, ...], EventTally]]:
        """Return every tally, with its labels."""
        return [(("nats",), self.nats), (("webhooks",), self.webhooks)]
