"""A clock that runs like the real one and can be moved forward by hand."""

import time


class HandClock:
    """Milliseconds since 1970, as far ahead of the real ones as it was told to be."""

    def __init__(self) -> None:
        self._ahead_ms = 0

    def __call__(self) -> int:
        return time.time_ns() // 1_000_000 + self._ahead_ms

    def advance(self, seconds: float) -> None:
        self._ahead_ms += int(seconds * 1000)
