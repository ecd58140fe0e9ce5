"""Limits over all queues while the machine that counts them is away: each server counts for itself."""

from collections.abc import Sequence

from wr.model.bounded_cache import BoundedCache
from wr.model.limits import Limit, Usage

_MOST_SUBJECTS = 50_000
"""How many addresses are counted at a time. Beyond that, the one that was seen longest ago is forgotten."""


class LocalLimits:
    """Counts as `limit.lua` does, for one server and in its memory.

    If one machine of the store is away, visitors must still get into queues on other machines, and limits
    must still hold. During such an outage an address has its limit at each server, not at all together.
    """

    def __init__(self) -> None:
        self._used: BoundedCache[tuple[str, bytes, int], int] = BoundedCache(_MOST_SUBJECTS)

    def count(self, counter: str, limit: Limit, subjects: Sequence[bytes], now_ms: int) -> list[Usage]:
        """Count one request for each subject; returns how much each has used in this window."""
        window = now_ms // (limit.window_s * 1000)
        usages = []
        for subject in subjects:
            key = (counter, subject, window)
            used = (self._used.get(key) or 0) + 1
            self._used.put(key, used)
            usages.append(Usage(limit, used, now_ms))
        return usages
