"""Figures: their names, their targets, and whether measured values meet them."""

import statistics
from collections.abc import Sequence

import msgspec


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One measured quantity. In `label`, `{people}` stands for the number of visitors in the long queue."""

    key: str
    label: str
    unit: str
    digits: int = 0
    at_least: float | None = None
    at_most: float | None = None
    peer: tuple[float, ...] = ()
    """Lowest and highest value of the strongest self-hosted peer (Go + Redis) on a similar machine."""

    @property
    def must(self) -> str:
        """The target in words; empty if there is none."""
        low, high = self.at_least, self.at_most
        if low is not None and high is not None:
            return self.spell(low) if low == high else f"{self.spell(low)} to {self.spell(high)}"
        if low is not None:
            return f"≥ {self.spell(low)}"
        return "" if high is None else f"≤ {self.spell(high)}"

    def spell(self, value: float) -> str:
        """Format a value of this figure, without its unit."""
        return f"{value:,.{self.digits}f}"

    def is_met(self, value: float) -> bool | None:
        """Whether a value meets the target; None if there is none."""
        if self.at_least is None and self.at_most is None:
            return None
        low = -float("inf") if self.at_least is None else self.at_least
        high = float("inf") if self.at_most is None else self.at_most
        return low <= value <= high


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """The measured values of one figure, one for each repetition."""

    key: str
    values: tuple[float, ...]
    note: str = ""
    is_judged: bool = True
    """False if the target does not apply to this set-up."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the report."""

    stage: str
    key: str
    label: str
    unit: str
    digits: int
    median: float
    least: float
    most: float
    values: tuple[float, ...]
    must: str
    at_least: float | None
    at_most: float | None
    peer: tuple[float, ...]
    is_met: bool | None
    note: str

    def spell(self, value: float) -> str:
        """Format a value of this row, without its unit."""
        return f"{value:,.{self.digits}f}"


def judge(stage: str, finding: Finding, people: int) -> Row:
    """Create a line of the report. The median counts.

    Raises:
        KeyError: there is no such figure.
        ValueError: nothing was measured.
    """
    figure = FIGURES[finding.key]
    if not finding.values:
        raise ValueError(f"there are no values of {finding.key}")
    median = statistics.median(finding.values)
    return Row(
        stage=stage,
        key=figure.key,
        label=figure.label.format(people=f"{people:,}"),
        unit=figure.unit,
        digits=figure.digits,
        median=median,
        least=min(finding.values),
        most=max(finding.values),
        values=finding.values,
        must=figure.must,
        at_least=figure.at_least,
        at_most=figure.at_most,
        peer=figure.peer,
        is_met=figure.is_met(median) if finding.is_judged else None,
        note=finding.note,
    )


def ratios(above: Sequence[float], below: Sequence[float]) -> tuple[float, ...]:
    """Divide round by round, so that only values from the same time are compared."""
    return tuple(one / other for one, other in zip(above, below, strict=True))


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that `share` of the values do not exceed; NaN if there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else float("nan")


_PEER_JOINS = (12_200.0,)
_PEER_POLLS = (15_600.0,)

