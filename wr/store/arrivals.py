"""Scores of `waiting`: a place's priority and its arrival in one number (see `scripts/lib/arrivals.lua`)."""

_SPAN = 2**48
_EPOCH_MS = 1_704_067_200_000
_PER_MS = 256


def line_score(priority: int, enqueued_ms: int, enqueued_part: int) -> int:
    """Make the score of a place that was taken then; `enqueued_part` is in 256ths of a millisecond."""
    return (3 - priority) * _SPAN + (enqueued_ms - _EPOCH_MS) * _PER_MS + enqueued_part


def read_score(score: int) -> tuple[int, int, int]:
    """Read a score: the priority, when the place was taken in milliseconds, and 256ths of one."""
    arrival = score % _SPAN
    return 3 - score // _SPAN, arrival // _PER_MS + _EPOCH_MS, arrival % _PER_MS
