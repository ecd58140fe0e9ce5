"""Sessions that the site itself has ended, so that their tokens count no longer."""

import threading

MOST_ENDED = 50_000


class Ended:
    """Remembers sessions until their tokens are over. Safe to share among threads.

    It keeps the 50,000 that were noted last, at about 200 bytes each; an earlier one passes again until its
    token is over.
    """

    def __init__(self, most: int = MOST_ENDED) -> None:
        self._most = most
        self._until: dict[str, float] = {}
        self._lock = threading.Lock()

    def note(self, session_id: str, until_s: float, now_s: float) -> None:
        """Remember a session until then; those whose time is over make room."""
        with self._lock:
            self._until[session_id] = max(until_s, self._until.pop(session_id, until_s))
            while self._until:
                first = next(iter(self._until))
                if len(self._until) <= self._most and self._until[first] > now_s:
                    return
                del self._until[first]

    def forget(self, session_id: str) -> None:
        """Let a session count again."""
        with self._lock:
            self._until.pop(session_id, None)

    def holds(self, session_id: str, until_s: float) -> bool:
        """Whether that session is ended; a token of it that lasts longer keeps it so for as long."""
        with self._lock:
            noted = self._until.get(session_id)
            if noted is not None and until_s > noted:
                self._until[session_id] = until_s
            return noted is not None
