"""Determines a client's address, from the connection or from the `X-Forwarded-For` of trusted proxies."""

import re
from collections.abc import Sequence
from enum import StrEnum
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network
_BYTE = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
# Matches nearly every address; the library takes ten times as long.
_USUAL_IPV4 = re.compile(rf"{_BYTE}\.{_BYTE}\.{_BYTE}\.{_BYTE}")
# An address with a port, as Azure's gateways write it, and with quotes, as in `Forwarded` (RFC 7239).
_SPELLED_OUT = re.compile(
    r'(?P<quote>"?)(?:(?P<v4>[0-9.]+)|\[(?P<v6>[0-9A-Fa-f]*:[0-9A-Fa-f:.]+)\])(?::[0-9]{1,5})?(?P=quote)'
)
UNIX_SOCKET_PEER = "127.0.0.1"
"""The address of a peer on a Unix socket: it is on this machine, so it counts as loopback."""


def parse_networks(text: str) -> tuple[Network, ...]:
    """Read a comma-separated list of addresses and CIDRs: `127.0.0.0/8, 10.1.2.3`.

    Raises:
        ValueError: a part is neither an address nor a network.
    """
    return tuple(ip_network(part.strip(), strict=False) for part in text.split(",") if part.strip())


def client_address(peer: str, forwarded_for: str, trusted: Sequence[Network]) -> str:
    """Return the client's address: the rightmost hop that is not a trusted proxy.

    About 2 µs behind one proxy.

    `X-Forwarded-For` counts only as far as trusted proxies wrote it: from the right, hop by hop, until a hop
    is not trusted. A hop may have a port, brackets and quotes: `203.0.113.9:443`, `"[2001:db8::1]:443"`. If a
    hop is not an address, the result is the last hop before it.
    """
    return _walk(peer, forwarded_for, trusted)[0]


FORWARDING_HEADER = "X-WR-Forwarded"
"""Header that tells whether the proxy in front is trusted, for checks of a setup. It names no address.

It is sent only to a client that sends this header itself, because its value is not the same for all.
"""


class Forwarding(StrEnum):
    """How much of an `X-Forwarded-For` counts."""

    NONE = "none"
    """The request has none."""
    BELIEVED = "believed"
    """All of it: the client is the first address in it."""
    PARTLY = "partly"
    """Only the part that trusted proxies wrote."""
    IGNORED = "ignored"
    """None of it: the sender is not a trusted proxy."""


def forwarding(peer: str, forwarded_for: str, trusted: Sequence[Network]) -> Forwarding:
    """Return how much of `X-Forwarded-For` counts."""
    if not forwarded_for:
        return Forwarding.NONE
    if not is_trusted(peer, trusted):
        return Forwarding.IGNORED
    return Forwarding.BELIEVED if _walk(peer, forwarded_for, trusted)[1] else Forwarding.PARTLY


def _walk(peer: str, forwarded_for: str, trusted: Sequence[Network]) -> tuple[str, bool]:
    """Go from right to left while hops are trusted. Returns the last hop, and whether no hop is left."""
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
    """Normalise an address without port or brackets; None if it is not an address."""
    return _address(text.strip())


def limited_address(address: str) -> str:
    """Return what a limit per address counts by: the IPv4 address, or the /64 of an IPv6 address."""
    if ":" in address and _address(address) is not None:
        return str(ip_network((address, 64), strict=False))
    return address


def is_within(address: str, networks: Sequence[Network]) -> bool:
    """Whether an address, as `client_address` returns it, is in one of the networks."""
    return any(ip_address(address) in network for network in networks)


def is_trusted(peer: str, trusted: Sequence[Network]) -> bool:
    """Whether a peer is one of the trusted proxies."""
    return _is_trusted(_address(peer) or UNIX_SOCKET_PEER, trusted)


def _is_trusted(address: str, trusted: Sequence[Network]) -> bool:
    return any(_contains(network, address) for network in trusted)


# Called for each request through a proxy; proxies are few, so a small cache is enough.
@lru_cache(maxsize=1024)
def _contains(network: Network, address: str) -> bool:
    return ip_address(address) in network


def _hop(text: str) -> str | None:
    """Read one hop of `X-Forwarded-For`, with or without port, brackets and quotes; None if it is invalid."""
    if _USUAL_IPV4.fullmatch(text) is not None:
        return text
    spelled = _SPELLED_OUT.fullmatch(text)
    return _address(text if spelled is None else spelled["v4"] or spelled["v6"])


def _address(text: str) -> str | None:
    """Normalise an address; None if it is not an address."""
    if _USUAL_IPV4.fullmatch(text) is not None:
        return text
    try:
        parsed = ip_address(text)
    except ValueError:
        return None
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(parsed)
