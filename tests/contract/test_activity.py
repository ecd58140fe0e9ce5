"""POST /sessions/{session_id}/activity."""

from typing import Any

import pytest

from tests.contract.helpers import (
    activity_call,
    assert_refused,
    claims_of,
    enter,
    open_queue,
    session_call,
    session_token,
    terminate,
)
from tests.support.site import Site


def test_activity_is_200_with_the_contracts_fields(site: Site) -> None:
    visit = enter(site, open_queue(site))
    response = activity_call(
        site, visit, {"action": "page_view", "page": "/checkout", "timestamp": 1704067260000}
    )
    assert response.status_code == 200
    assert response.json() == {
        "session_id": visit.session_id,
        "status": "active",
        "page_views": 1,
        "expires_at": visit.admitted["session_expires_at"],
    }


def test_each_page_view_counts_as_one(site: Site) -> None:
    visit = enter(site, open_queue(site))
    views = [activity_call(site, visit, {"action": "page_view"}).json()["page_views"] for _ in range(4)]
    assert views == [1, 2, 3, 4]


@pytest.mark.parametrize("body", [None, {}, {"action": "click"}, {"page": "/checkout"}, {"new": "field"}])
def test_any_other_action_is_recorded_but_is_no_page_view(site: Site, body: Any) -> None:
    visit = enter(site, open_queue(site))
    activity_call(site, visit, {"action": "page_view"})
    before = session_call(site, visit).json()
    site.clock.advance(10)
    assert activity_call(site, visit, body).json()["page_views"] == 1
    after = session_call(site, visit).json()
    assert after["page_views"] == 1
    assert after["last_activity"] > before["last_activity"]


def test_activity_does_not_prolong_the_session(site: Site) -> None:
    visit = enter(site, open_queue(site, session_timeout_seconds=60))
    site.clock.advance(50)
    response = activity_call(site, visit, {"action": "page_view"})
    assert response.json()["expires_at"] == visit.admitted["session_expires_at"]
    site.clock.advance(11)
    assert_refused(activity_call(site, visit), 410, "SESSION_EXPIRED")


def test_activity_without_a_token_is_401(site: Site) -> None:
    visit = enter(site, open_queue(site))
    response = site.call("POST", f"/sessions/{visit.session_id}/activity", json={"action": "page_view"})
    assert_refused(response, 401, "UNAUTHORIZED")
    assert session_call(site, visit).json()["page_views"] == 0


def test_activity_with_the_token_of_another_session_is_401_and_counts_for_neither(site: Site) -> None:
    queue_id = open_queue(site)
    mine, theirs = enter(site, queue_id), enter(site, queue_id)
    refused = activity_call(site, mine, {"action": "page_view"}, token=theirs.session_token)
    assert_refused(refused, 401, "UNAUTHORIZED")
    assert [session_call(site, visit).json()["page_views"] for visit in (mine, theirs)] == [0, 0]


def test_activity_after_the_session_ended_is_410_with_when_and_why(site: Site) -> None:
    visit = enter(site, open_queue(site, session_timeout_seconds=60))
    site.clock.advance(61)
    details = assert_refused(activity_call(site, visit), 410, "SESSION_EXPIRED")
    assert set(details) == {"session_id", "expired_at", "reason"}
    assert (details["session_id"], details["reason"]) == (visit.session_id, "session_timeout")


def test_activity_in_a_terminated_session_is_410(site: Site) -> None:
    visit = enter(site, open_queue(site))
    terminate(site, visit.session_id)
    details = assert_refused(activity_call(site, visit, {"action": "page_view"}), 410, "SESSION_EXPIRED")
    assert details["reason"] == "terminated"


def test_activity_in_a_session_that_never_was_is_410(site: Site) -> None:
    token = session_token(site, open_queue(site))
    session_id = claims_of(token)["sub"]
    response = site.call("POST", f"/sessions/{session_id}/activity", token, {"action": "page_view"})
    assert assert_refused(response, 410, "SESSION_EXPIRED") == {"session_id": session_id}


def test_activity_in_a_deleted_queue_is_404(site: Site) -> None:
    visit = enter(site, open_queue(site))
    site.admin("DELETE", f"/queues/{visit.queue_id}")
    assert_refused(activity_call(site, visit), 404, "NOT_FOUND")
