"""Putting back places and sessions that the store has forgotten, from their tokens: `restore.lua`."""

from collections.abc import Sequence

from wr.model.tokens import PositionClaims, SessionClaims
from wr.store.admit import LONGEST_HOLD_S, Known
from wr.store.arrivals import line_score
from wr.store.key_names import KeyNames
from wr.store.script import Argument, Script, ScriptCall, load_script

_PARTS = (
    *("config", "waiting", "seen", "sessions", "records", "extras", "people", "tombstones"),
    *("counters", "bucket", "addresses", "recalled"),
)


class RestoreScript:
    """Calls of `restore.lua`."""

    script: Script[list[int]] = load_script("restore")

    def __init__(self, keys: KeyNames, longest_hold_s: float = LONGEST_HOLD_S) -> None:
        self._keys = keys
        self._longest_hold_ms = int(longest_hold_s * 1000)

    def call(
        self, queue_id: str, now_ms: int, known: Known, claims: Sequence[PositionClaims | SessionClaims]
    ) -> ScriptCall:
        """Spell KEYS and ARGV for these verified tokens of one queue."""
        arguments: list[Argument] = [now_ms, known.created_ms, known.passes, known.waiting]
        arguments.append(self._longest_hold_ms)
        for each in claims:
            if isinstance(each, SessionClaims):
                arguments += ("s", each.position_id, each.admitted_ms, each.expires_s * 1000, 0)
            else:
                score = line_score(each.priority, each.enqueued_ms, each.enqueued_part)
                arguments += ("p", each.position_id, score, each.holder, each.expires_s * 1000)
        return self._keys.queue(queue_id, *_PARTS), arguments

    def replies(self, raw: list[int]) -> list[bool]:
        """Read the reply: for each token whether its place or session is there now."""
        return [bool(outcome) for outcome in raw]
