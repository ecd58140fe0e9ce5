"""The public keys of the waiting room, with which a site verifies session tokens: fetched, kept, refreshed.

`jwt.PyJWKClient` does not do what a site under load needs. It holds a lock while it fetches, so a visitor
whose key is known would wait for a waiting room that hangs; it reads an answer without a bound; and while the
waiting room fails, each made-up key id makes it ask again.
"""

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
"""How long a key set is used before it is fetched again."""
_PAUSE_S = 5.0
"""Between the end of one attempt to fetch and the beginning of the next."""
_BESIDE_S = 1.0
"""How long a request with an unknown key id waits for a fetch that another request has begun."""
_MOST_BESIDE = 4
_GIVEN_UP_S = 60.0
"""An attempt that takes longer has died, for example in the process that this one was forked from."""


def fetch(url: str) -> dict[str, Any]:
    """Fetch a key set (RFC 7517).

    Raises:
        OSError, ValueError: there is no key set at that address.
    """
    found = ask(url)
    if isinstance(found.get("keys"), list):
        return found
    raise ValueError("what is there is no key set")


class PublishedKeys:
    """Finds keys by their id. Threads may share it.

    A known key is returned at once. When the set is five minutes old, one background thread fetches it again;
    while the waiting room does not answer, the old set stays in use. Only a request for an unknown key waits.
    At most one fetch begins every five seconds, however many key ids are made up. Once there is a set, at
    most four requests wait beside the one that fetches, for `beside_s` seconds.
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
        """Return the key of that id, or None. Waits for a fetch only if the id is unknown, and may wait."""
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
        """Whether the set was fetched at this time or later, by the clock of this object."""
        return self._fetched_at >= moment_s

    def knows(self, kid: str) -> bool:
        """Whether the key is in the set, so that `find` makes no request."""
        return kid in self._keys

    def _begin(self) -> bool:
        """Reserve the next fetch; False if one is under way or ended less than five seconds ago."""
        with self._turn:
            now = self._clock_s()
            is_under_way = self._began_at is not None and now - self._began_at < _GIVEN_UP_S
            if is_under_way or now - self._tried_at < _PAUSE_S:
                return False
            self._began_at = now
            return True

    def _wait(self) -> None:
        """Wait for the fetch under way. Once there is a set, only a few requests wait, and only briefly:
        made-up tokens must not block a site whose visitors have known keys."""
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
            # The system has no thread left. The known keys stay in use; a later request tries again.
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
    """Select the keys that have an id and that PyJWT can use; others are ignored (RFC 7517, section 5).

    Raises:
        ValueError: no key is left.
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
