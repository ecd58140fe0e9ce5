"""What keeps a line fair: how high a visitor may claim to stand, and what each priority gets of the
admissions."""

from collections.abc import Sequence
from enum import StrEnum

HIGHEST_PRIORITY = 3


class EntryRule(StrEnum):
    """What a visitor needs in order to take a place."""

    OPEN = "open"
    """Nothing."""
    PASS = "pass"  # noqa: S105 - the name of a rule, not a secret
    """A pass, or the call of the site itself: a presale."""


def admissions_until(position: int, priority: int, waiting: Sequence[int], share: float) -> float:
    """Tell how many visitors are let in up to and including the one at `position` (rank in line, from 1).

    `waiting` counts those in line of each priority, from 0 up. With a share of 1, or one priority in line,
    that is the position itself; otherwise each priority gets its share while lower ones wait. Visitors that
    will join meanwhile are not foreseen. At most four steps.
    """
    if share >= 1 or sum(count > 0 for count in waiting) < 2:
        return float(position)
    left = [float(count) for count in waiting]
    rank = max(1.0, position - sum(left[priority + 1 :]))
    left[priority] = max(left[priority], rank)
    let_in = 0.0
    while True:
        parts = _parts(left, share)
        steps = [left[each] / part for each, part in enumerate(parts) if part and each != priority]
        step = min([*steps, rank / parts[priority]])
        let_in += step
        rank -= parts[priority] * step
        if rank <= 1e-9:
            # Without what adding fractions leaves, which would be another second of the estimate.
            return round(let_in, 6)
        # Without what rounding leaves of a visitor.
        left = [
            rest if (rest := count - part * step) > 1e-9 else 0.0
            for count, part in zip(left, parts, strict=True)
        ]


def _parts(left: Sequence[float], share: float) -> list[float]:
    """Tell which part of the admissions each priority gets, while so many of each wait."""
    parts = [0.0] * len(left)
    rest = 1.0
    for priority in reversed(range(len(left))):
        if left[priority] > 0:
            is_lowest = not any(left[:priority])
            parts[priority] = rest if is_lowest else rest * share
            rest -= parts[priority]
    return parts
