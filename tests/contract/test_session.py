"""GET /sessions/{session_id}."""

import uuid

import pytest

from tests.contract.helpers import (
    activity_call,
    assert_refused,
    claims_of,
    enter,
    let_passes_run,
    open_queue,
    seconds_of,
    session_call,
    session_token,
    stats_of,
    terminate,
    wait_until,
)
from tests.support.site import Site


def test_an_active_session_is_200_with_the_contracts_fields(site: Site) -> None:
    joined_s = site.clock() // 1000
    visit = enter(site, open_queue(site, session_timeout_seconds=3600))
    entered_s = site.clock() // 1000
    response = session_call(site, visit)
    assert response.status_code == 200
    body = response.json()
    assert set(body) == {
        "session_id",
        "queue_id",
        "position_id",
        "status",
        "started_at",
        "expires_at",
        "last_activity",
        "page_views",
        "remaining_seconds",
    }
    assert body["session_id"] == visit.session_id
    assert uuid.UUID(body["session_id"]) != uuid.UUID(visit.position_id)
    assert (body["queue_id"], body["position_id"]) == (visit.queue_id, visit.position_id)
    assert (body["status"], body["page_views"]) == ("active", 0)
    started_s = seconds_of(body["started_at"])
    assert joined_s <= started_s <= entered_s
    assert seconds_of(body["last_activity"]) == started_s
    assert seconds_of(body["expires_at"]) == started_s + 3600
    assert body["expires_at"] == visit.admitted["session_expires_at"]


def test_the_remaining_seconds_run_down_with_the_clock(site: Site) -> None:
    visit = enter(site, open_queue(site, session_timeout_seconds=3600))
    assert 3590 <= session_call(site, visit).json()["remaining_seconds"] <= 3600
    site.clock.advance(1800)
    assert 1790 <= session_call(site, visit).json()["remaining_seconds"] <= 1800
    site.clock.advance(1799 - 10)
    assert 1 <= session_call(site, visit).json()["remaining_seconds"] <= 11


def test_asking_is_no_activity(site: Site) -> None:
    visit = enter(site, open_queue(site))
    before = session_call(site, visit).json()
    site.clock.advance(30)
    after = session_call(site, visit).json()
    assert (after["page_views"], after["last_activity"]) == (0, before["last_activity"])


def test_a_session_without_a_token_is_401(site: Site) -> None:
    visit = enter(site, open_queue(site))
    assert_refused(site.call("GET", f"/sessions/{visit.session_id}"), 401, "UNAUTHORIZED")


def test_the_token_of_another_session_is_401(site: Site) -> None:
    queue_id = open_queue(site)
    mine, theirs = enter(site, queue_id), enter(site, queue_id)
    assert_refused(session_call(site, mine, theirs.session_token), 401, "UNAUTHORIZED")


@pytest.mark.parametrize("session_id", ["a1b2c3d4-e5f6-7890", "0", "550e8400-e29b-41d4-a716-446655440000"])
def test_a_token_for_something_that_is_no_session_of_ours_is_401(site: Site, session_id: str) -> None:
    visit = enter(site, open_queue(site))
    response = site.call("GET", f"/sessions/{session_id}", visit.session_token)
    assert_refused(response, 401, "UNAUTHORIZED")


def test_the_position_id_is_not_a_session_id(site: Site) -> None:
    visit = enter(site, open_queue(site))
    response = site.call("GET", f"/sessions/{visit.position_id}", visit.session_token)
    assert_refused(response, 401, "UNAUTHORIZED")


def test_a_session_that_never_was_is_404(site: Site) -> None:
    token = session_token(site, open_queue(site))
    session_id = claims_of(token)["sub"]
    details = assert_refused(site.call("GET", f"/sessions/{session_id}", token), 404, "NOT_FOUND")
    assert details == {"session_id": session_id}


def test_a_session_of_a_deleted_queue_is_404(site: Site) -> None:
    visit = enter(site, open_queue(site))
    site.admin("DELETE", f"/queues/{visit.queue_id}")
    assert_refused(session_call(site, visit), 404, "NOT_FOUND")


def test_a_session_past_its_time_is_410_with_when_and_why(site: Site) -> None:
    visit = enter(site, open_queue(site, session_timeout_seconds=60))
    site.clock.advance(61)
    details = assert_refused(session_call(site, visit), 410, "SESSION_EXPIRED")
    assert details["session_id"] == visit.session_id
    assert details["reason"] == "session_timeout"
    late_s = seconds_of(details["expired_at"]) - seconds_of(visit.admitted["session_expires_at"])
    assert 0 <= late_s <= 10


def test_a_session_past_its_time_makes_room_for_the_next(site: Site) -> None:
    queue_id = open_queue(site, max_active_users=1, session_timeout_seconds=30)
    enter(site, queue_id)
    second = site.join(queue_id).json()["token"]
    assert site.status(queue_id, second).json()["status"] == "waiting"
    site.clock.advance(31)
    assert site.admitted(queue_id, second)["admitted"] is True


def test_a_terminated_session_is_410_and_an_hour_later_404(site: Site) -> None:
    visit = enter(site, open_queue(site, session_timeout_seconds=7 * 24 * 3600))
    terminate(site, visit.session_id)
    details = assert_refused(session_call(site, visit), 410, "SESSION_EXPIRED")
    assert details["reason"] == "terminated"
    site.clock.advance(3601)
    assert_refused(session_call(site, visit), 404, "NOT_FOUND")


def test_activity_shows_in_the_session(site: Site) -> None:
    visit = enter(site, open_queue(site))
    site.clock.advance(1800)
    before_s = site.clock() // 1000
    for _ in range(5):
        activity_call(site, visit, {"action": "page_view", "page": "/checkout"})
    body = session_call(site, visit).json()
    assert body["page_views"] == 5
    assert before_s <= seconds_of(body["last_activity"]) <= site.clock() // 1000


def test_the_room_is_never_fuller_than_its_maximum(site: Site) -> None:
    queue_id = open_queue(site, max_active_users=2)
    tokens = [site.join(queue_id).json()["token"] for _ in range(5)]
    wait_until(lambda: stats_of(site, queue_id)["current_active"] == 2)
    let_passes_run(site)
    statuses = [site.status(queue_id, token).json()["status"] for token in tokens]
    assert statuses == ["admitted"] * 2 + ["waiting"] * 3
