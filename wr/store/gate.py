"""Tells the gate how sessions stand and counts what was done in them: `gate.lua`."""

from collections.abc import Sequence
from typing import Any

import msgspec

from wr.model import places
from wr.model.session_binding import MARK_LENGTH, SessionCaller
from wr.store.key_names import KeyNames
from wr.store.script import load_script


class GateCall(msgspec.Struct, frozen=True):
    """One session, what its holder did since the last call, and from where."""

    position_id: bytes
    hits: int = 0
    page_views: int = 0
    callers: Sequence[SessionCaller] = ()


class Passing(msgspec.Struct, frozen=True):
    """An active session: times in milliseconds since 1970."""

    started_ms: int
    expires_ms: int


State = Passing | places.Gone | places.Unknown | places.NoQueue


class Gated(msgspec.Struct, frozen=True):
    """The answer to one call."""

    state: State
    refused: frozenset[str] = frozenset()
    """Marks of callers that may not use the session: it is bound to as many others as the queue allows."""
    is_shared_now: bool = False
    """Whether with this call the session was first seen from more than five addresses."""


_NO_MARKS: frozenset[str] = frozenset()
_OTHER: dict[int, State] = {4: places.UNKNOWN, 0: places.NO_QUEUE}


class GateScript:
    """Calls of `gate.lua`."""

    script = load_script("gate")

    def __init__(self, keys: KeyNames) -> None:
        self._keys = keys

    def call(self, queue_id: str, now_ms: int, calls: Sequence[GateCall]) -> tuple[list[str], list[Any]]:
        """Spell KEYS and ARGV for these sessions of one queue."""
        arguments: list[Any] = [now_ms]
        for call in calls:
            callers = "".join(caller.spelled for caller in call.callers)
            arguments += (call.position_id, call.hits, call.page_views, callers)
        return self._keys.queue(queue_id, "config", "sessions", "records", "tombstones"), arguments

    def replies(self, raw: list[Any]) -> list[Gated]:
        """Read the reply: one answer per session, in order."""
        return [
            Gated(_state(*raw[at : at + 3]), _marks(raw[at + 3]), bool(raw[at + 4]))
            for at in range(2, len(raw), 5)
        ]


def _marks(spelled: bytes) -> frozenset[str]:
    if not spelled:
        return _NO_MARKS
    text = spelled.decode()
    return frozenset(text[at : at + MARK_LENGTH] for at in range(0, len(text), MARK_LENGTH))


def _state(outcome: int, first: int, second: int) -> State:
    if outcome == 2:
        return Passing(first, second)
    if outcome == 3:
        return places.Gone(first, places.Reason(second))
    return _OTHER[outcome]
