"""Measures how fast a queue shrinks: samples its length and computes the rate."""

import time
from collections.abc import Callable, Sequence
from itertools import pairwise

import msgspec

_SAMPLE_S = 0.002


class Sample(msgspec.Struct, frozen=True):
    """The queue's length at one time, in seconds of a monotonic clock."""

    at_s: float
    waiting: int


class TooLittle(Exception):
    """The queue did not shrink often enough to compute a rate."""


def watch(waiting: Callable[[], int], seconds: float) -> list[Sample]:
    """Sample the queue every 2 ms for that long; keep the first and last sample, and each change."""
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
    """Find the end of each admission pass: drops at most `together_s` apart belong to one pass.

    A pass that may not have ended at the last sample is left out.
    """
    drops = [later for earlier, later in pairwise(samples) if later.waiting < earlier.waiting]
    return [
        drop
        for drop, following in pairwise([*drops, *samples[-1:]])
        if following.at_s - drop.at_s > together_s
    ]


def rate_of(samples: Sequence[Sample], *, together_s: float = 0.02, skip_s: float = 1.0) -> float:
    """Compute admissions per second from the ends of passes, without the first `skip_s` seconds.

    Only at these times do the admissions equal what the rate allows: between passes they are up to a quarter
    of a second behind. The first second is left out because the token bucket starts with one second's worth.

    Raises:
        TooLittle: there are fewer than two passes after that.
    """
    ends = steps(samples, together_s)
    counted = [end for end in ends if end.at_s >= ends[0].at_s + skip_s] if ends else []
    if len(counted) < 2:
        raise TooLittle(f"the queue shrank only {len(counted)} times in the measured time")
    first, last = counted[0], counted[-1]
    return (first.waiting - last.waiting) / (last.at_s - first.at_s)
