"""The share of one address: counted by IPv4 address or /64, given back in full, without bound for proxies."""

import pytest

from wr.model.address_shares import AddressShares
from wr.model.client_address import parse_networks


def test_an_address_is_over_its_share_once_it_holds_that_many() -> None:
    shares = AddressShares(2)
    excess = []
    for _ in range(4):
        excess.append(shares.excess_with_another("203.0.113.9"))
        shares.take("203.0.113.9")
    assert excess == [0, 0, 1, 2]
    assert shares.excess_with_another("203.0.113.10") == 0


@pytest.mark.parametrize(
    ("address", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:1"),
        ("2001:db8::1", "2001:0DB8:0::2"),
        ("203.0.113.9", "::ffff:203.0.113.9"),
        ("fe80::1%eth0", "fe80::2%eth0"),
        ("", "127.0.0.1"),
    ],
)
def test_what_one_client_can_call_itself_counts_together(address: str, same: str) -> None:
    shares = AddressShares(1)
    shares.take(address)
    assert shares.excess_with_another(same) == 1
    shares.give_back(same)
    assert shares.holders == 0


@pytest.mark.parametrize(
    ("address", "other"),
    [("2001:db8::1", "2001:db8:0:1::1"), ("::ffff:203.0.113.9", "::ffff:203.0.113.10")],
)
def test_different_clients_do_not_count_together(address: str, other: str) -> None:
    shares = AddressShares(1)
    shares.take(address)
    assert shares.excess_with_another(other) == 0


def test_a_trusted_proxy_may_hold_any_number() -> None:
    shares = AddressShares(1, parse_networks("10.0.0.0/8, 127.0.0.0/8"))
    for address in ("10.1.2.3", "::ffff:10.1.2.3", ""):
        for _ in range(5):
            shares.take(address)
        assert shares.excess_with_another(address) == 0


def test_what_is_given_back_leaves_nothing_behind() -> None:
    shares = AddressShares(1)
    for number in range(256):
        shares.take(f"203.0.113.{number}")
        shares.take(f"203.0.113.{number}")
    for number in range(256):
        shares.give_back(f"203.0.113.{number}")
        shares.give_back(f"203.0.113.{number}")
    assert shares.holders == 0
