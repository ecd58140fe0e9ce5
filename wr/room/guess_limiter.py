"""Limits on guesses: how many wrong keys, tokens or passes an address may send before it is refused."""

from collections.abc import Awaitable, Callable
from enum import StrEnum

import structlog

from wr.model.bounded_cache import BoundedCache
from wr.model.client_address import limited_address
from wr.model.limits import Limit, Usage
from wr.model.refusals import RateLimited, Unavailable
from wr.store.key_names import GLOBAL_TAG
from wr.store.limit import Counted

log = structlog.get_logger("wr.guesses")

SCOPE = "guess"
_MOST_REMEMBERED = 20_000
"""How many addresses are remembered. The store still has the count of one that is forgotten."""


class Guessed(StrEnum):
    """What may be guessed. Each is counted apart, so that visitors cannot shut out an operator at the same
    address."""

    KEY = "key"
    """The admin key, the origin key, the metrics token."""
    PASS = "pass"  # noqa: S105 - what is guessed, not a secret
    """A pass."""


class GuessLimiter:
    """Counts wrong keys and passes of each address (each /64 for IPv6), and refuses further ones unread.

    An address over the limit is refused even if it sends the right key. Otherwise the answer would tell which
    key is right. Guesses are counted at once in this process, and then in the store, which adds those of
    other servers. So each server accepts at most one guess more than the limit of all servers together.
    """

    def __init__(
        self,
        limit: Limit,
        count: Callable[[Counted], Awaitable[Usage | None]],
        clock_ms: Callable[[], int],
    ) -> None:
        self._limit = limit
        self._count = count
        self._clock_ms = clock_ms
        self._used: BoundedCache[str, Usage] = BoundedCache(_MOST_REMEMBERED)

    def check(self, address: str, what: Guessed) -> None:
        """Refuse an address that has guessed too often in this window. One look-up in a dictionary.

        Raises:
            RateLimited: the address has guessed too often.
        """
        used = self._of_this_window(_subject(address, what))
        if self._limit.count and used >= self._limit.count:
            usage = Usage(self._limit, used, self._clock_ms())
            raise RateLimited(
                f"Too many from this address were wrong: no {what} is looked at for a while",
                usage=usage,
                retry_after_seconds=usage.retry_after_s,
            )

    async def note(self, address: str, what: Guessed) -> None:
        """Count a wrong key or pass of an address: first in this process, then in the store."""
        self.note_here(address, what)
        await self.note_in_store(address, what)

    def note_here(self, address: str, what: Guessed) -> None:
        """Count a wrong key or pass of an address in this process, before any other is looked at."""
        if self._limit.count:
            subject = _subject(address, what)
            self._remember(subject, self._of_this_window(subject) + 1)

    async def note_in_store(self, address: str, what: Guessed) -> None:
        """Count a wrong key or pass of an address, which is counted here already, for the other servers."""
        if not self._limit.count:
            return
        subject = _subject(address, what)
        try:
            usage = await self._count(Counted(GLOBAL_TAG, SCOPE, subject.encode()))
        except Unavailable:
            # This server refuses the address all the same. Other servers do not know of this guess.
            log.warning("a wrong key or pass is counted by this server alone: the store is away")
            return
        if usage is not None and usage.used > self._of_this_window(subject):
            self._remember(subject, usage.used)

    def _remember(self, subject: str, used: int) -> None:
        self._used.put(subject, Usage(self._limit, used, self._clock_ms()))

    def _of_this_window(self, subject: str) -> int:
        known = self._used.get(subject)
        return known.used if known is not None and self._clock_ms() < known.reset_s * 1000 else 0


def _subject(address: str, what: Guessed) -> str:
    return f"{what} {limited_address(address)}"
