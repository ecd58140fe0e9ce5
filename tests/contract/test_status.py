"""GET /queues/{queue_id}/status."""

import pytest

from tests.contract.helpers import (
    assert_refused,
    claims_of,
    enter,
    gone_for_silence,
    open_queue,
    position_token,
    seconds_of,
    session_call,
    stats_of,
    terminate,
    use_tokens,
    waiting,
)
from tests.support.site import Site

WAITING_FIELDS = {
    "position_id",
    "queue_id",
    "status",
    "position",
    "queue_length",
    "estimated_wait_seconds",
    "admitted",
    "token",
    "expires_at",
}
ADMITTED_FIELDS = {
    "position_id",
    "queue_id",
    "status",
    "position",
    "queue_length",
    "estimated_wait_seconds",
    "admitted",
    "session_id",
    "session_token",
    "redirect_url",
    "session_expires_at",
}


def test_somebody_in_line_gets_200_and_the_waiting_form(site: Site) -> None:
    queue_id = site.make_queue(status="paused", admission_rate=1)
    waiting(site, queue_id)
    joined = site.join(queue_id).json()
    waiting(site, queue_id)
    response = site.status(queue_id, joined["token"])
    assert response.status_code == 200
    body = response.json()
    assert set(body) == WAITING_FIELDS | {"queue_status"}
    assert body == {
        "position_id": joined["position_id"],
        "queue_id": queue_id,
        "status": "waiting",
        "position": 2,
        "queue_length": 3,
        "estimated_wait_seconds": 2,
        "admitted": False,
        "token": joined["token"],
        "expires_at": joined["expires_at"],
        "queue_status": "paused",
    }


def test_somebody_admitted_gets_200_and_the_way_in(site: Site) -> None:
    queue_id = open_queue(site, target_url="https://shop.example/x?a=1", session_timeout_seconds=900)
    joined_s = site.clock() // 1000
    visit = enter(site, queue_id)
    response = site.status(queue_id, visit.token)
    assert response.status_code == 200
    body = response.json()
    assert set(body) == ADMITTED_FIELDS
    assert (body["status"], body["admitted"]) == ("admitted", True)
    assert (body["position_id"], body["queue_id"]) == (visit.position_id, queue_id)
    assert (body["position"], body["queue_length"], body["estimated_wait_seconds"]) == (0, 0, 0)
    assert body["redirect_url"] == "https://shop.example/x?a=1"
    now_s = site.clock() // 1000
    assert joined_s + 900 <= seconds_of(body["session_expires_at"]) <= now_s + 900


def test_the_way_in_stays_the_same_however_often_it_is_asked_for(site: Site) -> None:
    queue_id = open_queue(site)
    visit = enter(site, queue_id)
    assert [site.status(queue_id, visit.token).json() for _ in range(3)] == [visit.admitted] * 3


def test_the_length_that_the_admitted_see_is_that_of_the_line_now(site: Site) -> None:
    queue_id = open_queue(site, max_active_users=1)
    visit = enter(site, queue_id)
    for _ in range(2):
        waiting(site, queue_id)
    assert site.status(queue_id, visit.token).json()["queue_length"] == 2


def test_everyone_behind_moves_up_when_somebody_leaves(site: Site) -> None:
    queue_id = site.make_queue(status="paused")
    tokens = [waiting(site, queue_id) for _ in range(3)]
    site.call("DELETE", f"/queues/{queue_id}/position", tokens[0])
    bodies = [site.status(queue_id, token).json() for token in tokens[1:]]
    assert [(body["position"], body["queue_length"]) for body in bodies] == [(1, 2), (2, 2)]


def test_a_token_is_handed_back_unchanged_until_half_its_life_is_over_and_then_renewed(site: Site) -> None:
    queue_id = site.make_queue(status="paused", heartbeat_timeout_seconds=7200)
    joined = site.join(queue_id).json()
    token = joined["token"]
    site.clock.advance(14 * 60)
    assert site.status(queue_id, token).json()["token"] == token
    site.clock.advance(2 * 60)
    body = site.status(queue_id, token).json()
    assert body["token"] != token
    before, after = claims_of(token), claims_of(body["token"])
    assert after["exp"] >= before["exp"] + 15 * 60
    assert seconds_of(body["expires_at"]) == after["exp"]
    assert {name: after[name] for name in ("sub", "queue_id", "priority", "enqueued_ms", "typ", "aud")} == {
        name: before[name] for name in ("sub", "queue_id", "priority", "enqueued_ms", "typ", "aud")
    }
    renewed = site.status(queue_id, body["token"])
    assert (renewed.status_code, renewed.json()["position_id"]) == (200, joined["position_id"])


