"""The sessions that the gate knows of, and which of them were used since the last report to the store."""

from wr.store.gates import State

MOST_KNOWN = 200_000
"""How many sessions are kept, 300 bytes each. Beyond that, the one asked about longest ago goes first."""

SessionKey = tuple[str, bytes]
"""A queue's id and a position's id."""


class KnownSession:
    """One session: its state when the store was last asked, and what is not reported yet."""

    __slots__ = ("asked_at", "hits", "page_views", "state")

    def __init__(self, state: State, asked_at: float) -> None:
        self.state = state
        self.asked_at = asked_at
        self.hits = 0
        self.page_views = 0


class KnownSessions:
    """Keeps known sessions, the one asked about longest ago first.

    Sessions with something to report are listed apart: a report costs what was done since the last one, and
    nothing for the sessions that were not used.
    """

    def __init__(self, most: int = MOST_KNOWN) -> None:
        self._most = most
        self._known: dict[SessionKey, KnownSession] = {}
        self._changed: dict[str, dict[bytes, KnownSession]] = {}

    def get(self, key: SessionKey) -> KnownSession | None:
        """Return what is known of a session; None if that is nothing."""
        return self._known.get(key)

    def keep(self, key: SessionKey, known: KnownSession) -> None:
        """Keep a session as the one asked about last. Makes room by forgetting others."""
        self._known.pop(key, None)
        self._known[key] = known
        while len(self._known) > self._most:
            oldest = next(iter(self._known))
            del self._known[oldest]
            self._forget_change(*oldest)

    def count(self, key: SessionKey, known: KnownSession, hits: int, page_views: int) -> None:
        """Count requests for the next report."""
        if not known.hits:
            queue_id, position_id = key
            self._changed.setdefault(queue_id, {})[position_id] = known
        known.hits += hits
        known.page_views += page_views

    def changed(self, most: int) -> list[tuple[str, list[tuple[bytes, KnownSession]]]]:
        """List the sessions that have something to report: slices of one queue, `most` sessions each."""
        listed = [(queue_id, list(sessions.items())) for queue_id, sessions in self._changed.items()]
        return [
            (queue_id, sessions[at : at + most])
            for queue_id, sessions in listed
            for at in range(0, len(sessions), most)
        ]

    def take(self, key: SessionKey, known: KnownSession) -> tuple[int, int]:
        """Take the requests and page views counted so far, to report them. A report that fails counts them
        again."""
        self._forget_change(*key)
        hits, page_views = known.hits, known.page_views
        known.hits = known.page_views = 0
        return hits, page_views

    def _forget_change(self, queue_id: str, position_id: bytes) -> None:
        sessions = self._changed.get(queue_id)
        if sessions is not None:
            sessions.pop(position_id, None)
            if not sessions:
                del self._changed[queue_id]
