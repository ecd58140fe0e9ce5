"""Decides which addresses webhooks may call. An IPv6 address that contains an IPv4 address counts as both."""

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from wr.model.client_address import Network

_HOLDS_IPV4 = (
    IPv6Network("64:ff9b::/96"),  # NAT64
    IPv6Network("64:ff9b:1::/48"),  # NAT64, local use
    IPv6Network("::/96"),  # IPv4-compatible
)
"""Networks in which routers use the last 32 bits as the IPv4 address to call."""
_NO_IPV4 = (IPv6Address("::"), IPv6Address("::1"))


def is_forbidden(address: str, forbidden: Sequence[Network]) -> bool:
    """Whether an address, or an IPv4 address that it is translated to, is in one of the networks.

    Raises:
        ValueError: the text is not an address.
    """
    parsed = ip_address(address.partition("%")[0])
    return any(each in network for each in (parsed, *_inside(parsed)) for network in forbidden)


def _inside(address: IPv4Address | IPv6Address) -> Iterator[IPv4Address]:
    if isinstance(address, IPv4Address) or address in _NO_IPV4:
        return
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
    if any(address in network for network in _HOLDS_IPV4):
        yield IPv4Address(int(address) & 0xFFFF_FFFF)
