"""Everyone at once: the minute in which the sale opens."""

from locust import task

from bench.scenarios.visitor import Visitor


class Surge(Visitor):
    """Joins, looks once where that is, and is at once the next to come: the crowd at the door never ends."""

    @task
    def come(self) -> None:
        """Join as somebody new, and look once."""
        self.join()
        self.poll()
