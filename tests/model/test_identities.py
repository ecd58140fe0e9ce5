"""Digests of who a visitor is and where it comes from."""

import pytest

from wr.model.client_address import limited_address
from wr.model.identities import (
    NO_ADDRESS,
    address_digest,
    address_tag,
    client_digest,
    pass_digest,
    subject_digest,
)
from wr.model.ids import id_text, new_position_id, parse_position_id

KEY = b"k" * 32


def test_identities_of_different_kinds_are_never_the_same() -> None:
    made = {
        subject_digest("a"),
        pass_digest("a"),
        address_digest("a"),
        client_digest("a", "a", "a"),
        client_digest("a", "", ""),
    }
    assert len(made) == 5
    assert {len(each) for each in made} == {16}


def test_facts_do_not_run_into_each_other() -> None:
    assert client_digest("a", "b c", "d") != client_digest("a", "b", "c d")
    assert client_digest("1", "x", "y") != client_digest(1, "x", "y")


def test_to_the_site_a_number_is_its_text() -> None:
    assert subject_digest(5) == subject_digest("5")
    assert subject_digest("5") != subject_digest("5.0")


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("203.0.113.9", "203.0.113.9", True),
        ("203.0.113.9", "203.0.113.8", False),
        ("2001:db8::1", "2001:db8::2", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
    ],
)
def test_a_tag_is_of_an_ipv4_address_or_of_an_ipv6_network(one: str, other: str, is_same: bool) -> None:
    tags = [address_tag("q", limited_address(address), KEY) for address in (one, other)]
    assert (tags[0] == tags[1]) == is_same


def test_the_tag_of_an_address_is_another_in_each_queue_and_each_waiting_room() -> None:
    tags = {address_tag("q", "::1", KEY), address_tag("p", "::1", KEY), address_tag("q", "::1", b"other")}
    assert len(tags) == 3


def test_a_tag_is_never_that_of_no_address() -> None:
    tags = [address_tag("q", f"10.{number >> 8}.{number & 255}.1", KEY) for number in range(5_000)]
    assert NO_ADDRESS not in tags
    assert {len(tag) for tag in tags} == {4}


def test_an_id_carries_its_tag_and_is_an_id_all_the_same() -> None:
    made = new_position_id(lambda count: b"\xff" * count, b"\x01\x02\x03\x04")
    assert made.endswith(b"\x01\x02\x03\x04")
    assert parse_position_id(id_text(made)) == made
