"""What keeps a line fair: how high a visitor may claim to stand, and what each priority gets of the
admissions."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

from msgspec import Meta

HIGHEST_PRIORITY = 3

OpenPriority = Annotated[
    int,
    Meta(
        ge=0,
        le=HIGHEST_PRIORITY,
        description="The highest priority that a visitor may simply ask for; a higher one takes a pass, or a "
        "call by the site itself, and is lowered to this otherwise",
    ),
]
PriorityShare = Annotated[
    float,
    Meta(
        gt=0,
        le=1,
        description="Part of the admissions that a priority gets at most while lower ones wait, and so on "
        "among these: with 0.8, two of ten admissions are of lower priorities; 1 is strict order",
    ),
]
MaxPlacesPerAddress = Annotated[
    int,
    Meta(
        ge=0,
        le=1_000_000_000,
        description="Places in line that one address (of IPv6: one /64) may hold at once; 0 means any "
        "number. Places taken with a pass, or by the site itself, are not counted",
    ),
]
DEFAULT_PLACES_PER_ADDRESS = 500
"""Carriers put some 100 subscribers behind one IPv4 address (each gets a block of 500 to 1,000 of its ports),
and large schools and offices have 500 people at their screens in the same minute. It is 1 % of a line of the
default length, so that a hundred addresses, and not one, are needed to fill it."""


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
