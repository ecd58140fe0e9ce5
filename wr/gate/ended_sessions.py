"""Remembers sessions that the site has ended, so that their tokens are no longer accepted."""

import threading

MOST_ENDED = 50_000


class Ended:
    """Ended sessions, each kept until its token expires. Safe to use from several threads.

    It keeps the latest 50,000, at about 200 bytes each. If there are more, the oldest are accepted again
    until their tokens expire.
    """

    def __init__(self, most: int = MOST_ENDED) -> None:
        self._most = most
        self._until: dict[str, float] = {}
        self._lock = threading.Lock()

    def note(self, session_id: str, until_s: float, now_s: float) -> None:
        """Remember a session until `until_s`, and drop those whose time is over."""
        with self._lock:
            self._until[session_id] = max(until_s, self._until.pop(session_id, until_s))
            while self._until:
                first = next(iter(self._until))
                if len(self._until) <= self._most and self._until[first] > now_s:
                    return
                del self._until[first]

    def forget(self, session_id: str) -> None:
        """Accept a session again."""
        with self._lock:
            self._until.pop(session_id, None)

    def holds(self, session_id: str, until_s: float) -> bool:
        """Whether a session has ended. If its token is valid longer than known, remember it that long."""
        with self._lock:
            noted = self._until.get(session_id)
            if noted is not None and until_s > noted:
                self._until[session_id] = until_s
            return noted is not None
