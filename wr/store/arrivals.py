"""Scores of `waiting`: a place's priority and its arrival in one number (see `scripts/lib/arrivals.lua`)."""

SPAN = 2**48
"""A score is (3 - priority) * SPAN + the arrival number."""
EPOCH_MS = 1_704_067_200_000
PER_MS = 256
"""An arrival number counts 256ths of a millisecond since EPOCH_MS."""


def line_score(priority: int, enqueued_ms: int, enqueued_part: int) -> int:
    """Make the score of a place that was taken then; `enqueued_part` is in 256ths of a millisecond."""
    return (3 - priority) * SPAN + (enqueued_ms - EPOCH_MS) * PER_MS + enqueued_part
