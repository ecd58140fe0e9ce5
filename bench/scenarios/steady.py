"""The heartbeats and polls of a long line: the hour after the sale has opened."""

from locust import task

from bench.scenarios.visitor import Visitor


class Steady(Visitor):
    """Joins once and waits as a browser does: two polls and a heartbeat in each heartbeat interval."""

    @task
    def wait(self) -> None:
        """Keep a place in line until let in, and be somebody new then."""
        if not self.join().is_admitted:
            self.wait_in_line()
