"""POST /queues/{queue_id}/heartbeat."""

from typing import Any

import pytest

from tests.contract.helpers import (
    assert_refused,
    claims_of,
    enter,
    gone_for_silence,
    open_queue,
    position_token,
    stats_of,
    use_tokens,
    waiting,
)
from tests.support.site import Site


def test_a_heartbeat_is_200_with_the_waiting_form(site: Site) -> None:
    queue_id = site.make_queue(
        status="paused", admission_rate=1, heartbeat_interval_seconds=9, heartbeat_timeout_seconds=30
    )
    waiting(site, queue_id)
    joined = site.join(queue_id).json()
    response = site.heartbeat(queue_id, joined["token"])
    assert response.status_code == 200
    assert response.json() == {
        "position_id": joined["position_id"],
        "status": "waiting",
        "position": 2,
        "queue_length": 2,
        "estimated_wait_seconds": 2,
        "token": joined["token"],
        "next_heartbeat_seconds": 9,
        "heartbeat_timeout_seconds": 30,
        "queue_status": "paused",
    }


def test_a_heartbeat_of_somebody_admitted_is_200_with_the_way_in(site: Site) -> None:
    visit = enter(site, open_queue(site))
    response = site.heartbeat(visit.queue_id, visit.token)
    assert response.status_code == 200
    assert response.json() == {
        "position_id": visit.position_id,
        "status": "admitted",
        "session_id": visit.session_id,
        "session_token": visit.session_token,
        "redirect_url": visit.admitted["redirect_url"],
    }


@pytest.mark.parametrize(
    "body",
    [
        None,
        {},
        {"timestamp": 1704067260000, "client_id": "browser-fingerprint-abc123"},
        {"timestamp": 0},
        {"client_id": ""},
        {"something": "newer"},
    ],
)
def test_the_body_of_a_heartbeat_may_be_left_out_in_part_or_whole(site: Site, body: Any) -> None:
    queue_id = site.make_queue(status="paused")
    token = waiting(site, queue_id)
    assert site.call("POST", f"/queues/{queue_id}/heartbeat", token, body).status_code == 200


def test_heartbeats_keep_a_place_that_silence_loses(site: Site) -> None:
    queue_id = site.make_queue(status="paused")
    silent = waiting(site, queue_id)
    alive = waiting(site, queue_id)
    use_tokens(site, queue_id, [silent, alive])
    for _ in range(3):
        site.clock.advance(45)
        assert site.heartbeat(queue_id, alive).status_code == 200
    gone = site.wait_for(lambda: site.status(queue_id, silent), lambda r: r.status_code != 200)
    assert_refused(gone, 410, "POSITION_EXPIRED")
    body = site.status(queue_id, alive).json()
    assert (body["status"], body["position"], body["queue_length"]) == ("waiting", 1, 1)
    assert stats_of(site, queue_id)["current_waiting"] == 1


def test_a_heartbeat_renews_a_token_whose_life_is_half_over(site: Site) -> None:
    queue_id = site.make_queue(status="paused", heartbeat_timeout_seconds=7200)
    token = waiting(site, queue_id)
    site.clock.advance(16 * 60)
    renewed = site.heartbeat(queue_id, token).json()["token"]
    assert claims_of(renewed)["exp"] > claims_of(token)["exp"]
    site.clock.advance(16 * 60)
    assert site.heartbeat(queue_id, renewed).status_code == 200


def test_a_heartbeat_without_a_token_is_401(site: Site) -> None:
    queue_id = site.make_queue(status="paused")
    assert_refused(site.call("POST", f"/queues/{queue_id}/heartbeat"), 401, "UNAUTHORIZED")


def test_a_heartbeat_of_a_position_lost_by_silence_is_410_and_does_not_bring_it_back(site: Site) -> None:
    queue_id = site.make_queue(status="paused")
    joined = site.join(queue_id).json()
    gone_for_silence(site, queue_id, joined["token"])
    details = assert_refused(site.heartbeat(queue_id, joined["token"]), 410, "POSITION_EXPIRED")
    assert details["position_id"] == joined["position_id"]
    assert details["reason"] == "heartbeat_timeout"
    assert_refused(site.status(queue_id, joined["token"]), 410, "POSITION_EXPIRED")
    assert stats_of(site, queue_id)["current_waiting"] == 0


def test_a_heartbeat_of_a_position_that_was_cancelled_is_410(site: Site) -> None:
    queue_id = site.make_queue(status="paused")
    token = waiting(site, queue_id)
    site.call("DELETE", f"/queues/{queue_id}/position", token)
    details = assert_refused(site.heartbeat(queue_id, token), 410, "POSITION_EXPIRED")
    assert details["reason"] == "cancelled"


def test_a_heartbeat_of_a_position_that_never_was_is_410(site: Site) -> None:
    queue_id = site.make_queue(status="paused")
    token = position_token(site, queue_id)
    details = assert_refused(site.heartbeat(queue_id, token), 410, "POSITION_EXPIRED")
    assert details == {"position_id": claims_of(token)["sub"]}
    assert stats_of(site, queue_id)["current_waiting"] == 0


def test_a_heartbeat_whose_session_is_over_is_410(site: Site) -> None:
    visit = enter(site, open_queue(site, session_timeout_seconds=60))
    site.clock.advance(61)
    details = assert_refused(site.heartbeat(visit.queue_id, visit.token), 410, "POSITION_EXPIRED")
    assert details["reason"] == "session_timeout"


def test_heartbeats_of_the_admitted_do_not_prolong_the_session(site: Site) -> None:
    visit = enter(site, open_queue(site, session_timeout_seconds=60))
    site.clock.advance(50)
    assert site.heartbeat(visit.queue_id, visit.token).status_code == 200
    site.clock.advance(11)
    assert_refused(site.heartbeat(visit.queue_id, visit.token), 410, "POSITION_EXPIRED")


def test_a_heartbeat_to_a_deleted_queue_is_404(site: Site) -> None:
    queue_id = site.make_queue(status="paused")
    token = waiting(site, queue_id)
    site.admin("DELETE", f"/queues/{queue_id}")
    assert_refused(site.heartbeat(queue_id, token), 404, "NOT_FOUND")
