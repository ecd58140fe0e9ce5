"""Measures admissions of a whole run: order, shares, rates, concurrency. Pure; at most O(n log n)."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate, groupby

import msgspec

_DRIFT_MS = 50.0
"""How far two clocks may drift apart during a run: 500 parts per million for 100 s."""


class Offset(msgspec.Struct, frozen=True):
    """Bounds of how far the server's clock is ahead of this machine's, in milliseconds."""

    earliest_ms: float
    latest_ms: float
    contradiction_ms: float = 0.0
    """By how much the two bounds contradict each other. Above 0, a clock was set during the run, or a token
    contains a wrong time."""

    @property
    def middle_ms(self) -> float:
        """The best estimate."""
        return (self.earliest_ms + self.latest_ms) / 2


class Admission(msgspec.Struct, frozen=True):
    """What is known about the time of one admission."""

    admitted_ms: int
    not_before_s: float
    not_after_s: float


class Entrant(msgspec.Struct, frozen=True):
    """What matters about one visitor for the order of admissions."""

    priority: int
    join_sent_s: float
    join_received_s: float
    not_before_ms: float
    """The time of admission in the session token; without one, the visitor was not admitted before this."""
    admitted_ms: int | None
    gone_by_ms: float = math.inf
    """If no admission was observed: the visitor was not admitted after this either."""


class ShareFit(msgspec.Struct, frozen=True):
    """How well admissions match a queue's `priority_share`.

    A correct server admits whole visitors, so it deviates by at most 1.
    """

    judged: int
    """Admissions for which the share could be checked."""
    above: float
    """The most admissions that a priority got above its share while lower priorities waited."""
    below: float
    """The most admissions that lower priorities got above their part while a higher priority waited."""


class _Pass(msgspec.Struct, frozen=True):
    """All admissions with the same time."""

    at_ms: int
    let_in: tuple[int, ...]
    """Number of admissions for each priority."""
    waiting: tuple[bool, ...]
    """For each priority: whether a visitor was certainly waiting before and after."""


def clock_offset(admissions: Iterable[Admission]) -> Offset | None:
    """Compute bounds of the offset; None without admissions.

    Each admission happened between the visitor's last «waiting» answer and the first «admitted» answer.
    """
    earliest_ms, latest_ms = -math.inf, math.inf
    for admission in admissions:
        earliest_ms = max(earliest_ms, admission.admitted_ms - admission.not_after_s * 1000)
        # The server rounds milliseconds down.
        latest_ms = min(latest_ms, admission.admitted_ms + 1 - admission.not_before_s * 1000)
    if math.isinf(earliest_ms):
        return None
    contradiction_ms = max(0.0, earliest_ms - latest_ms)
    slack_ms = _DRIFT_MS + contradiction_ms
    return Offset(
        min(earliest_ms, latest_ms) - slack_ms, max(earliest_ms, latest_ms) + slack_ms, contradiction_ms
    )


def inversions(entrants: Iterable[Entrant]) -> int:
    """Count pairs of visitors with the same priority of which the later one was admitted first.

    A joined before B only if A received the answer to the join before B sent its join. Joins that overlap
    have no order. B was admitted first only if B's token has an earlier time than A's, or if A was observed
    waiting after that time.
    """
    by_priority = sorted(entrants, key=lambda entrant: entrant.priority)
    return sum(
        _inversions(list(group)) for _, group in groupby(by_priority, key=lambda entrant: entrant.priority)
    )


def _inversions(entrants: list[Entrant]) -> int:
    """Go through the joins in order of time, and count earlier joins by admission time in a Fenwick tree."""
    times = sorted(entrant.not_before_ms for entrant in entrants)
    tree = [0] * (len(times) + 1)
    earlier = iter(sorted(entrants, key=lambda entrant: entrant.join_received_s))
    ahead = next(earlier, None)
    in_tree = count = 0
    for entrant in sorted(entrants, key=lambda entrant: entrant.join_sent_s):
        while ahead is not None and ahead.join_received_s < entrant.join_sent_s:
            slot = bisect_left(times, ahead.not_before_ms) + 1
            while slot < len(tree):
                tree[slot] += 1
                slot += slot & -slot
            in_tree += 1
            ahead = next(earlier, None)
        if entrant.admitted_ms is not None:
            slot = bisect_right(times, entrant.admitted_ms)
            not_later = 0
            while slot:
                not_later += tree[slot]
                slot -= slot & -slot
            count += in_tree - not_later
    return count


def passed_over(entrants: Sequence[Entrant], offset: Offset) -> int:
    """Count admissions during which a visitor of a higher priority was certainly waiting."""
    waiting = iter(sorted(entrants, key=lambda entrant: entrant.join_received_s))
    ahead = next(waiting, None)
    latest_by_priority: dict[int, float] = {}
    count = 0
    admitted = [(e.admitted_ms, e.priority) for e in entrants if e.admitted_ms is not None]
    for admitted_ms, priority in sorted(admitted):
        while ahead is not None and ahead.join_received_s * 1000 + offset.latest_ms < admitted_ms:
            known = latest_by_priority.get(ahead.priority, -math.inf)
            latest_by_priority[ahead.priority] = max(known, ahead.not_before_ms)
            ahead = next(waiting, None)
        count += any(
            higher > priority and latest_ms > admitted_ms for higher, latest_ms in latest_by_priority.items()
        )
    return count


def share_fit(entrants: Sequence[Entrant], offset: Offset, share: float) -> ShareFit:
    """Measure how far admissions deviate from the part that `priority_share` gives each priority.

    Of the admissions that higher priorities leave over, a priority gets at most `share` while lower ones
    wait, and at least that while it waits itself. A visitor who may have been admitted unnoticed counts as
    admitted if that is better for the server.
    """
    passes = _passes(entrants, offset)
    unseen = _maybe_let_in(entrants)
    highest = max((entrant.priority for entrant in entrants), default=0)
    judged: set[int] = set()
    above = below = 0.0
    for priority in range(1, highest + 1):
        lower = [e for e in unseen if e.priority < priority]
        same = [e for e in unseen if e.priority == priority]
        for run in _runs(passes, [any(each.waiting[:priority]) for each in passes]):
            judged.update(each.at_ms for each in run if each.let_in[priority])
            steps = [each.let_in[priority] - share * sum(each.let_in[: priority + 1]) for each in run]
            above = max(above, _most_in_a_row(run, steps, lower, share))
        for run in _runs(passes, [each.waiting[priority] for each in passes]):
            judged.update(each.at_ms for each in run)
            steps = [
                sum(each.let_in[:priority]) - (1 - share) * sum(each.let_in[: priority + 1]) for each in run
            ]
            below = max(below, _most_in_a_row(run, steps, same, 1 - share))
    count = sum(sum(each.let_in) for each in passes if each.at_ms in judged)
    return ShareFit(count, above, below)


def _passes(entrants: Sequence[Entrant], offset: Offset) -> list[_Pass]:
    """List the times of admissions, and the priorities of which a visitor was certainly waiting then."""
    highest = max((entrant.priority for entrant in entrants), default=0)
    coming = iter(sorted(entrants, key=lambda entrant: entrant.join_received_s))
    ahead = next(coming, None)
    latest = [-math.inf] * (highest + 1)
    passes = []
    admitted = sorted((e.admitted_ms, e.priority) for e in entrants if e.admitted_ms is not None)
    for at_ms, group in groupby(admitted, key=lambda each: each[0]):
        while ahead is not None and ahead.join_received_s * 1000 + offset.latest_ms < at_ms:
            latest[ahead.priority] = max(latest[ahead.priority], ahead.not_before_ms)
            ahead = next(coming, None)
        let_in = [0] * (highest + 1)
        for _, priority in group:
            let_in[priority] += 1
        passes.append(_Pass(at_ms, tuple(let_in), tuple(until_ms > at_ms for until_ms in latest)))
    return passes


def _maybe_let_in(entrants: Sequence[Entrant]) -> list[Entrant]:
    """List the visitors who may have been admitted unnoticed.

    A visitor was not admitted if the visitor was gone while an earlier one of the same priority still waited.
    """
    by_priority = sorted(entrants, key=lambda entrant: entrant.priority)
    found = []
    for _, group in groupby(by_priority, key=lambda entrant: entrant.priority):
        line = sorted(group, key=lambda entrant: entrant.join_received_s)
        received_s = [entrant.join_received_s for entrant in line]
        waiting_until_ms = [
            -math.inf,
            *accumulate((entrant.not_before_ms for entrant in line), max),
        ]
        found += [
            entrant
            for entrant in line
            if entrant.admitted_ms is None
            and waiting_until_ms[bisect_left(received_s, entrant.join_sent_s)] <= entrant.gone_by_ms
        ]
    return found


def _runs(passes: Sequence[_Pass], held: Sequence[bool]) -> list[list[_Pass]]:
    """Return the longest runs of consecutive passes for which `held` is true."""
    rows = groupby(zip(passes, held, strict=True), key=lambda each: each[1])
    return [[each for each, _ in row] for is_held, row in rows if is_held]


def _most_in_a_row(
    run: Sequence[_Pass], steps: Sequence[float], unseen: Sequence[Entrant], weight: float
) -> float:
    """Find the largest sum of consecutive steps within a run.

    Each visitor who may have been admitted unnoticed meanwhile reduces the sum by `weight`.
    """
    begins = sorted(e.not_before_ms for e in unseen)
    ends = sorted(max(e.gone_by_ms, e.not_before_ms) for e in unseen)
    total = most = 0.0
    least = math.inf
    for each, step in zip(run, steps, strict=True):
        # Visitors who were gone before the first step cannot have been admitted within the steps.
        least = min(least, total - weight * bisect_left(ends, each.at_ms))
        total += step
        most = max(most, total - weight * bisect_right(begins, each.at_ms) - least)
    return most


def most_at_once(spans: Iterable[tuple[float, float]]) -> int:
    """Count the most spans (start, end) that overlap. A span does not overlap one that starts where it ends.

    A span without length counts at its instant.
    """
    events: list[tuple[float, int]] = []
    for start, end in spans:
        events.append((start, 1))
        events.append((end, 0 if end > start else 2))
    active = most = 0
    for _, kind in sorted(events):
        active += 1 if kind == 1 else -1
        most = max(most, active)
    return most


def most_beyond(times_ms: Iterable[int], rate: float) -> tuple[float, float]:
    """Find the time window with the most admissions above `rate` per second, without counting the burst.

    Returns the number of admissions above rate × length, and the length in seconds.
    """
    most, length_s = 0.0, 0.0
    least, least_at_ms = math.inf, 0
    for count, time_ms in enumerate(sorted(times_ms)):
        # The window from i to j has j - i + 1 admissions; rate * (time j - time i) are allowed.
        level = count - rate * time_ms / 1000
        if level < least:
            least, least_at_ms = level, time_ms
        if level - least + 1 > most:
            most, length_s = level - least + 1, (time_ms - least_at_ms) / 1000
    return most, length_s


def most_within(times_ms: Iterable[int], window_ms: int) -> int:
    """Count the most times within any window of that length."""
    times = sorted(times_ms)
    first = most = 0
    for last, time_ms in enumerate(times):
        while time_ms - times[first] >= window_ms:
            first += 1
        most = max(most, last - first + 1)
    return most


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value that `share` of the sorted values do not exceed; nan if there are no values."""
    if not values:
        return math.nan
    return values[min(len(values) - 1, max(0, math.ceil(share * len(values)) - 1))]
