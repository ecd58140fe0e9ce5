"""A visitor that was thrown out stays out: blocks of a person, of an address, or of both."""

import secrets
from typing import Any

import httpx
import pytest

from tests.contract.helpers import assert_refused, claims_of, open_queue, seconds_of
from tests.hostile.conftest import ORIGIN_KEY
from tests.support.passes import site_pass
from tests.support.site import BASE, Site, new_address
from wr.model.ids import parse_position_id, session_id_text
from wr.room.user_queue import user_position

ADA = {"metadata": {"user_id": "ada"}}


def inside(site: Site, queue_id: str, **how: Any) -> tuple[str, dict[str, Any]]:
    """Join and be let in; returns the session's id, and the answer to joining."""
    joined = site.join(queue_id, **how)
    assert joined.status_code == 201, joined.text
    admitted = site.admitted(queue_id, joined.json()["token"])
    return str(claims_of(admitted["session_token"])["sub"]), joined.json()


def with_pass(site: Site, queue_id: str, subject: str, **claims: Any) -> dict[str, str]:
    return {"X-WR-Pass": site_pass(site.clock(), queue_id, subject, **claims)}


def blocks_of(site: Site, queue_id: str) -> list[dict[str, Any]]:
    listed = site.admin("GET", f"/queues/{queue_id}/blocks")
    assert listed.status_code == 200
    return list(listed.json()["blocks"])


def test_a_terminated_visitor_is_kept_out_for_as_long_as_the_operator_says(strict: Site) -> None:
    queue_id, address = open_queue(strict), new_address()
    session_id, _ = inside(strict, queue_id, address=address)
    wish = {"reason": "abuse_detected", "block_for": 600}
    ended = strict.admin("DELETE", f"/sessions/{session_id}", wish).json()
    refused = strict.join(queue_id, address=address)
    details = assert_refused(refused, 403, "BLOCKED")
    assert details == {"blocked_until": ended["blocked_until"]}
    assert 599 <= seconds_of(ended["blocked_until"]) - strict.clock() // 1000 <= 600
    assert strict.join(queue_id, address=new_address()).status_code == 201
    strict.clock.advance(601)
    assert strict.join(queue_id, address=address).status_code == 201


def test_without_a_time_a_terminated_visitor_may_join_again_at_once(strict: Site) -> None:
    queue_id, address = open_queue(strict), new_address()
    session_id, _ = inside(strict, queue_id, address=address)
    ended = strict.admin("DELETE", f"/sessions/{session_id}")
    assert "blocked_until" not in ended.json()
    assert strict.join(queue_id, address=address).status_code == 201


@pytest.mark.parametrize(
    ("scope", "same_person", "same_address"),
    [("person", 403, 201), ("address", 201, 403), ("both", 403, 403)],
)
def test_a_block_is_of_the_person_of_the_address_or_of_both(
    strict: Site, scope: str, same_person: int, same_address: int
) -> None:
    queue_id, address = open_queue(strict), new_address()
    # By the same user id, address and browser: the only identity that goes with an address.
    session_id, joined = inside(strict, queue_id, body=ADA, address=address)
    strict.admin("DELETE", f"/sessions/{session_id}", {"block_for": 600, "block": scope})
    elsewhere = strict.join(queue_id, address=new_address(), token=joined["token"])
    assert elsewhere.status_code == same_person
    neighbour = strict.join(queue_id, address=address)
    assert neighbour.status_code == same_address


def test_the_block_of_a_pass_holds_for_other_passes_of_the_same_visitor(strict: Site) -> None:
    queue_id = open_queue(strict)
    session_id, _ = inside(strict, queue_id, headers=with_pass(strict, queue_id, "eve"))
    strict.admin("DELETE", f"/sessions/{session_id}", {"block_for": 600})
    again = strict.join(queue_id, headers=with_pass(strict, queue_id, "eve", jti="another"))
    assert_refused(again, 403, "BLOCKED")
    assert strict.join(queue_id, headers=with_pass(strict, queue_id, "adam")).status_code == 201


