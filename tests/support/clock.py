"""A clock for tests that runs like the real one and can be moved forward by hand."""

import time

NO_GAP_MS = 10**13
"""Longer than any step of a test's clock: with it, a step does not count as an outage."""


class HandClock:
    """Milliseconds since 1970, ahead of the real time by the steps so far."""

    def __init__(self) -> None:
        self._ahead_ms = 0

    def __call__(self) -> int:
        return time.time_ns() // 1_000_000 + self._ahead_ms

    def advance(self, seconds: float) -> None:
        self._ahead_ms += int(seconds * 1000)
