"""Scenario: all visitors join at once, as in the minute in which a sale opens."""

from locust import task

from bench.scenarios.visitor import Visitor


class Surge(Visitor):
    """Joins, checks the status once, and starts again at once as a new visitor."""

    @task
    def come(self) -> None:
        """Join as a new visitor, and check the status once."""
        self.join()
        self.poll()
