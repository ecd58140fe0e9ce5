"""The store's memory: how much of it is used, and whether there is enough for new places."""

from collections.abc import Callable
from typing import Any

import structlog

log = structlog.get_logger("wr.store")

WARN_AT = 0.80
"""The used part of the store's memory from which operators are warned."""
SHORT_FROM = 0.95
"""The used part from which no visitor gets a new place. The rest is for visitors that have one."""
ENOUGH_BELOW = 0.90
"""The used part below which there are new places again. It is lower, so that this does not alternate."""
_WARN_AGAIN_BELOW = 0.75


class StoreMemory:
    """What a server knows of the store's memory, as others tell it."""

    def __init__(self) -> None:
        self.used_bytes: int | None = None
        """None if the store does not tell."""
        self.max_bytes: int | None = None
        """None if the store does not tell; 0 if it has no limit of its own."""
        self.is_short = False
        """Whether no visitor gets a new place for now."""
        self._has_warned = False

    @property
    def part_used(self) -> float | None:
        """The used part, from 0 to 1 or above; None if there is no limit, or none is known."""
        if self.used_bytes is None or not self.max_bytes:
            return None
        return self.used_bytes / self.max_bytes

    def take(self, used_bytes: int | None, max_bytes: int | None) -> None:
        """Note what the store tells of its memory; None if it does not tell.

        If the used part is not known, joins try to get new places: the store refuses them if it is full.
        """
        self.used_bytes, self.max_bytes = used_bytes, max_bytes
        part = self.part_used
        if part is None or part < ENOUGH_BELOW:
            self._has_enough()
        elif part >= SHORT_FROM:
            self.found_full()
        self._warn(part or 0.0)

    def found_full(self) -> None:
        """Note that the store refused a write because it has no memory."""
        if not self.is_short:
            log.error("the store's memory is short: no visitor gets a new place", **self._figures())
        self.is_short = True

    def _has_enough(self) -> None:
        if self.is_short:
            log.warning("the store has memory for new places again", **self._figures())
        self.is_short = False

    def _warn(self, part: float) -> None:
        if part >= WARN_AT and not self._has_warned:
            log.warning("the store's memory is nearly used up", **self._figures())
            self._has_warned = True
        elif part < _WARN_AGAIN_BELOW:
            self._has_warned = False

    def _figures(self) -> dict[str, int | None]:
        return {"used_bytes": self.used_bytes, "max_bytes": self.max_bytes}


def read_memory(ask: Callable[[str], Any]) -> tuple[int, int] | None:
    """Read the used bytes and the limit (0: none) from what `ask("memory")` answers, as INFO does.

    None if the store does not tell. Of several nodes the fullest counts, because a queue is on one of them.
    """
    told = ask("memory")
    nodes = [each for each in told.values() if isinstance(each, dict)] or [told]
    read = [
        (int(node["used_memory"]), int(node["maxmemory"]))
        for node in nodes
        if "used_memory" in node and "maxmemory" in node
    ]
    return max(read, key=lambda each: each[0] / each[1] if each[1] else 0.0) if read else None
