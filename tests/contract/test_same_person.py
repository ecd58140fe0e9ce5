"""Who is the same person as one who is in line already: the queue's `unique_by`."""

import json
from typing import Any

import pytest

from tests.contract.helpers import stats_of
from tests.support.site import Site, new_address

ADA = {"metadata": {"user_id": "ada"}}
BOB = {"metadata": {"user_id": "bob"}}
HOME, CAFE = "192.0.2.10", "192.0.2.20"
FIREFOX, SAFARI = "Firefox", "Safari"

SAME, OTHER, TAKEN = 200, 201, 409
# What the first join was: Ada, at home, with Firefox. Then who comes, and whether that is the same person.
RULES = [
    ("client", ADA, HOME, FIREFOX, SAME),
    ("client", BOB, HOME, FIREFOX, OTHER),
    ("client", ADA, CAFE, FIREFOX, OTHER),
    ("client", ADA, HOME, SAFARI, OTHER),
    ("client", None, HOME, FIREFOX, OTHER),
    ("user_id", ADA, CAFE, SAFARI, OTHER),
    ("user_id", BOB, HOME, FIREFOX, OTHER),
    ("user_id", None, HOME, FIREFOX, OTHER),
    ("ip", BOB, HOME, SAFARI, TAKEN),
    ("ip", None, HOME, SAFARI, TAKEN),
    ("ip", ADA, CAFE, FIREFOX, OTHER),
    ("none", ADA, HOME, FIREFOX, OTHER),
]


@pytest.mark.parametrize(("unique_by", "body", "address", "agent", "expected"), RULES)
def test_a_queue_recognises_exactly_whom_its_rule_calls_the_same(
    site: Site, unique_by: str, body: Any, address: str, agent: str, expected: int
) -> None:
    queue_id = site.make_queue(status="paused", unique_by=unique_by)
    first = site.join(queue_id, ADA, address=HOME, headers={"User-Agent": FIREFOX})
    second = site.join(queue_id, body, address=address, headers={"User-Agent": agent})
    assert (first.status_code, second.status_code) == (201, expected)
    is_same = first.json()["position_id"] == second.json().get("position_id")
    assert is_same == (expected == SAME)
    assert stats_of(site, queue_id)["current_waiting"] == (2 if expected == OTHER else 1)


def test_the_default_rule_is_client(site: Site) -> None:
    queue_id = site.make_queue(status="paused")
    codes = [site.join(queue_id, ADA, address=address).status_code for address in (HOME, HOME, CAFE)]
    assert codes == [201, 200, 201]


def test_someone_recognised_without_a_token_gets_a_token_that_works(site: Site) -> None:
    queue_id = site.make_queue(status="paused")
    first, second = (site.join(queue_id, ADA, address=HOME).json() for _ in range(2))
    status = site.status(queue_id, second["token"])
    assert status.status_code == 200
    assert status.json()["position_id"] == first["position_id"]


@pytest.mark.parametrize("user_id", ["1", 1, 1.5, True])
def test_a_user_id_may_be_any_scalar_and_to_the_site_the_text_is_the_number(site: Site, user_id: Any) -> None:
    queue_id = site.make_queue(status="paused", unique_by="user_id")

    def join(named: Any) -> int:
        headers = {"X-Admin-Key": site.admin_key}
        return site.join(queue_id, {"metadata": {"user_id": named}}, headers=headers).status_code

    assert [join(user_id) for _ in range(2)] == [201, 200]
    assert join(f"{user_id}!") == 201
    assert join(json.dumps(user_id).strip('"')) == 200


@pytest.mark.parametrize("unique_by", ["client", "user_id"])
def test_an_empty_user_id_recognises_nobody(site: Site, unique_by: str) -> None:
    queue_id = site.make_queue(status="paused", unique_by=unique_by)
    guest = {"metadata": {"user_id": ""}}
    assert [site.join(queue_id, guest, address=HOME).status_code for _ in range(2)] == [201, 201]


def test_the_same_person_in_another_queue_is_somebody_new_there(site: Site) -> None:
    queues = [site.make_queue(status="paused") for _ in range(2)]
    address = new_address()
    assert [site.join(queue_id, ADA, address=address).status_code for queue_id in queues] == [201, 201]
