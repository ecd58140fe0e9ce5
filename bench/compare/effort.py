"""Measures how long a process ran, and how long it was ready but had no processor."""

import time
from collections.abc import Sequence

import msgspec

from bench.servers import Measured


class Spent(msgspec.Struct, frozen=True):
    """Seconds of one process, summed over its threads."""

    ran_s: float
    delayed_s: float
    """Ready to run while another process had the processor."""
    took_s: float
    """Elapsed time."""


class Effort:
    """Measures a process from now on."""

    def __init__(self, process: Measured) -> None:
        self._process = process
        self._ran_s, self._delayed_s = process.cpu_s(), process.delayed_s()
        self._began = time.monotonic()

    def spent(self) -> Spent:
        """Return what the process did since then."""
        return Spent(
            self._process.cpu_s() - self._ran_s,
            max(0.0, self._process.delayed_s() - self._delayed_s),
            time.monotonic() - self._began,
        )


def in_words(spent: Sequence[Spent]) -> str:
    """Describe several processes together. Above 100 % they used, or wanted, more than one processor."""
    took_s = max(each.took_s for each in spent)
    ran, delayed = (sum(each.ran_s for each in spent), sum(each.delayed_s for each in spent))
    return f"ran {ran / took_s:.0%} and waited for a processor {delayed / took_s:.0%} of the time"
