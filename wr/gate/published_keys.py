"""The keys that the waiting room publishes: fetched when needed, kept, and fetched anew when they rotate."""

import logging
import math
import threading
import time
from collections.abc import Callable
from typing import Any

import jwt

from wr.gate.http_client import PATIENCE_S, ask

log = logging.getLogger("wr.gate")

_FRESH_S = 300.0
_PAUSE_S = 5.0
_BESIDE_S = 1.0
_MOST_BESIDE = 4
_GIVEN_UP_S = 60.0
"""An attempt that takes longer has died, with the process it was forked from, say: another may begin."""


def fetch(url: str) -> dict[str, Any]:
    """Fetch a key set (RFC 7517).

    Raises:
        OSError, ValueError: there is none at that address.
    """
    found = ask(url)
    if isinstance(found.get("keys"), list):
        return found
    raise ValueError("what is there is no key set")


class PublishedKeys:
    """Gives keys by their id. Safe to share among threads.

    A key that is known is given at once. Once the set is five minutes old it is fetched again beside, by one
    thread for all, and while the waiting room is away the old set stays. Only a key that is not in the set is
    waited for: a fetch begins at most every five seconds, whatever tokens are made up, and once there is a
    set a handful wait for it beside the one who fetches, for `beside_s`.
    """

    def __init__(
        self,
        url: str,
        *,
        fetch: Callable[[str], dict[str, Any]] = fetch,
        clock_s: Callable[[], float] = time.monotonic,
        beside_s: float = _BESIDE_S,
    ) -> None:
        self._url = url
        self._fetch = fetch
        self._clock_s = clock_s
        self._beside_s = beside_s
        self._turn = threading.Condition()
        self._beside = 0
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at = -math.inf
        self._tried_at = -math.inf
        self._began_at: float | None = None

    def find(self, kid: str, *, may_wait: bool = True) -> jwt.PyJWK | None:
        """Find a key; None when there is none of that id. Waits for a fetch for unknown ones only."""
        key = self._keys.get(kid)
        if key is not None:
            if self._clock_s() - self._fetched_at >= _FRESH_S and self._begin():
                self._refresh_beside()
            return key
        if may_wait:
            if self._begin():
                self._refresh()
            else:
                self._wait()
        return self._keys.get(kid)

    def was_fetched_since(self, moment_s: float) -> bool:
        """Whether the set was fetched at that moment of the clock or later."""
        return self._fetched_at >= moment_s

    def knows(self, kid: str) -> bool:
        """Whether that key is at hand, so that to find it takes no request."""
        return kid in self._keys

    def _begin(self) -> bool:
        """Take the turn to fetch, unless somebody has it or had it a moment ago."""
        with self._turn:
            now = self._clock_s()
            is_under_way = self._began_at is not None and now - self._began_at < _GIVEN_UP_S
            if is_under_way or now - self._tried_at < _PAUSE_S:
                return False
            self._began_at = now
            return True

    def _wait(self) -> None:
        """Wait for the fetch under way. Once there is a set only a few do, and not for long.

        Made-up tokens must not hold up a site whose visitors have known keys.
        """
        with self._turn:
            has_set = bool(self._keys)
            if self._began_at is None or (has_set and self._beside >= _MOST_BESIDE):
                return
            self._beside += 1
            try:
                self._turn.wait_for(lambda: self._began_at is None, self._beside_s if has_set else PATIENCE_S)
            finally:
                self._beside -= 1

    def _refresh_beside(self) -> None:
        try:
            threading.Thread(target=self._refresh, name="wr-gate-keys", daemon=True).start()
        except RuntimeError as error:
            # No thread is to be had: the known keys stay good, and a later request tries again.
            log.error("the waiting room's keys were not fetched: %s", error)  # noqa: TRY400 - it says why
            self._end()

    def _refresh(self) -> None:
        try:
            self._keys = _usable(self._fetch(self._url)["keys"])
            self._fetched_at = self._clock_s()
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.error("the waiting room's keys were not fetched: %s", error)  # noqa: TRY400 - it says why
        finally:
            self._end()

    def _end(self) -> None:
        with self._turn:
            self._tried_at = self._clock_s()
            self._began_at = None
            self._turn.notify_all()


def _usable(published: list[Any]) -> dict[str, jwt.PyJWK]:
    """Take what is a key that this library can use, and has a name (RFC 7517, section 5).

    Raises:
        ValueError: there is none.
    """
    keys = {}
    for each in published:
        try:
            key = jwt.PyJWK(each)
        except (jwt.PyJWTError, ValueError, TypeError, AttributeError):
            continue
        if isinstance(key.key_id, str) and key.key_id:
            keys[key.key_id] = key
    if not keys:
        raise ValueError("the key set holds no key that is of use")
    return keys
