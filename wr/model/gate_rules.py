"""The gate's rules: what is open to everybody, and what holds while the store is away."""

import re
from enum import StrEnum
from functools import lru_cache

from wr.model.client_address import Network, parse_networks
from wr.model.refusals import InvalidRequest

_READ_IN_TWO_WAYS = re.compile(r"//|/\.\.?(/|$)|[\\%;#?]")


class OutagePolicy(StrEnum):
    """Which visitors without a session pass the gate while the store is unreachable."""

    CLOSED = "closed"
    """Nobody."""
    OPEN = "open"
    """Everybody, once the grace time is over."""
    BUDGET = "budget"
    """So many in a second and server, once the grace time is over."""


class Budget:
    """A bucket of tokens that fills with time, for at most a second's worth."""

    def __init__(self, rate: float, now_s: float) -> None:
        self._tokens = max(1.0, rate) if rate else 0.0
        self._at = now_s

    def spend(self, rate: float, now_s: float) -> bool:
        """Take a token if there is one."""
        most = max(1.0, rate) if rate else 0.0
        self._tokens = min(most, self._tokens + rate * max(0.0, now_s - self._at))
        self._at = now_s
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


def is_open_path(path: str, open_paths: str) -> bool:
    """Whether a path, as it was sent, is among those that nobody has to wait for."""
    # A path that climbs, or names a host, is what the site makes of it, which nobody here can know.
    if not path.startswith("/") or _READ_IN_TWO_WAYS.search(path):
        return False
    return any(
        path.startswith(each[:-1]) if each.endswith("*") else path == each for each in open_paths.split()
    )


def is_open_agent(user_agent: str, open_agents: str) -> bool:
    """Whether a user agent begins as a health checker's does."""
    return any(user_agent.startswith(each) for each in open_agents.split())


@lru_cache(maxsize=256)
def open_networks(open_addresses: str) -> tuple[Network, ...]:
    """Read addresses and networks.

    Raises:
        ValueError: one of them is neither.
    """
    return parse_networks(",".join(open_addresses.split()))


def check_gate(open_paths: str, open_addresses: str) -> None:
    """Refuse what the gate could not go by.

    Raises:
        InvalidRequest: a path that does not begin with a slash, an address that is none; `details` names the
            field.
    """
    if any(not each.startswith("/") for each in open_paths.split()):
        raise InvalidRequest("each of open_paths must begin with a slash", field="open_paths")
    try:
        open_networks(open_addresses)
    except ValueError as error:
        raise InvalidRequest(f"open_addresses: {error}", field="open_addresses") from error
