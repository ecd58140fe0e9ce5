"""Which address a request really came from, when proxies stand between."""

import re
from collections.abc import Sequence
from enum import StrEnum
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network
_BYTE = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
# Nearly every address; the library takes ten times as long to say so.
_USUAL_IPV4 = re.compile(rf"{_BYTE}\.{_BYTE}\.{_BYTE}\.{_BYTE}")
# As Azure's gateways write it, and as RFC 7239 has it in `Forwarded`.
_SPELLED_OUT = re.compile(
    r'(?P<quote>"?)(?:(?P<v4>[0-9.]+)|\[(?P<v6>[0-9A-Fa-f]*:[0-9A-Fa-f:.]+)\])(?::[0-9]{1,5})?(?P=quote)'
)
UNIX_SOCKET_PEER = "127.0.0.1"
"""A peer on a Unix socket has no address; it is on this machine, so it counts as loopback."""


def parse_networks(text: str) -> tuple[Network, ...]:
    """Read a comma-separated list of addresses and CIDRs: `127.0.0.0/8, 10.1.2.3`.

    Raises:
        ValueError: one of them is neither.
    """
    return tuple(ip_network(part.strip(), strict=False) for part in text.split(",") if part.strip())


def client_address(peer: str, forwarded_for: str, trusted: Sequence[Network]) -> str:
    """Name the client: the rightmost hop that no trusted proxy vouches for. About 2 µs behind one proxy.

    `X-Forwarded-For` is believed only as far as trusted proxies wrote it: from the right, hop by hop, until
    one is not trusted. A hop may have a port, brackets and quotes: `203.0.113.9:443`, `"[2001:db8::1]:443"`.
    A hop that is no address ends the walk at the last one that was.
    """
    return _walk(peer, forwarded_for, trusted)[0]


class Forwarding(StrEnum):
    """What became of an `X-Forwarded-For`."""

    NONE = "none"
    """There was none."""
    BELIEVED = "believed"
    """All of it, so the client is who stands first in it."""
    PARTLY = "partly"
    """What trusted proxies wrote, and not what stood there before."""
    IGNORED = "ignored"
    """Who sent it is no trusted proxy."""


def forwarding(peer: str, forwarded_for: str, trusted: Sequence[Network]) -> Forwarding:
    """Tell how far `X-Forwarded-For` is believed."""
    if not forwarded_for:
        return Forwarding.NONE
    if not is_trusted(peer, trusted):
        return Forwarding.IGNORED
    return Forwarding.BELIEVED if _walk(peer, forwarded_for, trusted)[1] else Forwarding.PARTLY


def _walk(peer: str, forwarded_for: str, trusted: Sequence[Network]) -> tuple[str, bool]:
    """Go back hop by hop as far as they are trusted; returns who stands there, and whether no hop is left."""
    current = _address(peer)
    if current is None:
        return UNIX_SOCKET_PEER, False
    hops = forwarded_for.split(",")[-32:] if forwarded_for else []
    while hops and _is_trusted(current, trusted):
        hop = _hop(hops.pop().strip())
        if hop is None:
            return current, False
        current = hop
    return current, not hops


def canonical_address(text: str) -> str | None:
    """Spell an address the usual way, without a port or brackets; None when it is none."""
    return _address(text.strip())


def limited_address(address: str) -> str:
    """Name what a limit per address counts: an IPv4 address, or the /64 an IPv6 client can roam in."""
    if ":" in address and _address(address) is not None:
        return str(ip_network((address, 64), strict=False))
    return address


def is_within(address: str, networks: Sequence[Network]) -> bool:
    """Whether an address, as `client_address` names it, is in one of the networks."""
    return any(ip_address(address) in network for network in networks)


def is_trusted(peer: str, trusted: Sequence[Network]) -> bool:
    """Whether a peer is one of the trusted proxies."""
    return _is_trusted(_address(peer) or UNIX_SOCKET_PEER, trusted)


def _is_trusted(address: str, trusted: Sequence[Network]) -> bool:
    return any(_contains(network, address) for network in trusted)


# Asked about proxies, of which there are few, for every request that comes through them.
@lru_cache(maxsize=1024)
def _contains(network: Network, address: str) -> bool:
    return ip_address(address) in network


def _hop(text: str) -> str | None:
    """Read one hop of `X-Forwarded-For`, which may have a port, brackets and quotes; None when it is none."""
    if _USUAL_IPV4.fullmatch(text) is not None:
        return text
    spelled = _SPELLED_OUT.fullmatch(text)
    return _address(text if spelled is None else spelled["v4"] or spelled["v6"])


def _address(text: str) -> str | None:
    """Spell an address the usual way; None when it is none."""
    if _USUAL_IPV4.fullmatch(text) is not None:
        return text
    try:
        parsed = ip_address(text)
    except ValueError:
        return None
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(parsed)
