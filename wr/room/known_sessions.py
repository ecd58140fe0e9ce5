"""The sessions that the gate knows of, and which of them were used since the last report to the store."""

import math
from collections.abc import Collection

from wr.model.session_binding import MOST_ADDRESSES, SessionCaller
from wr.store.gate import GateCall, SessionPlace

MOST_KNOWN = 200_000
"""How many sessions are kept, 300 bytes each. Beyond that, the one asked about longest ago goes first."""

_MOST_MARKS = 8
"""How many marks are known of one session; the store allows fewer at a time."""
_MOST_REFUSED = 64
"""How many refused marks are remembered of one session. One that is forgotten is asked about again."""

SessionKey = tuple[str, bytes]
"""A queue's id and a position's id."""


class KnownSession:
    """One session: its state when the store was last asked, and what is not reported yet."""

    __slots__ = ("asked_at", "hits", "marks", "page_views", "place", "refused", "used_by")

    def __init__(self, place: SessionPlace, asked_at: float) -> None:
        self.place = place
        self.asked_at = asked_at
        self.hits = 0
        self.page_views = 0
        self.marks: tuple[str, ...] = ()
        """What the session is bound to, as far as it is known here."""
        self.used_by: tuple[SessionCaller, ...] = ()
        """Where the session was used from since the last report."""
        self.refused: dict[str, float] | None = None
        """When the store last refused the session to callers of these marks."""

    def admits(self, caller: SessionCaller) -> bool:
        """Whether a caller may use the session without the store being asked."""
        return not caller.mark or caller.mark in self.marks

    def allow(self, caller: SessionCaller) -> None:
        """Let callers of that mark use the session until the store says otherwise."""
        if not self.admits(caller):
            self.marks = (*self.marks[1 - _MOST_MARKS :], caller.mark)
        if self.refused is not None:
            self.refused.pop(caller.mark, None)

    def refuse(self, marks: Collection[str], at: float) -> None:
        """Note that the store refused the session to callers of these marks at that time."""
        self.marks = tuple(mark for mark in self.marks if mark not in marks)
        refused = {mark: then for mark, then in (self.refused or {}).items() if mark not in marks}
        refused.update(dict.fromkeys(marks, at))
        self.refused = dict(list(refused.items())[-_MOST_REFUSED:])

    def refused_at(self, caller: SessionCaller) -> float:
        """Tell when the session was last refused to that caller; minus infinity for never."""
        return -math.inf if self.refused is None else self.refused.get(caller.mark, -math.inf)


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
        # Also one that has hits: it may have been forgotten meanwhile, and be kept again.
        self._changed.setdefault(queue_id, {})[position_id] = known
        known.hits += hits
        known.page_views += page_views
        for caller in callers:
            if caller not in known.used_by and len(known.used_by) < MOST_ADDRESSES:
                known.used_by = (*known.used_by, caller)

    def changed(self, most: int) -> list[tuple[str, list[tuple[bytes, KnownSession]]]]:
        """List the sessions that have something to report: slices of one queue, `most` sessions each."""
        listed = [(queue_id, list(sessions.items())) for queue_id, sessions in self._changed.items()]
        return [
            (queue_id, sessions[at : at + most])
            for queue_id, sessions in listed
            for at in range(0, len(sessions), most)
        ]

    def take(self, key: SessionKey, known: KnownSession) -> GateCall:
        """Take what was counted so far, to report it. A report that fails counts it again."""
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
