"""Asking how a session stands, and reporting activity in it: `visit.lua`."""

from collections.abc import Sequence
from enum import Enum

import msgspec

from wr.model.limits import Limit
from wr.model.places import UNKNOWN, Admitted, Gone, Reason, Unknown, Unserved
from wr.store.key_names import KeyNames
from wr.store.script import Argument, Script, ScriptCall, load_script

_PARTS = (
    "config",
    "sessions",
    "records",
    "tombstones",
    "limit_status",
    "limit_activity",
)
_OTHER: dict[int, Unknown | Unserved] = {4: UNKNOWN, 6: Unserved.LIMITED, 0: Unserved.NO_QUEUE}


class VisitKind(Enum):
    """Whether a call only asks or reports activity, and whether that was the view of a page."""

    STATUS = b"s"
    ACTIVITY = b"a"
    PAGE_VIEW = b"v"


class VisitCall(msgspec.Struct, frozen=True):
    """One question about a session, or one report of activity in it."""

    position_id: bytes
    kind: VisitKind
    subject: bytes
    """What the limit counts by."""


class Visited(msgspec.Struct, frozen=True):
    """The answer to one call."""

    now_ms: int
    used: int
    """Requests of this subject in this window, this one included; 0 where there is no limit."""
    place: Admitted | Gone | Unknown | Unserved


class VisitScript:
    """Calls of `visit.lua` for two limits."""

    script: Script[list[int]] = load_script("visit")

    def __init__(self, keys: KeyNames, status: Limit, activity: Limit) -> None:
        self._keys = keys
        self._limits = (status.count, status.window_s * 1000, activity.count, activity.window_s * 1000)

    def call(self, queue_id: str, now_ms: int, calls: Sequence[VisitCall]) -> ScriptCall:
        """Spell KEYS and ARGV for these calls of one queue."""
        arguments: list[Argument] = [now_ms, *self._limits]
        for call in calls:
            arguments += (call.position_id, call.kind.value, call.subject)
        return self._keys.queue(queue_id, *_PARTS), arguments

    def replies(self, raw: list[int]) -> list[Visited]:
        """Read the reply: one answer per call, in order."""
        now_ms = raw[0]
        return [_visited(now_ms, *raw[at : at + 6]) for at in range(2, len(raw), 6)]


def _visited(
    now_ms: int, outcome: int, first: int, second: int, last_activity_ms: int, page_views: int, used: int
) -> Visited:
    """Read one answer; what `first` and `second` mean depends on the outcome."""
    if outcome == 2:
        return Visited(now_ms, used, Admitted(first, second, last_activity_ms, page_views))
    if outcome == 3:
        return Visited(now_ms, used, Gone(first, Reason(second)))
    return Visited(now_ms, used, _OTHER[outcome])
