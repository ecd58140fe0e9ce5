"""How much of something one client address may hold at once."""

from collections.abc import Sequence

from wr.model.client_address import Network, client_address, is_trusted, limited_address


class AddressShares:
    """Counts what each address holds: an IPv4 address, or the /64 of an IPv6 address.

    A trusted proxy may hold any number, because it holds them for others. A call costs 1 to 2 µs for an IPv4
    address and 10 µs for an IPv6 address; memory is taken for addresses that hold something.
    """

    def __init__(self, most: int, trusted_proxies: Sequence[Network] = ()) -> None:
        self.most = most
        """How many one address may hold."""
        self._trusted_proxies = trusted_proxies
        self._held: dict[str, int] = {}

    @property
    def holders(self) -> int:
        """How many addresses hold something."""
        return len(self._held)

    def excess_with_another(self, address: str) -> int:
        """Tell by how many an address would be over its share if it took one more; 0 if it would not be."""
        excess = self._held.get(_holder(address), 0) + 1 - self.most
        return 0 if excess <= 0 or is_trusted(address, self._trusted_proxies) else excess

    def take(self, address: str) -> None:
        """Count one more; whether an address may have it is for the caller to ask."""
        holder = _holder(address)
        self._held[holder] = self._held.get(holder, 0) + 1

    def give_back(self, address: str) -> None:
        """Count one less; once for each `take`."""
        holder = _holder(address)
        left = self._held[holder] - 1
        if left:
            self._held[holder] = left
        else:
            del self._held[holder]


def _holder(address: str) -> str:
    # The usual spelling first: an IPv4 address inside an IPv6 address is one client, and not a /64 of all.
    return limited_address(client_address(address, "", ()))
