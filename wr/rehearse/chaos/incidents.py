"""Records the faults of a run, and computes which deviations of the server they excuse. Pure.

Times that end in `_s` are on the rehearsal's clock, as the times of answers are.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise

import msgspec

from wr.rehearse.chaos.faults import FaultKind

_ENDS_SERVERS = (FaultKind.KILL_SERVER, FaultKind.STOP_SERVER, FaultKind.POWER_CUT)

RATE_HOLDS_S = 2.0
"""Seconds within which a changed rate takes effect on every server: far more than one admission interval."""

HEALS_WITHIN_S = 30.0
"""Seconds after the end of a fault within which every server must be healthy again."""


class Incident(msgspec.Struct, frozen=True):
    """One fault that happened."""

    number: int
    kind: FaultKind
    began_s: float
    """A time at or before the fault was injected."""
    undone_s: float
    """A time at or after the fault was undone; infinite if the run ended before."""
    healed_s: float
    """When every server reported again that it is healthy; infinite if that was not observed."""
    lost_since_s: float = math.inf
    """The store may have lost what it stored after this time; infinite if it loses nothing."""
    detail: str = ""

    @property
    def forgets(self) -> bool:
        """Whether the store may have lost data."""
        return self.lost_since_s < math.inf


class RateChange(msgspec.Struct, frozen=True):
    """A change of the admission rate. Without an answer, it may or may not have taken effect."""

    sent_s: float
    answered_s: float
    rate: float
    is_sure: bool


class Death(msgspec.Struct, frozen=True):
    """A process that ended without a fault."""

    name: str
    at_s: float
    exit_code: int


class Record(msgspec.Struct, frozen=True):
    """All faults of a run, and all processes that ended without one."""

    incidents: tuple[Incident, ...]
    rate_changes: tuple[RateChange, ...] = ()
    deaths: tuple[Death, ...] = ()
    wanted: int = 0
    """Number of planned faults whose time came."""
    clock_ahead_ms: float | None = None
    """By how much the system's clock is ahead of the rehearsal's; None if not measured. Servers and store run
    on this machine, so they use the system's clock."""

    @property
    def forgetting(self) -> tuple[Incident, ...]:
        """The faults after which the store may have lost data."""
        return tuple(incident for incident in self.incidents if incident.forgets)

    def during(self, from_s: float, until_s: float, slack_s: float) -> bool:
        """Whether a fault was in effect at any moment of a span, or up to `slack_s` before it."""
        return any(
            incident.kind is not FaultKind.CHANGE_RATE
            and incident.began_s <= until_s
            and incident.healed_s + slack_s >= from_s
            for incident in self.incidents
        )

    def server_ended(self, from_s: float, until_s: float) -> bool:
        """Whether a server was killed or stopped within a span, or was down at some moment of it."""
        return any(
            incident.kind in _ENDS_SERVERS and incident.began_s <= until_s and incident.healed_s >= from_s
            for incident in self.incidents
        )

    def dropped_by_s(self, heard_s: float, timeout_s: float, margin_s: float) -> float:
        """Return the time by which a visitor who fell silent must be dropped.

        The server drops no visitor until one whole timeout after an outage; each outage starts that time
        again. After the store lost data, dropped visitors may reappear for one timeout, and the queue may
        take one timeout to form again before the timeout counts.
        """
        limit_s = heard_s + timeout_s + margin_s
        for incident in sorted(self.incidents, key=lambda each: each.began_s):
            if incident.kind is not FaultKind.CHANGE_RATE and incident.began_s <= limit_s:
                timeouts = 2 if incident.forgets else 1
                limit_s = max(limit_s, incident.healed_s + timeouts * timeout_s + margin_s)
        return limit_s


class Rates:
    """The highest admission rate that may have been in effect at each moment, on the server's clock."""

    def __init__(
        self,
        first: float,
        changes: Sequence[RateChange],
        to_earliest_ms: float,
        to_latest_ms: float,
        slack_s: float,
    ) -> None:
        """Combine the first rate and its changes.

        `to_earliest_ms` and `to_latest_ms` bound how far the server's clock is ahead of the rehearsal's.
        `slack_s` is how many seconds a change takes to reach every server.
        """
        self._first = first
        steps: list[tuple[float, float]] = [(-math.inf, first)]
        possible = [first]
        unsure: list[float] = []
        for change in changes:
            begins_ms = change.sent_s * 1000 + to_earliest_ms
            steps.append((begins_ms, max(*possible, change.rate)))
            # A confirmed change replaces the earlier rates when all servers know it. A frozen server may hold
            # a change that got no answer, and carry it out later.
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
        """The highest rate of the run."""
        return max(self._rates)

    def allowed_until(self, time_ms: float) -> float:
        """Number of admissions allowed until then, counted from a fixed moment."""
        index = bisect_right(self._starts, time_ms) - 1
        start_ms = self._starts[index]
        if math.isinf(start_ms):
            first_ms = self._starts[1] if len(self._starts) > 1 else 0.0
            return self._rates[0] * (time_ms - first_ms) / 1000
        return self._sums[index] + self._rates[index] * (time_ms - start_ms) / 1000

    def most_beyond(self, times_ms: Sequence[int]) -> float:
        """The most admissions above what is allowed, in any window that begins and ends with an admission."""
        most, least = 0.0, math.inf
        for count, time_ms in enumerate(sorted(times_ms)):
            level = count - self.allowed_until(time_ms)
            least = min(least, level)
            most = max(most, level - least + 1)
        return most
