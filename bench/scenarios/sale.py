"""Scenario: a whole sale: join, wait, get in, browse, finish."""

import random

import gevent
from locust import task

from bench.scenarios.contract import ACTIVITY, SESSION
from bench.scenarios.visitor import Visitor

_MOST_PAGES = 4
_READING_S = (0.1, 0.5)


class Sale(Visitor):
    """Runs complete visits, one after another."""

    @task
    def visit(self) -> None:
        """Join, wait, view some pages after admission, and finish, so that the next visitor gets in."""
        if (self.join().is_admitted and self.session_token) or self.wait_in_line():
            self._browse()
            self.leave()

    def _browse(self) -> None:
        page = {"action": "page_view", "page": "/checkout"}
        for _ in range(random.randint(1, _MOST_PAGES)):  # noqa: S311 - nothing secret
            if self.ask(ACTIVITY, f"{self.session_path}/activity", self.session_token, json=page).is_lost:
                return
            gevent.sleep(random.uniform(*_READING_S))  # noqa: S311
        self.ask(SESSION, self.session_path, self.session_token)