@pytest.mark.parametrize("how", ["header", "command"])
def test_the_site_revokes_a_session_and_keeps_its_visitor_out(strict: Site, how: str) -> None:
    queue_id, address = open_queue(strict), new_address()
    joined = strict.join(queue_id, address=address).json()
    admitted = strict.admitted(queue_id, joined["token"])
    session_id = claims_of(admitted["session_token"])["sub"]
    if how == "command":
        answer = strict.http.post(
            f"{BASE}/sessions/{session_id}/commands",
            json={"command": "revoke", "block_for": 300},
            headers={"X-WR-Origin-Key": ORIGIN_KEY},
        )
    else:
        answer = strict.http.post(
            f"{BASE}/gate-commands/{queue_id}",
            headers={
                "X-WR-Origin-Key": ORIGIN_KEY,
                "X-WR-Command": "revoke=300",
                "Cookie": f"wr_session-{queue_id}={admitted['session_token']}",
            },
        )
    assert answer.status_code in (200, 204), answer.text
    assert_refused(strict.join(queue_id, address=address), 403, "BLOCKED")


def test_an_operator_blocks_an_address_or_a_user_and_sees_and_ends_it(strict: Site) -> None:
    queue_id, address = open_queue(strict), new_address()
    made = strict.admin(
        "POST",
        f"/queues/{queue_id}/blocks",
        {"address": address, "user_id": "mallory", "block_for": 900, "reason": "bot"},
        headers={"X-Operator": "Ada"},
    )
    assert made.status_code == 201
    listed = blocks_of(strict, queue_id)
    assert sorted(block["scope"] for block in listed) == ["address", "person"]
    assert {(block["reason"], block["operator"]) for block in listed} == {("bot", "Ada")}
    assert_refused(strict.join(queue_id, address=address), 403, "BLOCKED")
    named = {"metadata": {"user_id": "mallory"}}
    assert_refused(strict.join(queue_id, named), 403, "BLOCKED")
    assert_refused(strict.join(queue_id, headers=with_pass(strict, queue_id, "mallory")), 403, "BLOCKED")
    for block in listed:
        ended = strict.admin("DELETE", f"/queues/{queue_id}/blocks/{block['id']}")
        assert ended.json() == {"id": block["id"], "status": "ended"}
    assert blocks_of(strict, queue_id) == []
    assert strict.join(queue_id, address=address).status_code == 201
    assert strict.join(queue_id, named).status_code == 201


def test_a_block_is_of_one_queue(strict: Site) -> None:
    queues, address = [open_queue(strict) for _ in range(2)], new_address()
    strict.admin("POST", f"/queues/{queues[0]}/blocks", {"address": address})
    codes = [strict.join(queue_id, address=address).status_code for queue_id in queues]
    assert codes == [403, 201]


def test_blocks_that_are_over_leave_nothing_behind(strict: Site) -> None:
    queue_id = open_queue(strict)
    strict.admin("POST", f"/queues/{queue_id}/blocks", {"address": new_address(), "block_for": 5})
    assert len(blocks_of(strict, queue_id)) == 1
    strict.clock.advance(16)
    assert blocks_of(strict, queue_id) == []
    with strict.engine.client() as store:
        stem = f"{strict.prefix}:{{{queue_id}}}:"

        def is_empty(_: httpx.Response) -> bool:
            return store.exists(f"{stem}blocks", f"{stem}block_notes") == 0

        strict.wait_for(lambda: strict.http.get("/health"), is_empty)


def test_the_block_of_an_address_holds_for_visitors_with_a_pass(strict: Site) -> None:
    queue_id, address = open_queue(strict), new_address()
    strict.admin("POST", f"/queues/{queue_id}/blocks", {"address": address})
    invited = strict.join(queue_id, address=address, headers=with_pass(strict, queue_id, "ada"))
    assert_refused(invited, 403, "BLOCKED")


def test_when_a_visitor_with_a_pass_is_thrown_out_the_address_can_be_blocked_too(strict: Site) -> None:
    queue_id, address = open_queue(strict), new_address()
    session_id, _ = inside(strict, queue_id, address=address, headers=with_pass(strict, queue_id, "eve"))
    strict.admin("DELETE", f"/sessions/{session_id}", {"block_for": 600, "block": "address"})
    assert_refused(strict.join(queue_id, address=address), 403, "BLOCKED")
    # The person may come from elsewhere.
    elsewhere = strict.join(
        queue_id, address=new_address(), headers=with_pass(strict, queue_id, "eve", jti="2")
    )
    assert elsewhere.status_code == 201


