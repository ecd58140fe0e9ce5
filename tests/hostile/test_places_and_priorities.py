"""A place and a priority belong to the visitor that can prove them: no stranger takes either."""

import secrets
from collections.abc import Callable
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.contract.helpers import assert_refused, claims_of, stats_of, wait_until
from tests.hostile.conftest import ORIGIN_KEY
from tests.support.passes import site_pass
from tests.support.site import Site, new_address

HOME, CAFE = "192.0.2.10", "192.0.2.20"
FIREFOX, SAFARI = "Firefox", "Safari"
ADA = {"metadata": {"user_id": "ada"}}


def join(
    site: Site,
    queue_id: str,
    body: Any = None,
    *,
    address: str | None = None,
    agent: str = FIREFOX,
    token: str | None = None,
    **headers: str,
) -> httpx.Response:
    """Join as a client of that address and browser; underscores in `headers` stand for hyphens."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return site.join(queue_id, body, address=address, token=token, headers={"User-Agent": agent, **named})


def held_line(site: Site, **settings: Any) -> str:
    return site.make_queue(status="paused", **settings)


def pass_for(site: Site, queue_id: str, subject: str = "ada", **claims: Any) -> str:
    return site_pass(site.clock(), queue_id, subject, **claims)


# ------------------------------------------------------------------ priorities


def test_a_visitor_that_asks_for_the_highest_priority_stands_where_it_would_stand_without(
    strict: Site,
) -> None:
    queue_id = held_line(strict)
    first = join(strict, queue_id)
    jumper = join(strict, queue_id, {"priority": 3})
    assert (first.status_code, jumper.status_code) == (201, 201)
    assert (jumper.json()["position"], jumper.json()["priority"]) == (2, 0)
    assert claims_of(jumper.json()["token"])["priority"] == 0


@pytest.mark.parametrize(("wished", "granted"), [(0, 0), (1, 1), (2, 2), (3, 2)])
def test_a_priority_counts_up_to_what_the_queue_opens_to_all(strict: Site, wished: int, granted: int) -> None:
    queue_id = held_line(strict, open_priority=2)
    assert join(strict, queue_id, {"priority": wished}).json()["priority"] == granted


def test_a_pass_gives_its_priority(strict: Site) -> None:
    queue_id = held_line(strict)
    join(strict, queue_id)
    invited = join(strict, queue_id, X_WR_Pass=pass_for(strict, queue_id, priority=3))
    assert invited.status_code == 201
    assert (invited.json()["position"], invited.json()["priority"]) == (1, 3)


def test_a_pass_in_the_body_counts_as_one_in_the_header(strict: Site) -> None:
    queue_id = held_line(strict)
    invited = join(strict, queue_id, {"pass": pass_for(strict, queue_id, priority=2)})
    assert (invited.status_code, invited.json()["priority"]) == (201, 2)


def test_the_sites_own_call_gives_whatever_priority_it_says(strict: Site) -> None:
    queue_id = held_line(strict)
    placed = join(strict, queue_id, {"priority": 3, **ADA}, X_WR_Origin_Key=ORIGIN_KEY)
    assert (placed.status_code, placed.json()["priority"]) == (201, 3)


def test_a_call_with_a_wrong_key_of_the_site_is_refused_and_not_taken_for_a_visitors(strict: Site) -> None:
    queue_id = held_line(strict)
    refused = join(strict, queue_id, {"priority": 3}, X_WR_Origin_Key="a-guess", address=new_address())
    assert_refused(refused, 403, "FORBIDDEN")
    assert stats_of(strict, queue_id)["current_waiting"] == 0


def test_a_pass_raises_the_place_that_its_visitor_has_already(strict: Site) -> None:
    queue_id = held_line(strict)
    join(strict, queue_id)
    later = join(strict, queue_id).json()
    assert later["position"] == 2
    raised = join(strict, queue_id, token=later["token"], X_WR_Pass=pass_for(strict, queue_id, priority=3))
    assert raised.status_code == 200
    assert raised.json()["position_id"] == later["position_id"]
    assert (raised.json()["position"], raised.json()["priority"]) == (1, 3)
    assert claims_of(raised.json()["token"])["priority"] == 3
    # With the old token too, where the place stands is what the store says.
    assert strict.status(queue_id, later["token"]).json()["position"] == 1


def test_a_higher_pass_of_the_same_visitor_raises_the_place_that_a_lower_one_gave(strict: Site) -> None:
    queue_id = held_line(strict)
    join(strict, queue_id, X_WR_Pass=pass_for(strict, queue_id, "eve", priority=1))
    first = join(strict, queue_id, X_WR_Pass=pass_for(strict, queue_id, priority=0))
    assert first.json()["position"] == 2
    higher = join(strict, queue_id, X_WR_Pass=pass_for(strict, queue_id, priority=3, jti="another"))
    assert higher.json()["position_id"] == first.json()["position_id"]
    assert (higher.json()["position"], higher.json()["priority"]) == (1, 3)
    # And a lower one, shown after it, lowers nothing.
    assert join(strict, queue_id, X_WR_Pass=pass_for(strict, queue_id)).json()["priority"] == 3


def test_a_link_that_makes_a_browser_show_a_strangers_pass_gives_the_stranger_nothing(strict: Site) -> None:
    queue_id = held_line(strict)
    victim = join(strict, queue_id).json()
    mallorys = pass_for(strict, queue_id, "mallory", priority=2)
    lured = join(strict, queue_id, token=victim["token"], X_WR_Pass=mallorys)
    assert lured.json()["position_id"] == victim["position_id"]
    refused = join(strict, queue_id, X_WR_Pass=mallorys, address=CAFE)
    assert_refused(refused, 409, "IDENTITY_TAKEN")
    assert strict.status(queue_id, victim["token"]).json()["position"] == 1
    # The browser itself goes on with the pass or without it.
    again = join(strict, queue_id, token=lured.json()["token"], X_WR_Pass=mallorys)
    assert (again.status_code, again.json()["priority"]) == (200, 2)


def test_no_pass_takes_or_raises_a_place_that_another_pass_gave(strict: Site) -> None:
    queue_id = held_line(strict)
    adas = pass_for(strict, queue_id, "ada", priority=2, uses=1)
    place = join(strict, queue_id, X_WR_Pass=adas).json()
    stranger = pass_for(strict, queue_id, "mallory", priority=3)
    shown = join(strict, queue_id, token=place["token"], X_WR_Pass=stranger)
    assert (shown.json()["position_id"], shown.json()["priority"]) == (place["position_id"], 2)
    mine = join(strict, queue_id, X_WR_Pass=adas)
    assert (mine.status_code, mine.json()["position_id"]) == (200, place["position_id"])
    assert join(strict, queue_id, X_WR_Pass=stranger).json()["position_id"] != place["position_id"]


def test_one_pass_raises_one_place_and_is_not_freed_by_showing_another(strict: Site) -> None:
    queue_id = held_line(strict)
    high = pass_for(strict, queue_id, "mallory", priority=3)
    places = [join(strict, queue_id).json() for _ in range(3)]
    raised = []
    for number, place in enumerate(places):
        join(strict, queue_id, token=place["token"], X_WR_Pass=high)
        other = pass_for(strict, queue_id, f"helper-{number}")
        raised.append(join(strict, queue_id, token=place["token"], X_WR_Pass=other).json())
    assert [answer.get("priority", 0) for answer in raised] == [3, 0, 0]


# ------------------------------------------------------------------ whose place it is


@pytest.mark.parametrize("unique_by", ["client", "user_id"])
def test_to_name_a_user_id_that_a_proof_holds_gives_neither_token_nor_place(
    strict: Site, unique_by: str
) -> None:
    queue_id = held_line(strict, unique_by=unique_by)
    assert join(strict, queue_id, X_WR_Pass=pass_for(strict, queue_id)).status_code == 201
    for address, agent in ((HOME, FIREFOX), (CAFE, SAFARI)):
        refused = join(strict, queue_id, ADA, address=address, agent=agent)
        assert_refused(refused, 409, "IDENTITY_TAKEN")
        assert "token" not in refused.text.replace("request_id", "")
    assert stats_of(strict, queue_id)["current_waiting"] == 1


def test_a_user_id_that_is_only_claimed_reserves_nothing_where_it_takes_a_proof(strict: Site) -> None:
    queue_id = held_line(strict, unique_by="user_id")
    squatter = join(strict, queue_id, ADA, address=HOME)
    owner = join(strict, queue_id, X_WR_Pass=pass_for(strict, queue_id))
    assert (squatter.status_code, owner.status_code) == (201, 201)
    assert squatter.json()["position_id"] != owner.json()["position_id"]


def test_a_pass_and_the_sites_own_call_mean_the_same_visitor(strict: Site) -> None:
    queue_id = held_line(strict, unique_by="user_id")
    invited = join(strict, queue_id, X_WR_Pass=pass_for(strict, queue_id))
    placed = join(strict, queue_id, ADA, X_WR_Origin_Key=ORIGIN_KEY)
    assert (invited.status_code, placed.status_code) == (201, 200)
    assert placed.json()["position_id"] == invited.json()["position_id"]


@pytest.mark.parametrize("keeps", ["cookie", "client"])
def test_a_place_that_a_browser_keeps_the_token_of_is_not_given_to_the_next_one_that_looks_the_same(
    strict: Site, keeps: str
) -> None:
    queue_id = held_line(strict)
    victim = join(strict, queue_id, ADA, address=HOME, X_WR_Token=keeps)
    assert victim.status_code == 201
    # The store answers the same user id, address and browser, which all can be had behind one NAT.
    strict.http.cookies.clear()
    for headers in ({}, {"X_WR_Token": keeps}):
        assert_refused(join(strict, queue_id, ADA, address=HOME, **headers), 409, "IDENTITY_TAKEN")
    assert stats_of(strict, queue_id)["current_waiting"] == 1


def test_a_place_that_was_taken_with_no_proof_is_given_back_to_the_same_client_as_the_document_has_it(
    strict: Site,
) -> None:
    queue_id = held_line(strict)
    first = join(strict, queue_id, ADA, address=HOME)
    again = join(strict, queue_id, ADA, address=HOME)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["position_id"] == again.json()["position_id"]


def test_where_an_address_may_hold_one_place_a_neighbour_gets_neither_its_token_nor_a_second(
    strict: Site,
) -> None:
    queue_id = held_line(strict, unique_by="ip")
    first = join(strict, queue_id, address=HOME)
    assert_refused(join(strict, queue_id, address=HOME, agent=SAFARI), 409, "IDENTITY_TAKEN")
    again = join(strict, queue_id, address=HOME, token=first.json()["token"])
    assert (again.status_code, again.json()["position_id"]) == (200, first.json()["position_id"])


def test_where_an_address_may_hold_one_place_neighbours_in_an_ipv6_network_are_one_address(
    strict: Site,
) -> None:
    queue_id = held_line(strict, unique_by="ip")
    assert join(strict, queue_id, address="2001:db8:5:1::1").status_code == 201
    assert_refused(join(strict, queue_id, address="2001:db8:5:1::2"), 409, "IDENTITY_TAKEN")


def test_to_name_somebody_elses_identity_keeps_nobody_elses_place_alive(strict: Site) -> None:
    queue_id = held_line(strict, unique_by="ip", heartbeat_timeout_seconds=60)
    victim = join(strict, queue_id, address=HOME).json()
    for _ in range(3):
        strict.clock.advance(29)
        join(strict, queue_id, address=HOME, agent=SAFARI)
    gone = strict.wait_for(
        lambda: strict.status(queue_id, victim["token"]), lambda answer: answer.status_code == 410
    )
    assert_refused(gone, 410, "POSITION_EXPIRED")


# ------------------------------------------------------------------ passes


def test_a_pass_holds_one_place_however_often_and_from_wherever_it_is_brought(strict: Site) -> None:
    queue_id = held_line(strict, unique_by="none")
    token = pass_for(strict, queue_id)
    places = [join(strict, queue_id, X_WR_Pass=token) for _ in range(3)]
    assert [answer.status_code for answer in places] == [201, 200, 200]
    assert len({answer.json()["position_id"] for answer in places}) == 1


def test_two_passes_of_one_visitor_hold_one_place(strict: Site) -> None:
    queue_id = held_line(strict)
    tokens = [pass_for(strict, queue_id, jti=name) for name in ("one", "two")]
    first, second = (join(strict, queue_id, X_WR_Pass=token).json() for token in tokens)
    assert first["position_id"] == second["position_id"]


def test_a_pass_that_works_once_gives_no_second_place(strict: Site) -> None:
    queue_id = held_line(strict)
    token = pass_for(strict, queue_id, uses=1)
    place = join(strict, queue_id, X_WR_Pass=token).json()
    assert strict.call("DELETE", f"/queues/{queue_id}/position", place["token"]).status_code == 200
    refused = join(strict, queue_id, X_WR_Pass=token)
    assert assert_refused(refused, 403, "PASS_INVALID")["reason"] == "used_up"


def test_a_pass_for_two_places_gives_two_one_after_the_other(strict: Site) -> None:
    queue_id = held_line(strict)
    token = pass_for(strict, queue_id, uses=2)
    codes = []
    for _ in range(3):
        answer = join(strict, queue_id, X_WR_Pass=token)
        codes.append(answer.status_code)
        if answer.status_code == 201:
            strict.call("DELETE", f"/queues/{queue_id}/position", answer.json()["token"])
    assert codes == [201, 201, 403]


EC_KEY = ec.generate_private_key(ec.SECP256R1())
FALSE_PASSES: dict[str, tuple[Callable[[Site, str], str], str]] = {
    "of another secret": (
        lambda site, queue_id: pass_for(site, queue_id, secret=secrets.token_hex(32)),
        "invalid",
    ),
    "without a signature": (
        lambda site, queue_id: pass_for(site, queue_id, secret="", algorithm="none"),
        "invalid",
    ),
    "of another algorithm": (
        lambda site, queue_id: pass_for(site, queue_id, secret=EC_KEY, algorithm="ES256"),
        "invalid",
    ),
    "that names a key of the room": (
        lambda site, queue_id: pass_for(
            site, queue_id, secret=secrets.token_hex(32), headers={"kid": "pass-0123456789ab"}
        ),
        "invalid",
    ),
    "for somebody else to read": (
        lambda site, queue_id: pass_for(site, queue_id, aud="https://other.example"),
        "invalid",
    ),
    "without a visitor": (lambda site, queue_id: pass_for(site, queue_id, sub=None), "invalid"),
    "without an id": (lambda site, queue_id: pass_for(site, queue_id, jti=None), "invalid"),
    "without an end": (lambda site, queue_id: pass_for(site, queue_id, exp=None), "invalid"),
    "with a priority that there is not": (
        lambda site, queue_id: pass_for(site, queue_id, priority=4),
        "invalid",
    ),
    "with no uses": (lambda site, queue_id: pass_for(site, queue_id, uses=0), "invalid"),
    "that has expired": (
        lambda site, queue_id: pass_for(site, queue_id, exp=site.clock() // 1000 - 1),
        "expired",
    ),
    "that is not valid yet": (
        lambda site, queue_id: pass_for(site, queue_id, nbf=site.clock() // 1000 + 60),
        "not_yet",
    ),
    "of another queue": (lambda site, queue_id: pass_for(site, f"{queue_id}-other"), "other_queue"),
    "that is no token": (lambda site, queue_id: "not.a.pass", "invalid"),
    "that is longer than any": (lambda site, queue_id: "x" * 5000, "invalid"),
}


@pytest.mark.parametrize("kind", FALSE_PASSES)
def test_a_pass_gives_no_place(strict: Site, kind: str) -> None:
    queue_id = held_line(strict)
    make, reason = FALSE_PASSES[kind]
    refused = join(strict, queue_id, X_WR_Pass=make(strict, queue_id))
    assert assert_refused(refused, 403, "PASS_INVALID")["reason"] == reason
    assert stats_of(strict, queue_id)["current_waiting"] == 0


def test_a_position_token_or_session_token_is_no_pass(strict: Site) -> None:
    queue_id = strict.make_queue(admission_rate=1000)
    joined = join(strict, queue_id).json()
    session_token = strict.admitted(queue_id, joined["token"])["session_token"]
    for token in (joined["token"], session_token):
        assert_refused(join(strict, queue_id, X_WR_Pass=token), 403, "PASS_INVALID")


def test_a_presale_takes_nobody_without_a_pass_by_either_api(strict: Site) -> None:
    queue_id = held_line(strict, entry="pass", id=f"concert-{secrets.randbelow(10**9) + 1}")
    assert_refused(join(strict, queue_id, {"priority": 3, **ADA}), 403, "PASS_REQUIRED")
    user = {"userId": 1, "concertId": int(queue_id.removeprefix("concert-"))}
    second = strict.call("POST", "/waiting-queue/join", json=user, headers={"X-Forwarded-For": new_address()})
    assert_refused(second, 403, "PASS_REQUIRED")
    invited = join(strict, queue_id, X_WR_Pass=pass_for(strict, queue_id))
    assert invited.status_code == 201
    # Once in line the token is enough.
    assert join(strict, queue_id, token=invited.json()["token"]).status_code == 200


def issue(site: Site, queue_id: str, **wish: Any) -> dict[str, Any]:
    answer = site.admin("POST", f"/queues/{queue_id}/passes", wish)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def test_passes_that_the_room_signs_itself_work_once_each_and_name_each_visitor(strict: Site) -> None:
    queue_id = held_line(strict, entry="pass")
    issued = issue(strict, queue_id, priority=2, subject="club", count=3, expires_in=7200)
    assert [each["subject"] for each in issued["passes"]] == ["club-1", "club-2", "club-3"]
    answers = [join(strict, queue_id, X_WR_Pass=each["pass"]) for each in issued["passes"]]
    assert [answer.status_code for answer in answers] == [201, 201, 201]
    assert {answer.json()["priority"] for answer in answers} == {2}
    assert len({answer.json()["position_id"] for answer in answers}) == 3
    strict.clock.advance(7201)
    late = join(strict, queue_id, X_WR_Pass=issued["passes"][0]["pass"])
    assert assert_refused(late, 403, "PASS_INVALID")["reason"] == "expired"


@pytest.mark.parametrize("by", ["pass", "pass_id"])
def test_a_pass_that_is_taken_back_takes_its_place_with_it_and_gives_no_other(strict: Site, by: str) -> None:
    queue_id = held_line(strict, entry="pass")
    (made,) = issue(strict, queue_id, uses=0)["passes"]
    place = join(strict, queue_id, X_WR_Pass=made["pass"]).json()
    revoked = strict.admin("POST", f"/queues/{queue_id}/passes/revoke", {by: made[by]})
    assert (revoked.status_code, revoked.json()["place_ended"]) == (200, True)
    assert strict.status(queue_id, place["token"]).status_code == 410
    refused = join(strict, queue_id, X_WR_Pass=made["pass"])
    assert assert_refused(refused, 403, "PASS_INVALID")["reason"] == "revoked"


def test_a_pass_that_was_never_used_can_be_taken_back(strict: Site) -> None:
    queue_id = held_line(strict)
    token = pass_for(strict, queue_id)
    revoked = strict.admin("POST", f"/queues/{queue_id}/passes/revoke", {"pass": token})
    assert (revoked.json()["uses"], revoked.json()["place_ended"]) == (0, False)
    assert_refused(join(strict, queue_id, X_WR_Pass=token), 403, "PASS_INVALID")


def test_passes_survive_a_rotation_of_the_keys(strict: Site) -> None:
    queue_id = held_line(strict)
    (made,) = issue(strict, queue_id)["passes"]
    assert strict.admin("POST", "/keys/rotate").status_code == 201
    assert join(strict, queue_id, X_WR_Pass=made["pass"]).status_code == 201


def test_no_key_that_signs_passes_is_published(strict: Site) -> None:
    (made,) = issue(strict, held_line(strict))["passes"]
    kid = jwt.get_unverified_header(made["pass"])["kid"]
    published = strict.http.get("/.well-known/jwks.json").json()["keys"]
    assert kid not in {key["kid"] for key in published}


# ------------------------------------------------------------------ no class starves another


def test_lower_priorities_get_their_part_while_higher_ones_keep_coming(strict: Site) -> None:
    queue_id = held_line(strict, priority_share=0.8, admission_rate=20, max_active_users=20)
    for priority, count in ((3, 20), (0, 10)):
        for number in range(count):
            join(
                strict,
                queue_id,
                {"priority": priority, "metadata": {"user_id": f"{priority}-{number}"}},
                X_WR_Origin_Key=ORIGIN_KEY,
            )
    strict.admin("PATCH", f"/queues/{queue_id}", {"status": "active"})
    wait_until(lambda: stats_of(strict, queue_id)["total_admitted_today"] == 20)
    answers = [
        join(strict, queue_id, {"metadata": {"user_id": f"0-{number}"}}, X_WR_Origin_Key=ORIGIN_KEY).json()
        for number in range(10)
    ]
    assert [answer["status"] for answer in answers].count("admitted") == 4
    # And in their order.
    assert [answer["status"] for answer in answers] == ["admitted"] * 4 + ["waiting"] * 6


def test_the_estimate_knows_of_the_share_that_lower_priorities_have(strict: Site) -> None:
    queue_id = held_line(strict, priority_share=0.8, admission_rate=1, max_active_users=1_000_000)
    last: dict[str, Any] = {}
    for priority, count in ((3, 40), (0, 2)):
        for number in range(count):
            last = join(
                strict,
                queue_id,
                {"priority": priority, "metadata": {"user_id": f"{priority}-{number}"}},
                X_WR_Origin_Key=ORIGIN_KEY,
            ).json()
    # 42nd in line, but let in as the 10th: two of each ten are of the lower priority.
    estimate = strict.wait_for(
        lambda: strict.status(queue_id, last["token"]),
        lambda answer: answer.json().get("estimated_wait_seconds") == 10,
    ).json()
    assert estimate["position"] == 42
