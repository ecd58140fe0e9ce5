"""Rate limits: how many requests a fixed time window allows, and how many of them a client has used."""

import re

import msgspec

_LIMIT = re.compile(r"(\d{1,9})/(\d{1,6})")


class Limit(msgspec.Struct, frozen=True):
    """At most `count` requests in each fixed window of `window_s` seconds. A count of 0 means no limit."""

    count: int
    window_s: int = 60

    def __str__(self) -> str:
        return f"{self.count}/{self.window_s}" if self.count else "0"


class Usage(msgspec.Struct, frozen=True):
    """How much of a limit a client has used in the current window, this request included."""

    limit: Limit
    used: int
    now_ms: int

    @property
    def told(self) -> tuple[int, int, int]:
        """The values for a response's headers: limit, remaining requests, and start of the next window."""
        count, window_s = self.limit.count, self.limit.window_s
        remaining = count - self.used
        return count, remaining if remaining > 0 else 0, (self.now_ms // (window_s * 1000) + 1) * window_s

    @property
    def reset_s(self) -> int:
        """Unix seconds at which the next window begins."""
        window_ms = self.limit.window_s * 1000
        return (self.now_ms // window_ms + 1) * window_ms // 1000

    @property
    def retry_after_s(self) -> int:
        """Whole seconds to wait for the next window, at least 1."""
        return max(1, -(-(self.reset_s * 1000 - self.now_ms) // 1000))


def parse_limit(text: str) -> Limit:
    """Read `10/60` (10 requests in 60 seconds) or `0` (no limit).

    Raises:
        ValueError: the text is neither.
    """
    if text.strip() == "0":
        return Limit(0)
    match = _LIMIT.fullmatch(text.strip())
    if match is None or int(match[2]) == 0:
        raise ValueError(f"'{text}' is not a limit: write COUNT/SECONDS, such as 10/60, or 0 for none")
    return Limit(int(match[1]), int(match[2]))
