"""Instruments: histograms cheap enough for the way of every request. Plain counts are plain integers.

Nothing here is locked: only the event loop writes, and it copies what other threads read.
"""

from bisect import bisect_left
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """What a histogram had seen at one moment."""

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    """Values up to each bound and above the one before; at the end those above all bounds."""
    total: float
    """The sum of all values."""


class Histogram:
    """Counts values by size. `bounds` are upper bounds, ascending, in the unit of the values."""

    __slots__ = ("_bounds", "_counts", "_total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._total = 0.0

    def observe(self, value: float) -> None:
        """Count one value; 0.2 µs."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._total += value

    def spread(self) -> Spread:
        """Copy what it has seen until now."""
        return Spread(self._bounds, tuple(self._counts), self._total)


class Level:
    """A number that goes up and down, such as how many of something are open."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0
