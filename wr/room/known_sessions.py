"""The sessions that the gate knows, and which of them were used since the last report to the store."""

import math
from collections.abc import Collection

from wr.model.session_binding import MOST_ADDRESSES, SessionCaller
from wr.store.gate import GateCall, SessionPlace

MOST_KNOWN = 200_000
"""How many sessions are kept, 300 bytes each. Beyond that, the one asked about longest ago is dropped."""

_MOST_MARKS = 8
"""How many marks are kept of one session. The store allows fewer at a time."""
_MOST_REFUSED = 64
"""How many refused marks are kept of one session. A mark that is forgotten is asked about again."""

SessionKey = tuple[str, bytes]
"""A queue's id and a position's id."""


class KnownSession:
    """One session: how it stood when the store was last asked, and what is not reported yet."""

    __slots__ = ("asked_at", "hits", "marks", "page_views", "place", "refused", "used_by")

    def __init__(self, place: SessionPlace, asked_at: float) -> None:
        self.place = place
        self.asked_at = asked_at
        self.hits = 0
        self.page_views = 0
        self.marks: tuple[str, ...] = ()
        """The marks that the session is bound to, as far as they are known here."""
        self.used_by: tuple[SessionCaller, ...] = ()
        """From where the session was used since the last report."""
        self.refused: dict[str, float] | None = None
        """When the store last refused the session to callers with these marks."""

    def admits(self, caller: SessionCaller) -> bool:
        """Whether a caller may use the session without asking the store."""
        return not caller.mark or caller.mark in self.marks

    def allow(self, caller: SessionCaller) -> None:
        """Let callers with that mark use the session until the store says otherwise."""
        if not self.admits(caller):
            self.marks = (*self.marks[1 - _MOST_MARKS :], caller.mark)
        if self.refused is not None:
            self.refused.pop(caller.mark, None)

    def refuse(self, marks: Collection[str], at: float) -> None:
        """Note that the store refused the session to callers with these marks at that time."""
        self.marks = tuple(mark for mark in self.marks if mark not in marks)
        refused = {mark: then for mark, then in (self.refused or {}).items() if mark not in marks}
        refused.update(dict.fromkeys(marks, at))
        self.refused = dict(list(refused.items())[-_MOST_REFUSED:])

    def refused_at(self, caller: SessionCaller) -> float:
        """Return when the session was last refused to that caller; minus infinity for never."""
        return -math.inf if self.refused is None else self.refused.get(caller.mark, -math.inf)


class KnownSessions:
    """Keeps known sessions, ordered by when they were last asked about.

    Sessions with something to report are listed apart, so that the cost of a report depends only on the
    sessions that were used since the last one.
    """

    def __init__(self, most: int = MOST_KNOWN) -> None:
        self._most = most
        self._known: dict[SessionKey, KnownSession] = {}
        self._changed: dict[str, dict[bytes, KnownSession]] = {}

    def get(self, key: SessionKey) -> KnownSession | None:
        """Return what is known of a session; None if it is not known."""
        return self._known.get(key)

    def keep(self, key: SessionKey, known: KnownSession) -> None:
        """Keep a session as the one asked about last. Drops others to make room."""
        self._known.pop(key, None)
        self._known[key] = known
        while len(self._known) > self._most:
            oldest = next(iter(self._known))
            del self._known[oldest]
            self._forget_change(*oldest)

    def count(
        self,
        key: SessionKey,
        known: KnownSession,
        hits: int,
        page_views: int,
        callers: Collection[SessionCaller],
    ) -> None:
        """Count requests of these callers for the next report."""
        queue_id, position_id = key
        # Also if it has hits already: it may have been dropped meanwhile, and be kept again.
        self._changed.setdefault(queue_id, {})[position_id] = known
        known.hits += hits
        known.page_views += page_views
        for caller in callers:
            if caller not in known.used_by and len(known.used_by) < MOST_ADDRESSES:
                known.used_by = (*known.used_by, caller)

    def changed(self, most: int) -> list[tuple[str, list[tuple[bytes, KnownSession]]]]:
        """List the sessions with something to report, in slices of at most `most` sessions of one queue."""
        listed = [(queue_id, list(sessions.items())) for queue_id, sessions in self._changed.items()]
        return [
            (queue_id, sessions[at : at + most])
            for queue_id, sessions in listed
            for at in range(0, len(sessions), most)
        ]

    def take(self, key: SessionKey, known: KnownSession) -> GateCall:
        """Take what was counted so far, to report it. If the report fails, its caller counts it again."""
        queue_id, position_id = key
        self._forget_change(queue_id, position_id)
        taken = GateCall(position_id, known.hits, known.page_views, known.used_by)
        known.hits = known.page_views = 0
        known.used_by = ()
        return taken

    def _forget_change(self, queue_id: str, position_id: bytes) -> None:
        sessions = self._changed.get(queue_id)
        if sessions is not None:
            sessions.pop(position_id, None)
            if not sessions:
                del self._changed[queue_id]