def test_a_status_call_is_no_sign_of_life(site: Site) -> None:
    queue_id = site.make_queue(status="paused")
    token = waiting(site, queue_id)
    use_tokens(site, queue_id, [token])
    site.clock.advance(50)
    assert site.status(queue_id, token).status_code == 200
    site.clock.advance(11)
    response = site.wait_for(lambda: site.status(queue_id, token), lambda r: r.status_code != 200)
    assert_refused(response, 410, "POSITION_EXPIRED")


@pytest.mark.any_engine
@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Basic dTpw", "Token {token}", "{token}"])
def test_status_without_a_bearer_token_is_401(site: Site, authorization: str | None) -> None:
    queue_id = site.make_queue(status="paused")
    token = waiting(site, queue_id)
    headers = {} if authorization is None else {"Authorization": authorization.format(token=token)}
    response = site.call("GET", f"/queues/{queue_id}/status", headers=headers)
    assert_refused(response, 401, "UNAUTHORIZED")
    assert response.headers["WWW-Authenticate"] == "Bearer"


def test_the_word_bearer_may_be_written_in_any_case(site: Site) -> None:
    queue_id = site.make_queue(status="paused")
    token = waiting(site, queue_id)
    headers = {"Authorization": f"bEARER  {token}"}
    assert site.call("GET", f"/queues/{queue_id}/status", headers=headers).status_code == 200


def test_a_position_that_never_was_is_404(site: Site) -> None:
    queue_id = site.make_queue(status="paused")
    token = position_token(site, queue_id)
    details = assert_refused(site.status(queue_id, token), 404, "NOT_FOUND")
    assert details == {"position_id": claims_of(token)["sub"]}


def test_a_position_that_was_cancelled_is_404(site: Site) -> None:
    queue_id = site.make_queue(status="paused")
    token = waiting(site, queue_id)
    site.call("DELETE", f"/queues/{queue_id}/position", token)
    assert_refused(site.status(queue_id, token), 404, "NOT_FOUND")


def test_a_position_of_a_deleted_queue_is_404(site: Site) -> None:
    queue_id = site.make_queue(status="paused")
    token = waiting(site, queue_id)
    site.admin("DELETE", f"/queues/{queue_id}")
    assert assert_refused(site.status(queue_id, token), 404, "NOT_FOUND") == {"queue_id": queue_id}


def test_a_position_lost_by_silence_is_410_with_when_and_why(site: Site) -> None:
    queue_id = site.make_queue(status="paused")
    joined = site.join(queue_id).json()
    response = gone_for_silence(site, queue_id, joined["token"])
    details = assert_refused(response, 410, "POSITION_EXPIRED")
    expired_s = seconds_of(details.pop("expired_at"))
    assert site.clock() // 1000 - 10 <= expired_s <= site.clock() // 1000
    assert details == {"position_id": joined["position_id"], "reason": "heartbeat_timeout"}
    assert stats_of(site, queue_id)["current_waiting"] == 0


def test_a_position_that_was_flushed_is_410(site: Site) -> None:
    queue_id = site.make_queue(status="paused")
    token = waiting(site, queue_id)
    site.admin("POST", f"/queues/{queue_id}/flush")
    details = assert_refused(site.status(queue_id, token), 410, "POSITION_EXPIRED")
    assert details["reason"] == "flushed"


def test_a_position_whose_session_is_over_is_410(site: Site) -> None:
    queue_id = open_queue(site, session_timeout_seconds=60)
    visit = enter(site, queue_id)
    site.clock.advance(61)
    details = assert_refused(site.status(queue_id, visit.token), 410, "POSITION_EXPIRED")
    assert details["position_id"] == visit.position_id
    assert details["reason"] == "session_timeout"
    late_s = seconds_of(details["expired_at"]) - seconds_of(visit.admitted["session_expires_at"])
    assert 0 <= late_s <= 10


def test_a_position_whose_session_was_terminated_is_410(site: Site) -> None:
    visit = enter(site, open_queue(site))
    assert terminate(site, visit.session_id).status_code == 200
    details = assert_refused(site.status(visit.queue_id, visit.token), 410, "POSITION_EXPIRED")
    assert details["reason"] == "terminated"
    assert_refused(session_call(site, visit), 410, "SESSION_EXPIRED")


def test_an_hour_after_it_ended_a_position_is_forgotten_and_404(site: Site) -> None:
    queue_id = site.make_queue(status="paused")
    position_id = bytes.fromhex(site.join(queue_id).json()["position_id"].replace("-", ""))
    gone_for_silence(site, queue_id, position_token(site, queue_id, position_id))
    site.clock.advance(3500)
    still = position_token(site, queue_id, position_id)
    assert_refused(site.status(queue_id, still), 410, "POSITION_EXPIRED")
    site.clock.advance(200)
    later = position_token(site, queue_id, position_id)
    assert_refused(site.status(queue_id, later), 404, "NOT_FOUND")
