"""How fast a line shrinks: samples of its length, and the rate they tell."""

import time
from collections.abc import Callable, Sequence
from itertools import pairwise

import msgspec

_SAMPLE_S = 0.002


class Sample(msgspec.Struct, frozen=True):
    """How many were in line at a moment; the moment in seconds of a monotonic clock."""

    at_s: float
    waiting: int


class TooLittle(Exception):
    """The line did not shrink often enough to tell a rate."""


def watch(waiting: Callable[[], int], seconds: float) -> list[Sample]:
    """Look at the line every 2 ms for that long; keep the first look, the last, and each change."""
    samples: list[Sample] = []
    until = time.monotonic() + seconds
    while (now := time.monotonic()) < until:
        found = waiting()
        if not samples or found != samples[-1].waiting:
            samples.append(Sample(now, found))
        time.sleep(_SAMPLE_S)
    samples.append(Sample(time.monotonic(), waiting()))
    return samples


def steps(samples: Sequence[Sample], together_s: float) -> list[Sample]:
    """Find where each admission pass ended: drops at most `together_s` apart are calls of one pass.

    A pass that may still have been under way at the last look is left out.
    """
    drops = [later for earlier, later in pairwise(samples) if later.waiting < earlier.waiting]
    return [
        drop
        for drop, following in pairwise([*drops, *samples[-1:]])
        if following.at_s - drop.at_s > together_s
    ]


def rate_of(samples: Sequence[Sample], *, together_s: float = 0.02, skip_s: float = 1.0) -> float:
    """Tell people per second from the ends of passes, without the first `skip_s` seconds.

    Only there is what was let in what the rate had allowed: between passes it runs up to a quarter of a
    second behind. The first second is left out because a bucket begins with a full second's worth.

    Raises:
        TooLittle: there are fewer than two passes after that.
    """
    ends = steps(samples, together_s)
    counted = [end for end in ends if end.at_s >= ends[0].at_s + skip_s] if ends else []
    if len(counted) < 2:
        raise TooLittle(f"the line shrank {len(counted)} times in the time that counts")
    first, last = counted[0], counted[-1]
    return (first.waiting - last.waiting) / (last.at_s - first.at_s)
