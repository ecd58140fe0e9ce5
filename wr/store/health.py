"""Whether the store does its work: asked by health checks, proved by a write."""

from collections.abc import Callable
from enum import StrEnum
from typing import Protocol

import trio

from wr.model.refusals import OutOfMemory, Unavailable

PATIENCE_S = 1.0
"""How long the store has to answer."""
_PROOF_LASTS_S = 1.0


class Condition(StrEnum):
    """What a health check says of the store."""

    HEALTHY = "healthy"
    FULL = "full"
    """It has no memory for new places: joins are refused, everybody else is served."""
    UNHEALTHY = "unhealthy"
    """It does not answer, or takes no writes."""


class Provable(Protocol):
    """What the check needs of the store."""

    @property
    def is_short(self) -> bool:
        """Whether it has no memory for new places."""
        ...

    async def ping(self) -> None:
        """Make one round trip."""
        ...

    async def prove_write(self) -> None:
        """Write something small."""
        ...


class StoreHealth:
    """Asks the store at each call, and has it write once a second at most, however many calls there are.

    A store without memory is no reason to send visitors elsewhere: every server has the same one, and those
    in line are served. So it is told from one that takes no writes, such as a replica, or one whose disk is
    full.
    """

    def __init__(self, store: Provable, clock_s: Callable[[], float]) -> None:
        self._store = store
        self._clock_s = clock_s
        self._proved_at = float("-inf")
        self._proof = Condition.HEALTHY

    async def condition(self) -> Condition:
        """Tell how the store is. At most `PATIENCE_S` seconds."""
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
            # Nothing was proved: the next call is not answered by this one.
            self._proved_at = before
            raise
        else:
            self._proof = Condition.HEALTHY
