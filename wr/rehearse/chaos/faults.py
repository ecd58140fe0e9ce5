"""Kinds of faults, and their schedule, which a seed repeats. Pure."""

from collections.abc import Iterator, Sequence
from enum import Enum
from random import Random

import msgspec

MOST_FAULTS = 10_000
_SHORT_S = (0.2, 1.5)
_LONG_SHARE = 0.25
_LONG_TIMEOUTS = (1.05, 1.5)
_RATE_FACTORS = (0.5, 1.0, 1.5)


class FaultKind(Enum):
    """One kind of fault. The value is its name on the command line."""

    KILL_SERVER = "kill-server"
    """`kill -9` of one server, which starts again after a while."""
    FREEZE_SERVER = "freeze-server"
    """SIGSTOP of one server for a while; its connections stay open."""
    STOP_SERVER = "stop-server"
    """SIGTERM to one server, which starts again after a while."""
    KILL_STORE = "kill-store"
    """`kill -9` of the store, which starts again after a while with its data on disk."""
    FREEZE_STORE = "freeze-store"
    """SIGSTOP of the store for a while."""
    FORGET_STORE = "forget-store"
    """`kill -9` of the store, which starts again empty, like a store without persistence."""
    REWIND_STORE = "rewind-store"
    """`kill -9` of the store, which starts again from an older snapshot."""
    POWER_CUT = "power-cut"
    """`kill -9` of the store and all servers, which all start again at the same time."""
    CHANGE_RATE = "change-rate"
    """The operator changes the queue's admission rate."""

    @property
    def is_of_servers(self) -> bool:
        """Whether the fault affects one server."""
        return self in (FaultKind.KILL_SERVER, FaultKind.FREEZE_SERVER, FaultKind.STOP_SERVER)

    @property
    def may_be_long(self) -> bool:
        """Whether the fault may last longer than the heartbeat timeout."""
        return self not in (FaultKind.CHANGE_RATE, FaultKind.FORGET_STORE, FaultKind.REWIND_STORE)


class Fault(msgspec.Struct, frozen=True):
    """One planned fault."""

    number: int
    """From 1 on."""
    kind: FaultKind
    at_s: float
    """Seconds after the start; later if an earlier fault of the same process is not undone yet."""
    server: int
    """Index of the server, from 0; also 0 if the fault does not affect a server."""
    lasts_s: float
    """Seconds until the fault is undone."""
    factor: float
    """Factor for the admission rate of the run; 1 if the fault does not change the rate."""


def parse_kinds(text: str) -> tuple[FaultKind, ...]:
    """Read `kill-store,freeze-server`, or `all`.

    Raises:
        ValueError: a name is not a kind of fault.
    """
    if text.strip() == "all":
        return tuple(FaultKind)
    names = [name.strip() for name in text.split(",") if name.strip()]
    known = {kind.value: kind for kind in FaultKind}
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        what = f"there is no fault '{unknown[0]}'" if unknown else "no fault is named"
        raise ValueError(f"{what}; there are: {', '.join(known)}, or all")
    return tuple(dict.fromkeys(known[name] for name in names))


def schedule(
    kinds: Sequence[FaultKind],
    *,
    faults: int,
    every_s: float,
    longest_s: float,
    servers: int,
    heartbeat_timeout_s: float,
    random: Random,
) -> Iterator[Fault]:
    """Plan all faults, in the order in which they begin.

    Kinds take turns in a shuffled order, so that each kind happens about equally often even in a short run.
    """
    turn: list[FaultKind] = []
    at_s = 0.0
    for number in range(1, faults + 1):
        if not turn:
            turn = list(kinds)
            random.shuffle(turn)
        kind = turn.pop()
        at_s += random.uniform(0.5, 1.5) * every_s
        is_long = random.random() < _LONG_SHARE and kind.may_be_long
        lasts_s = (
            heartbeat_timeout_s * random.uniform(*_LONG_TIMEOUTS) if is_long else random.uniform(*_SHORT_S)
        )
        server, factor = random.randrange(servers), random.choice(_RATE_FACTORS)
        yield Fault(
            number=number,
            kind=kind,
            at_s=at_s,
            server=server if kind.is_of_servers else 0,
            lasts_s=0.0 if kind is FaultKind.CHANGE_RATE else min(lasts_s, longest_s),
            factor=factor if kind is FaultKind.CHANGE_RATE else 1.0,
        )
