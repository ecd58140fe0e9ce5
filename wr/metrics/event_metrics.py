"""Events for other systems: what became of them, by sort of receiver."""


class EventTally:
    """What became of the events for one sort of receiver."""

    __slots__ = ("delivered", "dropped", "failures", "noted", "waiting")

    def __init__(self) -> None:
        self.noted = 0
        """Events that were to be told."""
        self.delivered = 0
        """Events that were acknowledged."""
        self.dropped = 0
        """Events that were given up untold: no room, not even as dead letters, or no time at the end."""
        self.failures = 0
        """Attempts that failed: connections to NATS, or deliveries to a webhook."""
        self.waiting = 0
        """Events that are neither acknowledged nor given up yet."""


class EventMetrics:
    """The tallies of one process. All webhooks share one: labels are to be few."""

    def __init__(self) -> None:
        self.nats = EventTally()
        self.webhooks = EventTally()

    def all(self) -> list[tuple[tuple[str, ...], EventTally]]:
        """Every tally by receiver."""
        return [(("nats",), self.nats), (("webhooks",), self.webhooks)]
