"""Telling the gate how sessions stand, and counting what was done in them: `gate.lua`."""

from collections.abc import Sequence

import msgspec

from wr.model.places import UNKNOWN, Admitted, Gone, Reason, Unknown, Unserved
from wr.model.session_binding import MARK_LENGTH, SessionCaller
from wr.store.key_names import KeyNames
from wr.store.script import Argument, MixedReply, Script, ScriptCall, load_script


class GateCall(msgspec.Struct, frozen=True):
    """One session, what its holder did since the last call, and from where."""

    position_id: bytes
    hits: int = 0
    page_views: int = 0
    callers: Sequence[SessionCaller] = ()


SessionPlace = Admitted | Gone | Unknown | Unserved
"""How a session stands, for the gate."""


class Gated(msgspec.Struct, frozen=True):
    """The answer to one call."""

    place: SessionPlace
    refused: frozenset[str] = frozenset()
    """Marks of callers that may not use the session: it is bound to as many others as the queue allows."""
    is_shared_now: bool = False
    """Whether this call was the first that saw the session used from more than five addresses."""


_NO_MARKS: frozenset[str] = frozenset()
_OTHER: dict[int, SessionPlace] = {4: UNKNOWN, 0: Unserved.NO_QUEUE}


class GateScript:
    """Calls of `gate.lua`."""

    script: Script[MixedReply] = load_script("gate")

    def __init__(self, keys: KeyNames) -> None:
        self._keys = keys

    def call(self, queue_id: str, now_ms: int, calls: Sequence[GateCall]) -> ScriptCall:
        """Spell KEYS and ARGV for these sessions of one queue."""
        arguments: list[Argument] = [now_ms]
        for call in calls:
            callers = "".join(caller.spelled for caller in call.callers)
            arguments += (call.position_id, call.hits, call.page_views, callers)
        return self._keys.queue(queue_id, "config", "sessions", "records", "tombstones"), arguments

    def replies(self, raw: MixedReply) -> list[Gated]:
        """Read the reply: one answer per session, in order."""
        return [_gated(*raw[at : at + 5]) for at in range(2, len(raw), 5)]


def _gated(outcome: int, first: int, second: int, marks: bytes, is_shared_now: int) -> Gated:
    place: SessionPlace
    if outcome == 2:
        place = Admitted(first, second)
    elif outcome == 3:
        place = Gone(first, Reason(second))
    else:
        place = _OTHER[outcome]
    return Gated(place, _read_marks(marks), bool(is_shared_now))


def _read_marks(spelled: bytes) -> frozenset[str]:
    if not spelled:
        return _NO_MARKS
    text = spelled.decode()
    return frozenset(text[at : at + MARK_LENGTH] for at in range(0, len(text), MARK_LENGTH))
