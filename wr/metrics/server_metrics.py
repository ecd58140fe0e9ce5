"""Counts of the server itself: HTTP requests, calls of the store, and the admission loop."""

from bisect import bisect_left
from collections.abc import Callable
from operator import add
from types import TracebackType

from wr.metrics.instruments import Histogram, Spread

HTTP_BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
STORE_BOUNDS_S = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
BATCH_BOUNDS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0)
DELAY_BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
COMMAND = "command"
"""Name under which calls of the store without a script are counted."""
NO_ROUTE = "none"
"""Route label of requests that match no route."""
OTHER_METHOD = "other"
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "WEBSOCKET"))

Clock = Callable[[], float]
"""A clock in seconds with any starting point, for differences only."""


class _Answered:
    """Requests with the same route, method and status."""

    __slots__ = ("buckets", "total_s")

    def __init__(self) -> None:
        self.buckets = [0] * (len(HTTP_BOUNDS_S) + 1)
        self.total_s = 0.0


class HttpMetrics:
    """Requests by route, method and status. Labels are limited to known routes and methods."""

    def __init__(self, now_s: Clock) -> None:
        self.now_s = now_s
        self._answered: dict[tuple[str, str, int], _Answered] = {}
        self._in_tasks: dict[tuple[str, str], int] = {}

    def note(self, route: str, method: str, status: int, began_s: float) -> float:
        """Count an answered request. Returns its duration in seconds.

        It repeats the code of `Histogram`, because a function call would add a tenth to the cost.
        """
        took_s = self.now_s() - began_s
        answered = self._answered.get((route, method, status))
        if answered is None:
            self._answered[route, method, status] = answered = _Answered()
        answered.buckets[bisect_left(HTTP_BOUNDS_S, took_s)] += 1
        answered.total_s += took_s
        return took_s

    def note_task(self, route: str, method: str) -> None:
        """Count a request that needs a task of its own."""
        self._in_tasks[route, method] = self._in_tasks.get((route, method), 0) + 1

    def in_tasks(self) -> list[tuple[tuple[str, ...], int]]:
        """Return the number of requests that needed a task, by route and method."""
        return list(self._in_tasks.items())

    def counts(self) -> list[tuple[tuple[str, ...], int]]:
        """Return the number of requests by route, method and status."""
        return [
            ((route, method, str(status)), sum(answered.buckets))
            for (route, method, status), answered in self._answered.items()
        ]

    def seconds(self) -> list[tuple[tuple[str, ...], Spread]]:
        """Return the durations by route and method, for all statuses together."""
        merged: dict[tuple[str, ...], Spread] = {}
        for (route, method, _status), answered in self._answered.items():
            other = merged.get((route, method))
            counts, total = tuple(answered.buckets), answered.total_s
            if other is not None:
                counts = tuple(map(add, counts, other.counts))
                total += other.total
            merged[route, method] = Spread(HTTP_BOUNDS_S, counts, total)
        return list(merged.items())


def known_method(method: str) -> str:
    """Return the method if it is a common one, else `other`, because clients can invent methods."""
    return method if method in _METHODS else OTHER_METHOD


class ScriptTally:
    """Counts of one script's calls."""

    __slots__ = ("errors", "items", "round_trips", "seconds")

    def __init__(self) -> None:
        self.round_trips = 0
        self.errors = 0
        self.seconds = Histogram(STORE_BOUNDS_S)
        self.items = Histogram(BATCH_BOUNDS)
        """Items in each call, for scripts that handle batches."""


class StoreMetrics:
    """Counts of the store's calls, by script."""

    def __init__(self, now_s: Clock) -> None:
        self._now_s = now_s
        self._tallies: dict[str, ScriptTally] = {}

    def of(self, script: str) -> ScriptTally:
        """Return the tally of a script, and create it if needed."""
        tally = self._tallies.get(script)
        if tally is None:
            self._tallies[script] = tally = ScriptTally()
        return tally

    def round_trip(self, script: str) -> "RoundTrip":
        """Return a block that measures one call. Costs about 1 µs for a whole batch."""
        return RoundTrip(self.of(script), self._now_s)

    def all(self) -> list[tuple[tuple[str, ...], ScriptTally]]:
        """Return every tally, with its labels."""
        return [((script,), tally) for script, tally in self._tallies.items()]


class RoundTrip:
    """A block around one call of the store. It is counted at the end. A cancelled call is not an error."""

    __slots__ = ("_began_s", "_now_s", "_tally")

    def __init__(self, tally: ScriptTally, now_s: Clock) -> None:
        self._tally = tally
        self._now_s = now_s
        self._began_s = 0.0

    def __enter__(self) -> None:
        self._began_s = self._now_s()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._tally.round_trips += 1
        self._tally.seconds.observe(self._now_s() - self._began_s)
        if kind is not None and issubclass(kind, Exception):
            self._tally.errors += 1


class AdmissionMetrics:
    """Delays, durations and failures of the admission loop."""

    def __init__(self) -> None:
        self.lag = Histogram(DELAY_BOUNDS_S)
        """Delays with which rounds began, in seconds."""
        self.round = Histogram(DELAY_BOUNDS_S)
        """Durations of rounds, in seconds."""
        self.failures = 0
