"""Scenario: all waiting visitors reload again and again."""

from locust import task

from bench.scenarios.visitor import Visitor


class PollStorm(Visitor):
    """Joins once and polls the status, without a pause between an answer and the next request."""

    def on_start(self) -> None:
        """Join the queue."""
        self.join()

    @task
    def reload(self) -> None:
        """Poll again; join as a new visitor if the place has ended."""
        answer = self.poll()
        if answer.is_admitted or answer.is_lost:
            self.join()
