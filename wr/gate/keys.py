"""The keys that the waiting room publishes: fetched when needed, kept, and fetched anew when they rotate."""

import json
import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.request import urlopen

import jwt

_FRESH_S = 300.0
_PAUSE_S = 5.0
_PATIENCE_S = 5.0
_LONGEST_BYTES = 256 * 1024


def fetch(url: str) -> dict[str, Any]:
    """Fetch a key set (RFC 7517).

    Raises:
        OSError, ValueError: there is none at that address.
    """
    with urlopen(url, timeout=_PATIENCE_S) as response:  # noqa: S310 - the address is the site's own setting
        found = json.loads(response.read(_LONGEST_BYTES))
    keys = found.get("keys") if isinstance(found, dict) else None
    if isinstance(keys, list):
        return {"keys": keys}
    raise ValueError(f"{url} is no key set")


class PublishedKeys:
    """Gives keys by their id. Safe to share among threads.

    A set is kept for five minutes, and asked for again sooner when a token names a key that is not in it: at
    most every five seconds, whatever tokens are made up. While the waiting room is away the old set stays.
    """

    def __init__(
        self,
        url: str,
        *,
        fetch: Callable[[str], dict[str, Any]] = fetch,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._fetch = fetch
        self._clock_s = clock_s
        self._lock = threading.Lock()
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at = -_FRESH_S
        self._tried_at = -_PAUSE_S

    def find(self, kid: str) -> jwt.PyJWK | None:
        """Find a key; None when there is none of that id. Takes a request when the set is old or lacks it."""
        key = self._keys.get(kid)
        now = self._clock_s()
        if key is not None and now - self._fetched_at < _FRESH_S:
            return key
        with self._lock:
            if now - self._tried_at >= _PAUSE_S and now >= self._fetched_at:
                self._tried_at = now
                self._refresh(now)
        return self._keys.get(kid)

    def knows(self, kid: str) -> bool:
        """Whether that key is at hand, so that to find it takes no request."""
        return kid in self._keys and self._clock_s() - self._fetched_at < _FRESH_S

    def _refresh(self, now: float) -> None:
        try:
            found = self._fetch(self._url)["keys"]
            self._keys = {each["kid"]: jwt.PyJWK(each) for each in found}
        except (OSError, ValueError, KeyError, TypeError, jwt.PyJWTError):
            return  # The keys at hand stay good; the next token that needs another asks again.
        self._fetched_at = now
