"""Times on the wire: whole UTC seconds as RFC 3339, the form every example of the contract has; in events
also their milliseconds."""

from datetime import UTC, datetime
from functools import lru_cache

MS_PER_S = 1000


def rfc3339(time_ms: int) -> str:
    """Spell milliseconds since 1970 as `2024-01-01T12:00:00Z` (the second that has begun)."""
    return _spelled(time_ms // MS_PER_S)


def rfc3339_ms(time_ms: int) -> str:
    """Spell milliseconds since 1970 as `2024-01-01T12:00:00.250Z`."""
    return f"{_spelled(time_ms // MS_PER_S)[:-1]}.{time_ms % MS_PER_S:03d}Z"


# Thousands who join in one second are told the same time; to spell it takes 6 µs.
@lru_cache(maxsize=256)
def _spelled(time_s: int) -> str:
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