def test_to_end_a_session_that_there_is_not_blocks_nobody(strict: Site) -> None:
    queue_id, address = strict.make_queue(status="paused"), new_address()
    joined = strict.join(queue_id, address=address).json()
    no_session = session_id_text(parse_position_id(joined["position_id"]) or b"")
    assert strict.admin("DELETE", f"/sessions/{no_session}", {"block_for": 600}).status_code == 404
    assert blocks_of(strict, queue_id) == []
    assert strict.join(queue_id, address=address).status_code == 201


@pytest.mark.parametrize("seconds", [31_622_401, 99_999_999])
def test_a_block_lasts_a_year_at_most_however_it_is_asked_for(strict: Site, seconds: int) -> None:
    queue_id = open_queue(strict)
    session_id, joined = inside(strict, queue_id)
    token = strict.admitted(queue_id, joined["token"])["session_token"]
    header = strict.http.post(
        f"{BASE}/gate-commands/{queue_id}",
        headers={
            "X-WR-Origin-Key": ORIGIN_KEY,
            "X-WR-Command": f"revoke={seconds}",
            "Cookie": f"wr_session-{queue_id}={token}",
        },
    )
    assert_refused(header, 400, "INVALID_REQUEST")
    body = strict.admin("DELETE", f"/sessions/{session_id}", {"block_for": seconds})
    assert_refused(body, 400, "INVALID_REQUEST")


@pytest.mark.parametrize("address", ["2001:db8:77:1::1", "2001:db8:77:1::2"])
def test_the_block_of_an_ipv6_address_is_of_its_network(strict: Site, address: str) -> None:
    queue_id = open_queue(strict)
    made = strict.admin("POST", f"/queues/{queue_id}/blocks", {"address": "2001:db8:77:1::9"})
    assert made.status_code == 201
    assert_refused(strict.join(queue_id, address=address), 403, "BLOCKED")


@pytest.mark.parametrize("wish", [{}, {"address": "nonsense"}, {"address": "1.2.3.4", "block_for": 0}])
def test_a_block_of_nobody_or_for_no_time_is_refused(strict: Site, wish: dict[str, Any]) -> None:
    queue_id = open_queue(strict)
    assert_refused(strict.admin("POST", f"/queues/{queue_id}/blocks", wish), 400, "INVALID_REQUEST")


def test_a_user_of_the_second_api_can_be_blocked(strict: Site) -> None:
    concert_id = secrets.randbelow(10**9) + 1
    queue_id = strict.make_queue(id=f"concert-{concert_id}", admission_rate=1000)
    user, address = {"userId": 5, "concertId": concert_id}, new_address()

    def join(address: str) -> httpx.Response:
        return strict.call("POST", "/waiting-queue/join", json=user, headers={"X-Forwarded-For": address})

    assert join(address).status_code == 200
    strict.wait_for(lambda: join(address), lambda answer: answer.json().get("status") == "ACTIVE")
    # A user's place has a name made of the queue's and the user's.
    session_id = session_id_text(user_position(queue_id, 5))
    assert strict.admin("DELETE", f"/sessions/{session_id}", {"block_for": 600}).status_code == 200
    assert_refused(join(new_address()), 403, "BLOCKED")
    strict.admin("POST", f"/queues/{queue_id}/blocks", {"user_id": "7"})
    named = {"userId": 7, "concertId": concert_id}
    for headers in ({"X-Forwarded-For": new_address()}, {"X-WR-Origin-Key": ORIGIN_KEY}):
        answer = strict.call("POST", "/waiting-queue/join", json=named, headers=dict(headers))
        assert_refused(answer, 403, "BLOCKED")
    other = {"userId": 6, "concertId": concert_id}
    refused = strict.call("POST", "/waiting-queue/join", json=other, headers={"X-Forwarded-For": address})
    assert_refused(refused, 403, "BLOCKED")
