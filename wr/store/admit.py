"""The admission pass: `admit.lua`."""

import msgspec

from wr.model.wait_estimate import Second
from wr.store.key_names import KeyNames
from wr.store.script import Script, ScriptCall, load_script

MOST_PER_CALL = 2_000
"""How many visitors of each kind one call handles: about 10 ms of the store's time at most."""

LONGEST_HOLD_S = 60.0
"""For how many seconds at most no visitor is let in after the store has forgotten."""
LEAST_GAP_MS = 2_000
"""The shortest time without a pass that counts as a gap, in which no visitor could be heard.

A slow command of the store, or a busy machine, delays passes by less."""
_INTERVALS_IN_A_GAP = 4

_PARTS = (
    "config",
    "waiting",
    "seen",
    "sessions",
    "records",
    "extras",
    "people",
    "tombstones",
    "counters",
    "bucket",
    "ring",
    "history_fine",
    "history_coarse",
    "addresses",
    "passes",
    "pass_ends",
    "blocks",
    "block_notes",
)


_Reply = tuple[
    *tuple[int, int, int, int, int, int],
    *tuple[list[bytes], list[bytes], list[bytes], list[bytes]],
    *tuple[int, list[int], list[int], int, int, list[int]],
]


class Known(msgspec.Struct, frozen=True):
    """What a server knows of a queue from its last pass over it."""

    created_ms: int = 0
    """When the queue was created. A later queue of the same name has another time."""
    passes: int = 0
    waiting: int = 0


NOTHING_KNOWN = Known()


class Forgotten(msgspec.Struct, frozen=True):
    """The store came back without some of what it had acknowledged. Times are milliseconds since 1970."""

    at_ms: int
    """When a pass noticed it."""
    held_until_ms: int
    """Until when no visitor is let in, so that the line can form again."""
    acknowledged: int
    """How many visitors waited at the last pass before."""
    restored: int
    """How many places and sessions have come back from their tokens."""


def least_gap_ms(admission_interval_s: float) -> int:
    """Return after how many milliseconds without a pass visitors count as not heard."""
    return max(LEAST_GAP_MS, round(_INTERVALS_IN_A_GAP * admission_interval_s * 1000))


class AdmissionPass(msgspec.Struct, frozen=True, kw_only=True):
    """What one admission pass over one queue did and saw."""

    now_ms: int
    config_version: int
    waiting: int
    active: int
    more: bool
    """Whether there was more to do than one call does."""
    dropped: list[bytes]
    ended: list[bytes]
    admitted: list[bytes]
    sessions_end_ms: int
    """When the sessions of the visitors let in end."""
    waits_ms: list[int]
    """How long each of the visitors let in had waited, in their order."""
    seconds: list[Second]
    """What happened in each of the last seconds."""
    waiting_by_priority: tuple[int, ...]
    """How many visitors of priority 0, 1, 2 and 3 wait."""
    passes: int = 0
    """How many passes over this queue the store remembers."""
    forgotten: Forgotten | None = None
    """None if the store has forgotten nothing of this queue."""

    @property
    def is_held(self) -> bool:
        """Whether no visitor is let in, because the store has forgotten places and the line forms again."""
        return self.forgotten is not None and self.now_ms < self.forgotten.held_until_ms

    heard_ms: int = 0
    """When visitors could be heard again after the last gap in the passes; 0 if there was none."""
    gap_ms: int = 0
    """How long that gap lasted; negative if the clock went back by that much."""


class AdmitScript:
    """Calls of `admit.lua`."""

    script: Script[_Reply] = load_script("admit")

    def __init__(
        self,
        keys: KeyNames,
        most: int = MOST_PER_CALL,
        gap_ms: int = LEAST_GAP_MS,
        longest_hold_s: float = LONGEST_HOLD_S,
    ) -> None:
        self._keys = keys
        self._most = most
        self._gap_ms = gap_ms
        self._longest_hold_ms = int(longest_hold_s * 1000)

    def call(
        self, queue_id: str, now_ms: int, known: Known = NOTHING_KNOWN, *, is_short: bool = False
    ) -> ScriptCall:
        """Spell KEYS and ARGV for a pass over one queue; `is_short` says that the store's memory is short."""
        return self._keys.queue(queue_id, *_PARTS), [
            *(now_ms, self._most, self._gap_ms),
            *(known.created_ms, known.passes, known.waiting, self._longest_hold_ms, int(is_short)),
        ]

    def reply(self, raw: _Reply) -> AdmissionPass | None:
        """Read the reply; None if there is no such queue."""
        exists, now_ms, version, waiting, active, more, dropped, ended, admitted, seconds = raw[:10]
        end_ms, waits, lengths, heard_ms, gap_ms, memory = raw[10:]
        if not exists:
            return None
        return AdmissionPass(
            now_ms=now_ms,
            config_version=version,
            waiting=waiting,
            active=active,
            more=bool(more),
            dropped=dropped,
            ended=ended,
            admitted=admitted,
            sessions_end_ms=end_ms,
            waits_ms=waits,
            seconds=read_seconds(seconds),
            waiting_by_priority=tuple(lengths),
            passes=memory[0],
            forgotten=Forgotten(*memory[1:]) if memory[1] else None,
            heard_ms=heard_ms,
            gap_ms=gap_ms,
        )


def read_seconds(values: list[bytes]) -> list[Second]:
    """Read the ring's values `second:admitted:ended`."""
    return [Second(*map(int, value.split(b":"))) for value in values]
