"""A clock that runs like the real one and can be moved forward by hand."""

import time

NO_GAP_MS = 10**13
"""Longer than any leap of a test's clock: with it, leaps are no gaps in which nobody could be heard."""


class HandClock:
    """Milliseconds since 1970, as far ahead of the real ones as it was told to be."""

    def __init__(self) -> None:
        self._ahead_ms = 0

    def __call__(self) -> int:
        return time.time_ns() // 1_000_000 + self._ahead_ms

    def advance(self, seconds: float) -> None:
        self._ahead_ms += int(seconds * 1000)
