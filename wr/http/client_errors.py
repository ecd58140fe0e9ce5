"""Complaints: what clients do wrong is logged, but cannot fill the disk."""

from typing import Protocol

import trio

_EVERY_S = 1.0


class WarningLog(Protocol):
    """A log that takes warnings."""

    def warning(self, event: str, /, **facts: object) -> object:
        """Log a warning."""
        ...


class ClientErrorLog:
    """Logs warnings, each kind once a second at most."""

    def __init__(self, log: WarningLog) -> None:
        self._log = log
        self._due: dict[str, float] = {}

    def warn(self, what: str, **facts: object) -> None:
        """Log a warning, unless one of its kind was logged less than a second ago."""
        now = trio.current_time()
        if now >= self._due.get(what, now):
            self._due[what] = now + _EVERY_S
            self._log.warning(what, **facts)
