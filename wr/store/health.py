"""The store's health, for health checks: whether it answers, and whether it takes writes."""

from collections.abc import Callable
from enum import StrEnum
from typing import Protocol

import trio

from wr.model.refusals import OutOfMemory, Unavailable

PATIENCE_S = 1.0
"""How many seconds the store has to answer."""
_PROOF_LASTS_S = 1.0


class Condition(StrEnum):
    """The health of the store."""

    HEALTHY = "healthy"
    FULL = "full"
    """It has no memory for new places. Joins are refused, all other calls are served."""
    UNHEALTHY = "unhealthy"
    """It does not answer, or takes no writes."""


class Provable(Protocol):
    """What the check needs of the store."""

    @property
    def is_short(self) -> bool:
        """Whether the store has no memory for new places."""
        ...

    async def ping(self) -> None:
        """Make one round trip."""
        ...

    async def prove_write(self) -> None:
        """Have the store write a small value."""
        ...


class StoreHealth:
    """Asks the store at each call, and has it write at most once a second.

    A full store is told apart from one that takes no writes, such as a replica or one whose disk is full.
    A full store is no reason to send visitors to another server: all servers have the same store, and
    visitors in line are served.
    """

    def __init__(self, store: Provable, clock_s: Callable[[], float]) -> None:
        self._store = store
        self._clock_s = clock_s
        self._proved_at = float("-inf")
        self._proof = Condition.HEALTHY

    async def condition(self) -> Condition:
        """Return the health of the store, within `PATIENCE_S` seconds."""
        with trio.move_on_after(PATIENCE_S):
            try:
                await self._ask()
            except Unavailable:
                return Condition.UNHEALTHY
            return Condition.FULL if self._store.is_short else self._proof
        return Condition.UNHEALTHY

    async def _ask(self) -> None:
        now = self._clock_s()
        if now - self._proved_at < _PROOF_LASTS_S:
            await self._store.ping()
            return
        before, self._proved_at = self._proved_at, now
        try:
            await self._store.prove_write()
        except OutOfMemory:
            self._proof = Condition.FULL
        except BaseException:
            # Nothing was proved, so the next call must try again.
            self._proved_at = before
            raise
        else:
            self._proof = Condition.HEALTHY
