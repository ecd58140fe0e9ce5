"""Joining the line: `enqueue.lua`."""

from collections.abc import Sequence
from enum import Enum

import msgspec

from wr.model.join_denials import AddressAtLimit, BlockedUntil, Denial, JoinDenied
from wr.model.limits import Limit
from wr.model.places import Admitted, Unserved, Waiting
from wr.store.arrivals import EPOCH_MS, PER_MS, SPAN
from wr.store.key_names import GLOBAL_TAG, KeyNames
from wr.store.script import Argument, MixedReply, Script, ScriptCall, load_script

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
_DENIED: dict[int, JoinDenied] = {
    0: Unserved.NO_QUEUE,
    4: Denial.LINE_FULL,
    5: Denial.LINE_CLOSED,
    6: Unserved.LIMITED,
    8: Denial.IDENTITY_HELD,
    10: Denial.PASS_USED_UP,
    11: Denial.PASS_REVOKED,
    12: Denial.PASS_MISSING,
    13: Denial.NO_MEMORY,
    14: Denial.OTHER_JOIN,
}


class IdentityKind(Enum):
    """Which callers find a place again."""

    OPEN = b"o"
    """Every caller of the same identity."""
    TOKEN = b"t"
    """The holder of its token alone. The identity only keeps others from a second place."""
    PROVED = b"p"
    """Every caller that proves the same identity, with a pass or as the site itself."""
    USER = b"u"
    """The caller is a user of the second API. The id of its place is made of the user's number."""
    NO_ENTRY = b"x"
    """The caller may find its place but take no new one, because the queue asks for a pass."""


class PassUse(msgspec.Struct, frozen=True):
    """What the store needs to know of the pass that a join brings."""

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
    """The address that the join limit counts; empty if the join is not counted."""
    person: bytes
    """16 bytes that stand for the visitor's identity, or empty."""
    metadata: bytes
    """JSON kept beside the place, or empty."""
    kind: IdentityKind = IdentityKind.OPEN
    name: bytes = b""
    """16 bytes that stand for an identity that the visitor only claims, or empty."""
    address: bytes = b""
    """4 bytes that stand for the visitor's address; empty if the address is not the visitor's own."""
    is_counted: bool = True
    """Whether the place counts among those that the address may hold."""
    used_pass: PassUse | None = None
    retry: bytes = b""
    """Finds the place again if the join is tried again, or empty: see `wr.model.idempotency_key`."""


class Joined(msgspec.Struct, frozen=True):
    """The answer to one join."""

    now_ms: int
    queue_length: int
    position_id: bytes
    used: int
    """Joins of this subject in this window, this one included; 0 where there is no limit."""
    place: Waiting | Admitted | JoinDenied
    is_new: bool = False
    """Whether this join took the place."""
    priority: int = 0
    """Of a place in line, as the next two."""
    enqueued_ms: int = 0
    enqueued_part: int = 0
    """256ths of a millisecond after `enqueued_ms`."""


class EnqueueScript:
    """Calls of `enqueue.lua` for one limit."""

    script: Script[MixedReply] = load_script("enqueue")

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
    ) -> ScriptCall:
        """Spell KEYS and ARGV for these joins of one queue.

        The script counts the joins of each address over all queues. `used`, one number for each join, says
        that they were counted before. This is needed if the store keeps that count on another shard than the
        queue. `is_short` says that the store's memory is short: then no visitor gets a new place.
        """
        used_text = "" if used is None else "".join(f"{count}," for count in used)
        limit = (self._limit.count, self._limit.window_s * 1000)
        arguments: list[Argument] = [now_ms, *limit, used_text, int(is_short)]
        for join in joins:
            counted = b"c" if join.is_counted else b"n"
            address = join.address or _NONE_4
            wish = b"%b%b%b%b%d%b" % (
                *(join.new_id, address, join.kind.value, counted, join.priority),
                join.retry,
            )
            arguments += (wish, join.subject, _proofs(join))
        keys = self._keys.queue(queue_id, *_PARTS)
        if used is None:
            keys += self._keys.queue(GLOBAL_TAG, "limit_enqueue")
        return keys, arguments

    def replies(self, raw: MixedReply) -> list[Joined]:
        """Read the reply: one answer per join, in order."""
        now_ms, length = raw[0], raw[1]
        return [
            _joined(now_ms, length, raw[at], raw[at + 1], raw[at + 2], raw[at + 3], raw[at + 4])
            for at in range(2, len(raw), 5)
        ]


def _joined(
    now_ms: int,
    length: int,
    outcome: int,
    position_id: bytes,
    first: int | bytes,
    second: int | bytes,
    used: int,
) -> Joined:
    """Read one answer; what `first` and `second` mean depends on the outcome."""
    if outcome in (1, 2):
        score = int(second)
        arrival = score % SPAN
        return Joined(
            now_ms,
            length,
            position_id,
            used,
            Waiting(int(first)),
            outcome == 1,
            3 - score // SPAN,
            arrival // PER_MS + EPOCH_MS,
            arrival % PER_MS,
        )
    place: Admitted | JoinDenied
    if outcome == 3:
        place = Admitted(int(first), int(second))
    elif outcome == 7:
        place = AddressAtLimit(int(first))
    elif outcome == 9:
        place = BlockedUntil(int(first))
    else:
        place = _DENIED[outcome]
    return Joined(now_ms, length, position_id, used, place)


def _proofs(join: Join) -> bytes:
    """Spell what a visitor brings, as the script's header says; empty for a visitor that brings nothing."""
    used = join.used_pass
    if used is None and not (join.known_id or join.person or join.name or join.metadata):
        return b""
    spelled = b"" if used is None else b"%b%d:%d" % (used.digest, used.uses, used.expires_ms)
    identities = (join.known_id or _NONE_16, join.person or _NONE_16, join.name or _NONE_16)
    return b"%b%b%b%03d%b%b" % (*identities, len(spelled), spelled, join.metadata)
