"""Asking how a session stands, and reporting activity in it: `visit.lua`."""

from collections.abc import Sequence
from enum import Enum
from typing import Any

import msgspec

from wr.model import places
from wr.model.limits import Limit
from wr.store.key_names import KeyNames
from wr.store.script import load_script

_PARTS = (
    "config",
    "sessions",
    "records",
    "tombstones",
    "limit_status",
    "limit_activity",
)

State = places.Visit | places.Gone | places.Unknown | places.Limited | places.NoQueue
_OTHER: dict[int, State] = {4: places.UNKNOWN, 6: places.LIMITED, 0: places.NO_QUEUE}


class VisitKind(Enum):
    """Whether a call only asks, or reports activity, and whether that was the view of a page."""

    STATUS = b"s"
    ACTIVITY = b"a"
    PAGE_VIEW = b"v"


class VisitCall(msgspec.Struct, frozen=True):
    """One question about, or report of, a session."""

    position_id: bytes
    kind: VisitKind
    subject: bytes


class Visited(msgspec.Struct, frozen=True):
    """The answer to one call."""

    now_ms: int
    used: int
    state: State


class VisitScript:
    """Calls of `visit.lua` for two limits."""

    script = load_script("visit")

    def __init__(self, keys: KeyNames, status: Limit, activity: Limit) -> None:
        self._keys = keys
        self._limits = [status.count, status.window_s * 1000, activity.count, activity.window_s * 1000]

    def call(self, queue_id: str, now_ms: int, calls: Sequence[VisitCall]) -> tuple[list[str], list[Any]]:
        """Spell KEYS and ARGV for these calls of one queue."""
        arguments: list[Any] = [now_ms, *self._limits]
        for call in calls:
            arguments += (call.position_id, call.kind.value, call.subject)
        return self._keys.queue(queue_id, *_PARTS), arguments

    def replies(self, raw: list[Any]) -> list[Visited]:
        """Read the reply: one answer per call, in order."""
        now_ms = raw[0]
        return [Visited(now_ms, raw[at + 5], _state(raw[at : at + 5])) for at in range(2, len(raw), 6)]


def _state(fields: list[int]) -> State:
    outcome, first, second, last_activity_ms, page_views = fields
    if outcome == 2:
        return places.Visit(first, second, last_activity_ms, page_views)
    if outcome == 3:
        return places.Gone(first, places.Reason(second))
    return _OTHER[outcome]
