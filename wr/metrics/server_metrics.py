"""What the server itself does: requests, calls of the store, the admission loop, the event loop."""

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
"""What a call of the store counts as that is no script."""
NO_ROUTE = "none"
"""The route of a request that found none."""
OTHER_METHOD = "other"
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "WEBSOCKET"))

Clock = Callable[[], float]
"""Seconds since whenever, for differences only."""


class _Answered:
    """Requests that one route answered with one status."""

    __slots__ = ("buckets", "total_s")

    def __init__(self) -> None:
        self.buckets = [0] * (len(HTTP_BOUNDS_S) + 1)
        self.total_s = 0.0


class HttpMetrics:
    """Requests by route, method and status. The labels are few: a path of the route table, a known method."""

    def __init__(self, now_s: Clock) -> None:
        self.now_s = now_s
        self._answered: dict[tuple[str, str, int], _Answered] = {}

    def note(self, route: str, method: str, status: int, began_s: float) -> float:
        """Count a request that is answered, and return how long it took in seconds.

        What a histogram does is spelled out here, where each call of a function is a tenth of the cost.
        """
        took_s = self.now_s() - began_s
        answered = self._answered.get((route, method, status))
        if answered is None:
            self._answered[route, method, status] = answered = _Answered()
        answered.buckets[bisect_left(HTTP_BOUNDS_S, took_s)] += 1
        answered.total_s += took_s
        return took_s

    def counts(self) -> list[tuple[tuple[str, ...], int]]:
        """Requests by route, method and status."""
        return [
            ((route, method, str(status)), sum(answered.buckets))
            for (route, method, status), answered in self._answered.items()
        ]

    def seconds(self) -> list[tuple[tuple[str, ...], Spread]]:
        """How long they took, by route and method, whatever the status."""
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
    """The method, if it is one that requests usually have: clients may make up any number of others."""
    return method if method in _METHODS else OTHER_METHOD


class ScriptTally:
    """Calls of one script."""

    __slots__ = ("errors", "items", "round_trips", "seconds")

    def __init__(self) -> None:
        self.round_trips = 0
        self.errors = 0
        self.seconds = Histogram(STORE_BOUNDS_S)
        self.items = Histogram(BATCH_BOUNDS)
        """How many items each call did, of scripts that do many."""


class StoreMetrics:
    """Calls of the store by script."""

    def __init__(self, now_s: Clock) -> None:
        self._now_s = now_s
        self._tallies: dict[str, ScriptTally] = {}

    def of(self, script: str) -> ScriptTally:
        """The tally of a script, to count in."""
        tally = self._tallies.get(script)
        if tally is None:
            self._tallies[script] = tally = ScriptTally()
        return tally

    def round_trip(self, script: str) -> "RoundTrip":
        """Time one call: a block to make it in. About 1 µs, which a batch shares."""
        return RoundTrip(self.of(script), self._now_s)

    def all(self) -> list[tuple[tuple[str, ...], ScriptTally]]:
        """Every tally by script."""
        return [((script,), tally) for script, tally in self._tallies.items()]


class RoundTrip:
    """One call of the store, counted when the block ends; one that is cancelled is no error."""

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
    """The admission loop's own punctuality."""

    def __init__(self) -> None:
        self.lag = Histogram(DELAY_BOUNDS_S)
        """Seconds by which rounds began too late."""
        self.round = Histogram(DELAY_BOUNDS_S)
        """Seconds that rounds took."""
        self.failures = 0
