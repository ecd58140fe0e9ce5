"""Limits how many connections or live streams one client address may hold at the same time."""

from collections.abc import Sequence

from wr.model.client_address import Network, client_address, is_trusted, limited_address


class AddressShares:
    """Counts what each address holds. An IPv6 address counts as its /64.

    A trusted proxy may hold any number, because it acts for many visitors. A call costs 1 to 2 µs for an IPv4
    address and 10 µs for an IPv6 address. Only addresses that hold something take memory.
    """

    def __init__(self, most: int, trusted_proxies: Sequence[Network] = ()) -> None:
        self.most = most
        """The most that one address may hold."""
        self._trusted_proxies = trusted_proxies
        self._held: dict[str, int] = {}

    @property
    def holders(self) -> int:
        """Number of addresses that hold something."""
        return len(self._held)

    def excess_with_another(self, address: str) -> int:
        """Return by how much an address would exceed its share with one more; 0 if it would not."""
        excess = self._held.get(_holder(address), 0) + 1 - self.most
        return 0 if excess <= 0 or is_trusted(address, self._trusted_proxies) else excess

    def take(self, address: str) -> None:
        """Count one more. Does not check the share: the caller calls `excess_with_another` first."""
        holder = _holder(address)
        self._held[holder] = self._held.get(holder, 0) + 1

    def give_back(self, address: str) -> None:
        """Count one less. Call it once for each `take`."""
        holder = _holder(address)
        left = self._held[holder] - 1
        if left:
            self._held[holder] = left
        else:
            del self._held[holder]


def _holder(address: str) -> str:
    # Normalise first: an IPv4 address mapped into IPv6 is one client, not part of a /64 of all such clients.
    return limited_address(client_address(address, "", ()))
