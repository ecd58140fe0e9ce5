"""Logs the mistakes of clients at a limited rate, so that no client can fill the disk with log lines."""

from typing import Protocol

import trio

_INTERVAL_S = 1.0


class WarningLog(Protocol):
    """A log that takes warnings."""

    def warning(self, event: str, /, **facts: object) -> object:
        """Log a warning."""
        ...


class ClientErrorLog:
    """Logs warnings: the same message at most once a second."""

    def __init__(self, log: WarningLog) -> None:
        self._log = log
        self._next_at: dict[str, float] = {}

    def warn(self, what: str, **facts: object) -> None:
        """Log the message `what`, unless it was logged less than a second ago."""
        now = trio.current_time()
        if now >= self._next_at.get(what, now):
            self._next_at[what] = now + _INTERVAL_S
            self._log.warning(what, **facts)
