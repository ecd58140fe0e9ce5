"""Scenario: heartbeats and polls of many waiting visitors, as in the hour after a sale has opened."""

from locust import task

from bench.scenarios.visitor import Visitor


class Steady(Visitor):
    """Joins once and waits as a browser does: two polls and a heartbeat in each heartbeat interval."""

    @task
    def wait(self) -> None:
        """Keep a place until admitted, then start again as a new visitor."""
        if not self.join().is_admitted:
            self.wait_in_line()
