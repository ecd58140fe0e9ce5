"""Reading passes: those issued by this waiting room, and those that the site signs with its own key."""

import time
from collections.abc import Callable
from pathlib import Path

import jwt
import trio

from wr.gate.published_keys import PublishedKeys
from wr.model.passes import PUBLIC_ALGORITHMS, BadPass, Pass, key_name, read_pass
from wr.model.refusals import Unavailable
from wr.model.verifiers import Verifier, read_verifier
from wr.room.guess_limiter import Guessed, GuessLimiter
from wr.room.join_rules import pass_invalid
from wr.room.signing_keys import SigningKeys

_MOST_WAITING = 4
"""How many passes may wait for a key set to be fetched. Further ones are told to come back."""
_NO_KEYS = "The site's keys, which would tell whether the pass is good, cannot be fetched just now"


class SiteKeys:
    """The site's keys that verify its passes: one key, or a key set that it publishes (RFC 7517)."""

    def __init__(
        self,
        verifier: Verifier | None = None,
        published: PublishedKeys | None = None,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock_s = clock_s
        self._verifier = verifier
        self._published = published
        self._fetchers = trio.CapacityLimiter(_MOST_WAITING)

    async def find(self, kid: str | None) -> Verifier | None:
        """Find the key of that name, which verifies a pass. Only unknown names wait for the key set.

        Raises:
            Unavailable: the key set cannot be fetched, or too many passes wait for it.
        """
        if self._published is None:
            return self._verifier
        if kid is None:
            return None
        if self._published.knows(kid):
            key = self._published.find(kid)
        else:
            # The pass may be valid, so it must not be refused as invalid, nor count as a guess.
            if self._fetchers.available_tokens == 0:
                raise Unavailable(_NO_KEYS)
            asked_s = self._clock_s()
            key = await trio.to_thread.run_sync(self._published.find, kid, limiter=self._fetchers)
            if key is None and not self._published.was_fetched_since(asked_s):
                raise Unavailable(_NO_KEYS)
        return None if key is None else _of_published(key)


def _of_published(key: jwt.PyJWK) -> Verifier | None:
    # A published shared secret proves nothing.
    if key.algorithm_name not in PUBLIC_ALGORITHMS:
        return None
    return Verifier(key.key, (key.algorithm_name,))


def open_site_keys(setting: str) -> SiteKeys:
    """Open what the setting `pass_key` names: the URL of a key set, or a file; empty is no key.

    Raises:
        OSError, ValueError: the file cannot be read, or has neither a public key nor a long enough secret.
    """
    if setting.startswith(("http://", "https://")):
        return SiteKeys(published=PublishedKeys(setting))
    return SiteKeys(read_verifier(Path(setting).read_bytes()) if setting else None)


class PassReader:
    """Reads passes for one queue at a time. A wrong pass counts as a guess of the address that sends it."""

    def __init__(
        self, signing_keys: SigningKeys, site: SiteKeys, guesses: GuessLimiter, clock_ms: Callable[[], int]
    ) -> None:
        self._signing_keys = signing_keys
        self._site = site
        self._guesses = guesses
        self._clock_ms = clock_ms

    async def read(self, token: str, queue_id: str, address: str) -> Pass:
        """Verify a pass for a queue.

        Raises:
            PassInvalid: the pass gives no place in this queue; `details.reason` says why.
            RateLimited: too many wrong passes came from that address.
            Unavailable: the site's key set, or the store, cannot be asked.
        """
        self._guesses.check(address, Guessed.PASS)
        try:
            kid = key_name(token)
            verifier = await self._signing_keys.pass_verifier(kid) or await self._site.find(kid)
            found = read_pass(token, verifier, queue_id, self._clock_ms())
        except BadPass as error:
            if error.reason == "invalid":
                await self._guesses.note(address, Guessed.PASS)
            raise pass_invalid(error.reason) from error
        return found
