"""Joining the line: `enqueue.lua`."""

from collections.abc import Sequence
from enum import Enum
from typing import Any

import msgspec

from wr.model import places
from wr.model.limits import Limit
from wr.store.key_names import GLOBAL_TAG, KeyNames
from wr.store.script import load_script

_PARTS = (
    "config",
    "waiting",
    "seen",
    "sessions",
    "records",
    "extras",
    "people",
    "counters",
    "addresses",
    "passes",
    "pass_ends",
    "blocks",
    "retries_even",
    "retries_odd",
)
_NONE_4, _NONE_16 = bytes(4), bytes(16)
_ARRIVAL_SPAN = 2**48
_ARRIVAL_EPOCH_MS = 1_704_067_200_000
_ARRIVALS_PER_MS = 256


class IdentityKind(Enum):
    """To which callers a place is given back."""

    OPEN = b"o"
    """To every caller of the same identity."""
    TOKEN = b"t"
    """To the holder of its token alone; the identity only keeps others from a second place."""
    PROVED = b"p"
    """To every caller that proves the same identity: with a pass, or as the site itself."""
    USER = b"u"
    """The caller is a user of the second API, whose place has an id made of the user's number."""
    NO_ENTRY = b"x"
    """The caller may find a place, but take no new one: the queue asks for a pass."""


class PassUse(msgspec.Struct, frozen=True):
    """What the store needs to know of a pass that comes with a join."""

    digest: bytes
    """16 bytes that stand for the pass's id."""
    uses: int
    """How many places the pass gives; 0 is any number."""
    expires_ms: int


class Join(msgspec.Struct, frozen=True):
    """One visitor that asks for a place."""

    new_id: bytes
    """16 bytes that name the place if it is a new one."""
    known_id: bytes
    """The place that a token proves, or empty."""
    priority: int
    subject: bytes
    """The address that the join limit counts; empty when the join is not counted."""
    person: bytes
    """16 bytes that stand for the visitor's identity, or empty."""
    metadata: bytes
    """JSON kept beside the place, or empty."""
    kind: IdentityKind = IdentityKind.OPEN
    name: bytes = b""
    """16 bytes that stand for an identity that the visitor only claims, or empty."""
    address: bytes = b""
    """4 bytes that stand for the visitor's address; empty when it is not the visitor's own."""
    is_counted: bool = True
    """Whether the place counts among those that the address may hold."""
    used_pass: PassUse | None = None
    retry: bytes = b""
    """What finds the place again when the join is tried again, or empty: see `wr.model.idempotency_key`."""


class InLine(msgspec.Struct, frozen=True):
    """A place in line, with what its token must say."""

    is_new: bool
    position: int
    priority: int
    enqueued_ms: int
    enqueued_part: int = 0
    """256ths of a millisecond after `enqueued_ms`."""


JoinPlace = (
    InLine
    | places.Admitted
    | places.Full
    | places.Closed
    | places.Limited
    | places.NoQueue
    | places.TooManyPlaces
    | places.Taken
    | places.Blocked
    | places.PassRefused
    | places.KeyReused
    | places.NoMemory
)
_OTHER: dict[int, JoinPlace] = {
    0: places.NO_QUEUE,
    4: places.FULL,
    5: places.CLOSED,
    6: places.LIMITED,
    8: places.TAKEN,
    10: places.PassRefused.USED_UP,
    11: places.PassRefused.REVOKED,
    12: places.PassRefused.MISSING,
    13: places.NO_MEMORY,
    14: places.KEY_REUSED,
}


class Joined(msgspec.Struct, frozen=True):
    """The answer to one join."""

    now_ms: int
    queue_length: int
    position_id: bytes
    used: int
    """Joins of this subject in this window, this one included; 0 where there is no limit."""
    place: JoinPlace


class EnqueueScript:
    """Calls of `enqueue.lua` for one limit."""

    script = load_script("enqueue")

    def __init__(self, keys: KeyNames, limit: Limit) -> None:
        self._keys = keys
        self._limit = limit

    def call(
        self,
        queue_id: str,
        now_ms: int,
        joins: Sequence[Join],
        used: Sequence[int] | None = None,
        *,
        is_short: bool = False,
    ) -> tuple[list[str], list[Any]]:
        """Spell KEYS and ARGV for these joins of one queue.

        The script itself counts the joins of each address over all queues. With `used`, one number for each
        join, they have been counted already: as they must be where the store keeps that count on another
        shard than the queue. `is_short` says that the store's memory is: then nobody gets a new place.
        """
        used_text = "" if used is None else "".join(f"{count}," for count in used)
        limit = (self._limit.count, self._limit.window_s * 1000)
        arguments: list[Any] = [now_ms, *limit, used_text, int(is_short)]
        for join in joins:
            counted = b"c" if join.is_counted else b"n"
            address = join.address or _NONE_4
            wish = b"%b%b%b%b%d%b" % (
                *(join.new_id, address, join.kind.value, counted, join.priority),
                join.retry,
            )
            arguments += (wish, join.subject, _proofs(join))
        keys = self._keys.queue(queue_id, *_PARTS)
        return keys if used is not None else [
            *keys,
            *self._keys.queue(GLOBAL_TAG, "limit_enqueue"),
        ], arguments

    def replies(self, raw: list[Any]) -> list[Joined]:
        """Read the reply: one answer per join, in order."""
        now_ms, length = raw[0], raw[1]
        return [
            Joined(now_ms, length, raw[at + 1], raw[at + 4], _place(raw[at], raw[at + 2], raw[at + 3]))
            for at in range(2, len(raw), 5)
        ]


def line_score(priority: int, enqueued_ms: int, enqueued_part: int) -> int:
    """Spell where a place stands in line: the score of its member of `waiting` (see lib/arrivals.lua)."""
    arrival = (enqueued_ms - _ARRIVAL_EPOCH_MS) * _ARRIVALS_PER_MS + enqueued_part
    return (3 - priority) * _ARRIVAL_SPAN + arrival


def _proofs(join: Join) -> bytes:
    """Spell what a visitor brings, as the script's header says; nothing for one that brings nothing."""
    used = join.used_pass
    if used is None and not (join.known_id or join.person or join.name or join.metadata):
        return b""
    spelled = b"" if used is None else b"%b%d:%d" % (used.digest, used.uses, used.expires_ms)
    identities = (join.known_id or _NONE_16, join.person or _NONE_16, join.name or _NONE_16)
    return b"%b%b%b%03d%b%b" % (*identities, len(spelled), spelled, join.metadata)


def _place(outcome: int, first: Any, second: Any) -> JoinPlace:
    if outcome in (1, 2):
        score = int(second)
        return InLine(
            is_new=outcome == 1,
            position=first,
            priority=3 - score // _ARRIVAL_SPAN,
            enqueued_ms=score % _ARRIVAL_SPAN // _ARRIVALS_PER_MS + _ARRIVAL_EPOCH_MS,
            enqueued_part=score % _ARRIVALS_PER_MS,
        )
    if outcome == 3:
        return places.Admitted(int(first), int(second))
    if outcome == 7:
        return places.TooManyPlaces(int(first))
    if outcome == 9:
        return places.Blocked(int(first))
    return _OTHER[outcome]
