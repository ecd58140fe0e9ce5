"""A storm of polls: everybody in line presses reload, again and again."""

from locust import task

from bench.scenarios.visitor import Visitor


class PollStorm(Visitor):
    """Joins once and asks where that is, with no pause between an answer and the next question."""

    def on_start(self) -> None:
        """Come to stand in line."""
        self.join()

    @task
    def reload(self) -> None:
        """Ask again; be somebody new when there is nothing left to ask for."""
        answer = self.poll()
        if answer.is_admitted or answer.is_lost:
            self.join()