_ALL = (
    Figure(key="enqueue.fast", label="enqueue, fast lane", unit="/s", peer=_PEER_JOINS),
    Figure(key="enqueue.off", label="enqueue, lane off", unit="/s"),
    Figure(key="enqueue.bare", label="enqueue, bare Trio + httptools", unit="/s"),
    Figure(key="enqueue.to_off", label="enqueue, fast lane ÷ lane off", unit="times", digits=2, at_least=4),
    Figure(
        key="enqueue.to_bare",
        label="enqueue, fast lane ÷ bare",
        unit="times",
        digits=3,
        at_least=0.21,
        peer=(0.20,),
    ),
    Figure(
        key="enqueue.p99",
        label="enqueue, 99th percentile, 256 connections",
        unit="ms",
        digits=1,
        at_most=31,
        peer=(31,),
    ),
    Figure(key="heartbeat.fast", label="heartbeat, fast lane", unit="/s", peer=_PEER_POLLS),
    Figure(key="heartbeat.off", label="heartbeat, lane off", unit="/s"),
    Figure(key="heartbeat.bare", label="heartbeat, bare Trio + httptools", unit="/s"),
    Figure(
        key="heartbeat.to_off", label="heartbeat, fast lane ÷ lane off", unit="times", digits=2, at_least=5
    ),
    Figure(
        key="heartbeat.to_bare",
        label="heartbeat, fast lane ÷ bare",
        unit="times",
        digits=3,
        at_least=0.30,
        peer=(0.26,),
    ),
    Figure(
        key="heartbeat.p99",
        label="heartbeat, 99th percentile, 64 connections",
        unit="ms",
        digits=1,
        peer=(9,),
    ),
    Figure(key="status.fast", label="status, fast lane", unit="/s", peer=_PEER_POLLS),
    Figure(key="status.off", label="status, lane off", unit="/s"),
    Figure(key="status.bare", label="status, bare Trio + httptools", unit="/s"),
    Figure(key="status.to_off", label="status, fast lane ÷ lane off", unit="times", digits=2),
    Figure(key="status.to_bare", label="status, fast lane ÷ bare", unit="times", digits=3, peer=(0.26,)),
    Figure(key="status.p99", label="status, 99th percentile, 64 connections", unit="ms", digits=1, peer=(9,)),
    *(
        Figure(
            key=f"store.{name}.{batch}",
            label=f"store alone: {what} by {batch} a call",
            unit="µs",
            digits=1,
        )
        for name, what in (("join", "joins"), ("poll", "heartbeats"))
        for batch in (1, 16, 256)
    ),
    *(
        Figure(
            key=f"latency.{kind}.{percent}",
            label=f"{kind} at half of saturation, {percent}th percentile",
            unit="ms",
            digits=2,
        )
        for kind in ("heartbeat", "enqueue")
        for percent in (50, 99)
    ),
    Figure(key="latency.admissions", label="admissions meanwhile", unit="/s", digits=1),
    Figure(key="cost.short", label="processor time of a heartbeat, 1,000 in line", unit="µs", digits=1),
    Figure(key="cost.middle", label="processor time of a heartbeat, 100,000 in line", unit="µs", digits=1),
    Figure(key="cost.long", label="processor time of a heartbeat, {people} in line", unit="µs", digits=1),
    Figure(
        key="cost.many",
        label="the same, {people} in line and twenty times as many of them asking",
        unit="µs",
        digits=1,
    ),
    Figure(
        key="cost.ratio",
        label="processor time of a heartbeat, {people} in line ÷ 1,000",
        unit="times",
        digits=3,
        at_most=1.25,
    ),
    Figure(
        key="memory.position",
        label="store memory of a waiting position, at rest",
        unit="bytes",
        digits=1,
        # With a different address for each visitor, whose count takes 45 of them; 159 if all share a few
        # addresses.
        at_most=210,
        peer=(191,),
    ),
    Figure(
        key="memory.process",
        label="process memory, {people} in line, nobody connected",
        unit="MiB",
        digits=1,
        at_most=64,
        peer=(47,),
    ),
    Figure(
        key="memory.proportional",
        label="the same, with shared pages counted by their share",
        unit="MiB",
        digits=1,
    ),
    Figure(key="memory.store", label="memory of the store's process, {people} in line", unit="MiB", digits=1),
    Figure(key="admissions.100", label="admissions at a setting of 100", unit="/s", digits=2),
    Figure(key="admissions.1000", label="admissions at a setting of 1,000", unit="/s", digits=1),
    Figure(
        key="admissions.20000",
        label="admissions at a setting of 20,000",
        unit="/s",
        at_least=19_980,
        at_most=20_020,
        peer=(20_029, 20_243),
    ),
    Figure(
        key="replicas.1000",
        label="admissions of three replicas at a setting of 1,000",
        unit="/s",
        digits=1,
        at_least=995,
        at_most=1_005,
        peer=(1_025, 1_033),
    ),
    Figure(
        key="streams.held",
        label="live streams held by one process",
        unit="",
        at_least=15_000,
        peer=(9_000,),
    ),
    Figure(key="streams.dropped", label="live streams dropped", unit="", at_least=0, at_most=0),
    Figure(
        key="streams.bytes",
        label="memory of the server for each live stream",
        unit="KiB",
        digits=1,
        at_most=12,
        peer=(30.6,),
    ),
    Figure(
        key="streams.on_time",
        label="updates on time (at most 1 s after their 2, 4 or 10 s)",
        unit="%",
        digits=2,
        at_least=99,
    ),
    *(
        Figure(
            key=f"streams.gap.{name}",
            label=f"time between updates {where}, 99th percentile",
            unit="s",
            digits=2,
        )
        for name, where in (
            ("front", "up to position 100 (2 s)"),
            ("near", "up to position 1,000 (4 s)"),
            ("far", "further back (10 s)"),
        )
    ),
)
FIGURES = {figure.key: figure for figure in _ALL}
"""Every figure by its key."""
