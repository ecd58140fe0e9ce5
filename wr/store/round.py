"""Beginning a round of admission passes, and noticing whether the store has forgotten: `round.lua`."""

import msgspec

from wr.store.key_names import KeyNames
from wr.store.script import Script, ScriptCall, load_script


class Round(msgspec.Struct, frozen=True):
    """What the store says at the beginning of a round of admission passes."""

    count: int
    """Rounds of all servers so far. The count only grows, unless the store forgets."""
    has_forgotten: bool
    """Whether the server knows of more rounds than the store does."""
    forgot_ms: int
    """When the store last forgot, in milliseconds since 1970; 0 is never."""
    queue_ids: list[str]


class RoundScript:
    """Calls of `round.lua`."""

    script: Script[tuple[int, int, int, list[bytes]]] = load_script("round")

    def __init__(self, keys: KeyNames) -> None:
        self._keys = [keys.shared("rounds"), keys.shared("queues")]

    def call(self, now_ms: int, known_rounds: int) -> ScriptCall:
        """Spell KEYS and ARGV; with 0 known rounds nothing is compared."""
        return self._keys, [now_ms, known_rounds]

    def reply(self, raw: tuple[int, int, int, list[bytes]]) -> Round:
        """Read the reply; ids of queues come in order."""
        count, has_forgotten, forgot_ms, names = raw
        return Round(count, bool(has_forgotten), forgot_ms, sorted(name.decode() for name in names))
