"""Formats times for the API as RFC 3339 in UTC: whole seconds as in the contract, with milliseconds in
events."""

from datetime import UTC, datetime
from functools import lru_cache

MS_PER_S = 1000


def rfc3339(time_ms: int) -> str:
    """Format milliseconds since 1970 as `2024-01-01T12:00:00Z`, rounded down to the second."""
    return _spelled(time_ms // MS_PER_S)


def rfc3339_ms(time_ms: int) -> str:
    """Format milliseconds since 1970 as `2024-01-01T12:00:00.250Z`."""
    return f"{_spelled(time_ms // MS_PER_S)[:-1]}.{time_ms % MS_PER_S:03d}Z"


# Thousands of visitors who join in one second get the same time; formatting it takes 6 µs.
@lru_cache(maxsize=256)
def _spelled(time_s: int) -> str:
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
