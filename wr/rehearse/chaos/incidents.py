"""What was done during a rehearsal, and what that excuses. Pure.

Times that end in `_s` are the rehearsal's clock, the one that answers are noted by.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise

import msgspec

from wr.rehearse.chaos.faults import FaultKind

_ENDS_SERVERS = (FaultKind.KILL_SERVER, FaultKind.STOP_SERVER, FaultKind.POWER_CUT)

RATE_HOLDS_S = 2.0
"""How long a changed rate may take to hold at every server: far more than one admission interval."""

HEALS_WITHIN_S = 30.0
"""How long after a fault was undone every server must be healthy again."""


class Incident(msgspec.Struct, frozen=True):
    """One fault that happened."""

    number: int
    kind: FaultKind
    began_s: float
    """Not later than it was done."""
    undone_s: float
    """Not earlier than it was undone; infinite if the rehearsal ended before."""
    healed_s: float
    """When every server said again that it is healthy; infinite if none of that was seen."""
    lost_since_s: float = math.inf
    """What the store took in after this may be forgotten; infinite where it forgets nothing."""
    detail: str = ""

    @property
    def forgets(self) -> bool:
        """Whether the store came back without all that it had taken in."""
        return self.lost_since_s < math.inf


class RateChange(msgspec.Struct, frozen=True):
    """A change of the admission rate. One that got no answer may or may not have been made."""

    sent_s: float
    answered_s: float
    rate: float
    is_sure: bool


class Death(msgspec.Struct, frozen=True):
    """A process that ended although nothing had been done to it."""

    name: str
    at_s: float
    exit_code: int


class Record(msgspec.Struct, frozen=True):
    """All that was done, and all that happened by itself."""

    incidents: tuple[Incident, ...]
    rate_changes: tuple[RateChange, ...] = ()
    deaths: tuple[Death, ...] = ()
    wanted: int = 0
    """How many faults were to happen."""
    clock_ahead_ms: float | None = None
    """What the system's clock is ahead of the rehearsal's; None where it was not measured. Servers and store
    are on this machine, so it is theirs, too."""

    @property
    def forgetting(self) -> tuple[Incident, ...]:
        """The faults after which the store may have forgotten something."""
        return tuple(incident for incident in self.incidents if incident.forgets)

    def during(self, from_s: float, until_s: float, slack_s: float) -> bool:
        """Whether something was amiss at any moment of a span, or up to `slack_s` before it."""
        return any(
            incident.kind is not FaultKind.CHANGE_RATE
            and incident.began_s <= until_s
            and incident.healed_s + slack_s >= from_s
            for incident in self.incidents
        )

    def server_ended(self, from_s: float, until_s: float) -> bool:
        """Whether a server was ended in a span, or was down at some moment of it."""
        return any(
            incident.kind in _ENDS_SERVERS and incident.began_s <= until_s and incident.healed_s >= from_s
            for incident in self.incidents
        )

    def dropped_by_s(self, heard_s: float, timeout_s: float, margin_s: float) -> float:
        """Tell when a visitor that fell silent must be gone at the latest.

        Nobody is dropped until one whole timeout after an outage, and after a store forgot, what was dropped
        may reappear for one timeout. The store counts whole outages, so each begins the time anew. After a
        store forgot, the line may form for one timeout before the timeout counts.
        """
        limit_s = heard_s + timeout_s + margin_s
        for incident in sorted(self.incidents, key=lambda each: each.began_s):
            if incident.kind is not FaultKind.CHANGE_RATE and incident.began_s <= limit_s:
                timeouts = 2 if incident.forgets else 1
                limit_s = max(limit_s, incident.healed_s + timeouts * timeout_s + margin_s)
        return limit_s


class Rates:
    """The fastest admission that may have been set at each moment, in the server's milliseconds."""

    def __init__(
        self,
        first: float,
        changes: Sequence[RateChange],
        to_earliest_ms: float,
        to_latest_ms: float,
        slack_s: float,
    ) -> None:
        """Put together what was set.

        `to_earliest_ms` and `to_latest_ms` bound what the server's clock is ahead of the rehearsal's, and
        `slack_s` is how long a change takes to hold everywhere.
        """
        self._first = first
        steps: list[tuple[float, float]] = [(-math.inf, first)]
        possible = [first]
        unsure: list[float] = []
        for change in changes:
            begins_ms = change.sent_s * 1000 + to_earliest_ms
            steps.append((begins_ms, max(*possible, change.rate)))
            # What was in force before a change that is sure is over when all servers know of it. One
            # that got no answer may lie with a server that stands still, and be carried out later.
            if not change.is_sure:
                unsure.append(change.rate)
            possible = [*unsure, change.rate] if change.is_sure else [*possible, change.rate]
            steps.append(((change.answered_s + slack_s) * 1000 + to_latest_ms, max(possible)))
        steps.sort(key=lambda step: step[0])
        self._starts = [start for start, _ in steps]
        self._rates = [rate for _, rate in steps]
        self._sums = [0.0]
        for (start, rate), (end, _) in pairwise(steps):
            begin = end if math.isinf(start) else start
            self._sums.append(self._sums[-1] + rate * (end - begin) / 1000)

    @property
    def fastest(self) -> float:
        """The highest rate that was ever set."""
        return max(self._rates)

    def allowed_until(self, time_ms: float) -> float:
        """How many may have been let in by then, counted from some moment that stays the same."""
        index = bisect_right(self._starts, time_ms) - 1
        start_ms = self._starts[index]
        if math.isinf(start_ms):
            first_ms = self._starts[1] if len(self._starts) > 1 else 0.0
            return self._rates[0] * (time_ms - first_ms) / 1000
        return self._sums[index] + self._rates[index] * (time_ms - start_ms) / 1000

    def most_beyond(self, times_ms: Sequence[int]) -> float:
        """How many more than allowed were let in within any window that begins and ends with an admission."""
        most, least = 0.0, math.inf
        for count, time_ms in enumerate(sorted(times_ms)):
            level = count - self.allowed_until(time_ms)
            least = min(least, level)
            most = max(most, level - least + 1)
        return most
