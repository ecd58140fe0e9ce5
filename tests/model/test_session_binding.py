"""Where a request with a session comes from, as the gate tells it apart."""

import pytest

from wr.model.session_binding import MARK_LENGTH, SessionBinding, caller_of

NETWORK, BROWSER, NONE = SessionBinding.NETWORK, SessionBinding.BROWSER, SessionBinding.NONE


def mark(binding: SessionBinding, address: str, user_agent: str = "") -> str:
    return caller_of(binding, address, user_agent).mark


@pytest.mark.parametrize(
    ("address", "neighbour", "stranger"),
    [
        ("203.0.113.9", "203.0.113.250", "203.0.114.9"),
        ("2001:db8:1:200::1", "2001:db8:1:2ff:8000::9", "2001:db8:1:300::1"),
    ],
)
def test_a_network_is_an_ipv4_24_or_an_ipv6_56(address: str, neighbour: str, stranger: str) -> None:
    assert mark(NETWORK, address) == mark(NETWORK, neighbour)
    assert mark(NETWORK, address) != mark(NETWORK, stranger)


def test_a_browser_is_its_user_agent_wherever_it_is() -> None:
    assert mark(BROWSER, "203.0.113.9", "one") == mark(BROWSER, "198.51.100.1", "one")
    assert mark(BROWSER, "203.0.113.9", "one") != mark(BROWSER, "203.0.113.9", "other")


def test_a_session_that_is_not_bound_has_no_mark_but_its_addresses_are_told_apart() -> None:
    one, other = (caller_of(NONE, address, "browser") for address in ("203.0.113.9", "203.0.113.10"))
    assert one.mark == other.mark == ""
    assert one.address != other.address


def test_addresses_of_one_ipv6_64_are_one() -> None:
    one, other = (caller_of(NONE, address, "") for address in ("2001:db8::1", "2001:db8::ffff:9"))
    assert one.address == other.address


@pytest.mark.parametrize("binding", SessionBinding)
def test_a_caller_is_spelled_in_17_characters(binding: SessionBinding) -> None:
    assert len(caller_of(binding, "203.0.113.9", "browser").spelled) == 8 + MARK_LENGTH == 17
