"""Guesses: how often an address may bring a wrong key, token or pass before it is no longer listened to."""

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
"""Addresses remembered; one that is forgotten is counted on in the store all the same."""


class Guessed(StrEnum):
    """What may be guessed; each is counted apart, so that visitors of an address keep no operator there
    out."""

    KEY = "key"
    """The admin key, the origin key, the metrics token."""
    PASS = "pass"  # noqa: S105 - what is guessed, not a secret
    """A pass."""


class GuessLimiter:
    """Counts wrong keys and passes of each address (of IPv6: each /64), and refuses before the next is
    compared.

    An address that is over the limit is refused whatever it brings, the right key too: otherwise the answer
    would tell which key is right. Guesses are counted at once in this process and then in the store, which
    tells what other servers have counted: so several servers together hear each one guess more than the limit
    at most.
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
        """Refuse an address that has guessed too often in this window. Costs a look into a dictionary.

        Raises:
            RateLimited: it has.
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
        """Count a wrong key or pass of an address: here before anything is waited for, then in the store."""
        if not self._limit.count:
            return
        subject = _subject(address, what)
        self._remember(subject, self._of_this_window(subject) + 1)
        try:
            usage = await self._count(Counted(GLOBAL_TAG, SCOPE, subject.encode()))
        except Unavailable:
            # Refused all the same; only other servers do not hear of it.
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
