"""Which address a request really came from, when proxies stand between."""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network
UNIX_SOCKET_PEER = "127.0.0.1"
"""A peer on a Unix socket has no address; it is on this machine, so it counts as loopback."""


def parse_networks(text: str) -> tuple[Network, ...]:
    """Read a comma-separated list of addresses and CIDRs: `127.0.0.0/8, 10.1.2.3`.

    Raises:
        ValueError: one of them is neither.
    """
    return tuple(ip_network(part.strip(), strict=False) for part in text.split(",") if part.strip())


def client_address(peer: str, forwarded_for: str, trusted: Sequence[Network]) -> str:
    """Name the client: the rightmost hop that no trusted proxy vouches for.

    `X-Forwarded-For` is believed only as far as trusted proxies wrote it: from the right, hop by hop, until
    one is not trusted. A hop that is no address ends the walk at the last one that was.
    """
    current = _address(peer)
    if current is None:
        return UNIX_SOCKET_PEER
    hops = forwarded_for.split(",")[-32:] if forwarded_for else []
    while hops and _is_trusted(current, trusted):
        hop = _address(hops.pop().strip())
        if hop is None:
            break
        current = hop
    return str(current)


def limited_address(address: str) -> str:
    """Name what a limit per address counts: an IPv4 address, or the /64 an IPv6 client can roam in."""
    parsed = _address(address)
    if isinstance(parsed, IPv6Address):
        return str(ip_network((parsed, 64), strict=False))
    return address


def _is_trusted(address: IPv4Address | IPv6Address, trusted: Sequence[Network]) -> bool:
    return any(address in network for network in trusted)


@lru_cache(maxsize=1024)
def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        parsed = ip_address(text)
    except ValueError:
        return None
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        return parsed.ipv4_mapped
    return parsed
