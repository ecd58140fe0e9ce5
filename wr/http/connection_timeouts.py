"""The watch over connections: ends those that keep the server waiting, in one task for all of them.

A timer for each wait of each connection would cost several microseconds of each request; here a connection
only notes when its patience ends, by a clock that is a fraction of a second late at most.
"""

import math
from collections.abc import Callable
from typing import Protocol

import structlog
import trio

from wr.supervision.connections import Supervised

log = structlog.get_logger("wr.connections")


class Watched(Protocol):
    """A connection that notes how long it may wait."""

    deadline: float
    """Trio time at which the wait under way has lasted too long; infinity while it is not the client's."""

    def run_out(self) -> None:
        """The deadline has passed."""
        ...

    def close(self) -> None:
        """Close the connection at once; raises nothing."""
        ...


class ConnectionTimeouts:
    """Looks at every connection about once a second."""

    def __init__(self, interval_s: float, each_time: Callable[[float], None]) -> None:
        self._interval_s = interval_s
        self._each_time = each_time
        self._watched: set[Watched] = set()
        self.now = -math.inf
        """Trio time, at most an interval old: reading it costs nothing."""

    def __len__(self) -> int:
        return len(self._watched)

    def add(self, connection: Watched) -> None:
        """Watch a connection."""
        self._watched.add(connection)

    def remove(self, connection: Watched) -> None:
        """Watch it no more."""
        self._watched.discard(connection)

    def all(self) -> list[Watched]:
        """List the connections."""
        return list(self._watched)

    async def keep(self) -> None:
        """Watch for ever. A round over 15,000 connections takes about a millisecond."""
        while True:
            self.look()
            await trio.sleep(self._interval_s)

    def look(self) -> None:
        """Look once, at the clock and at every connection."""
        self.now = trio.current_time()
        try:
            self._each_time(self.now)
        except Exception:
            # The deadlines of all connections are more important than what else is done at each look.
            log.exception("what is done at each look at the connections failed")
        for connection in [each for each in self._watched if each.deadline <= self.now]:
            with Supervised("the deadline of a connection", connection.close):
                connection.run_out()
