"""Telling a store that has forgotten which visitors a server saw let in: `recall.lua`."""

from collections.abc import Sequence

import msgspec

from wr.store.key_names import KeyNames
from wr.store.script import Argument, Script, ScriptCall, load_script

MOST_PER_CALL = 1_000
"""How many visitors one call tells of."""

_PARTS = (
    *("config", "waiting", "seen", "sessions", "records", "extras", "tombstones"),
    *("bucket", "addresses", "recalled"),
)


class AdmittedVisitor(msgspec.Struct, frozen=True):
    """A visitor that a server saw let in. Times are milliseconds since 1970."""

    position_id: bytes
    started_ms: int
    ends_ms: int


class RecallScript:
    """Calls of `recall.lua`."""

    script: Script[int] = load_script("recall")

    def __init__(self, keys: KeyNames) -> None:
        self._keys = keys

    def call(self, queue_id: str, now_ms: int, visitors: Sequence[AdmittedVisitor]) -> ScriptCall:
        """Spell KEYS and ARGV for these visitors of one queue."""
        arguments: list[Argument] = [now_ms]
        for visitor in visitors:
            arguments += (visitor.position_id, visitor.started_ms, visitor.ends_ms)
        return self._keys.queue(queue_id, *_PARTS), arguments

    def reply(self, raw: int) -> int:
        """Read the reply: how many of these visitors were in line, and have their session again."""
        return raw
