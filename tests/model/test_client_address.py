"""Whose address a request has."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wr.model.client_address import client_address, forwarding, limited_address, parse_networks

LOOPBACK = parse_networks("127.0.0.0/8, ::1/128")
PROXIES = parse_networks("127.0.0.1, 10.0.0.0/8")


def test_a_stranger_is_not_believed() -> None:
    assert client_address("203.0.113.9", "198.51.100.1", LOOPBACK) == "203.0.113.9"


def test_the_rightmost_untrusted_hop_is_the_client() -> None:
    forwarded = "1.1.1.1, 198.51.100.7, 10.2.3.4"
    assert client_address("127.0.0.1", forwarded, PROXIES) == "198.51.100.7"


def test_what_a_client_wrote_itself_stays_on_the_left_and_counts_for_nothing() -> None:
    assert client_address("127.0.0.1", "127.0.0.1, 10.0.0.1, 198.51.100.7", LOOPBACK) == "198.51.100.7"


def test_all_hops_trusted_means_the_leftmost() -> None:
    assert client_address("127.0.0.1", "10.0.0.5, 10.0.0.1", PROXIES) == "10.0.0.5"


@pytest.mark.parametrize("rubbish", ["unknown", "", ",", "1.2.3", "a, b", "1.2.3.4:", "[::1"])
def test_a_hop_that_is_no_address_ends_the_walk(rubbish: str) -> None:
    assert client_address("127.0.0.1", f"{rubbish}", LOOPBACK) == "127.0.0.1"
    assert client_address("127.0.0.1", f"{rubbish}, 198.51.100.7", LOOPBACK) == "198.51.100.7"


def test_a_unix_socket_peer_is_on_this_machine() -> None:
    assert client_address("", "198.51.100.7", LOOPBACK) == "127.0.0.1"


def test_an_ipv4_address_in_ipv6_clothes_is_the_ipv4_address() -> None:
    assert client_address("::ffff:127.0.0.1", "::ffff:198.51.100.7", LOOPBACK) == "198.51.100.7"


@pytest.mark.parametrize(
    ("hop", "address"),
    [
        ("203.0.113.9:443", "203.0.113.9"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:DB8::0:1]:65535", "2001:db8::1"),
        ("[::ffff:203.0.113.9]:443", "203.0.113.9"),
        ('"203.0.113.9"', "203.0.113.9"),
        ('"203.0.113.9:443"', "203.0.113.9"),
        ('"[2001:db8::1]:443"', "2001:db8::1"),
        ("2001:db8::1:443", "2001:db8::1:443"),
    ],
)
def test_a_hop_with_port_brackets_or_quotes_is_the_address_in_it(hop: str, address: str) -> None:
    assert client_address("127.0.0.1", hop, LOOPBACK) == address
    assert client_address("127.0.0.1", f"6.6.6.6, {hop} , 10.1.2.3:80, 10.9.9.9", PROXIES) == address
    assert forwarding("127.0.0.1", hop, PROXIES) == "believed"


@pytest.mark.parametrize(
    "hop",
    [
        *("203.0.113.9:", "203.0.113.9:https", "203.0.113.9:123456", "203.0.113.999:80", "203.0.113.9:80:80"),
        *("[203.0.113.9]:80", "[2001:db8::1", "2001:db8::1]", "[2001:db8::1]80", "[]:80", "[]", '""'),
        *('"203.0.113.9', '203.0.113.9"', "'203.0.113.9'", '""203.0.113.9""', "[[2001:db8::1]]", ":80"),
    ],
)
def test_what_only_looks_like_a_hop_with_a_port_is_no_address(hop: str) -> None:
    assert client_address("127.0.0.1", f"6.6.6.6, {hop}", LOOPBACK) == "127.0.0.1"


def test_limits_count_an_ipv6_client_by_the_network_it_can_roam_in() -> None:
    assert (
        limited_address("2001:db8:1:2:3:4:5:6") == limited_address("2001:db8:1:2::9") == "2001:db8:1:2::/64"
    )
    assert limited_address("198.51.100.7") == "198.51.100.7"


@given(st.text(max_size=200))
def test_no_header_whatever_is_in_it_breaks_the_walk(header: str) -> None:
    assert client_address("127.0.0.1", header, LOOPBACK)


@pytest.mark.parametrize(
    ("peer", "forwarded", "told"),
    [
        ("127.0.0.1", "", "none"),
        ("198.51.100.9", "", "none"),
        ("127.0.0.1", "198.51.100.7", "believed"),
        ("127.0.0.1", "198.51.100.7, 10.2.3.4", "believed"),
        ("127.0.0.1", "1.1.1.1, 198.51.100.7", "partly"),
        ("127.0.0.1", "nonsense", "partly"),
        ("198.51.100.9", "198.51.100.7", "ignored"),
    ],
)
def test_it_is_told_how_far_a_proxy_is_believed(peer: str, forwarded: str, told: str) -> None:
    assert forwarding(peer, forwarded, PROXIES) == told
