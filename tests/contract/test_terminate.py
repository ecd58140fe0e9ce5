"""DELETE /admin/sessions/{session_id}."""

from typing import Any

import pytest

from tests.contract.helpers import (
    activity_call,
    assert_refused,
    claims_of,
    enter,
    open_queue,
    seconds_of,
    session_call,
    session_token,
    stats_of,
    terminate,
    waiting,
)
from tests.support.site import Site
from wr.model.ids import session_id_text


def test_terminating_is_200_with_the_contracts_fields_and_the_session_is_over(site: Site) -> None:
    visit = enter(site, open_queue(site))
    before_s = site.clock() // 1000
    response = terminate(site, visit.session_id, {"reason": "abuse_detected"})
    assert response.status_code == 200
    body = response.json()
    assert set(body) == {"session_id", "status", "terminated_at", "reason"}
    assert body["session_id"] == visit.session_id
    assert (body["status"], body["reason"]) == ("terminated", "abuse_detected")
    assert before_s <= seconds_of(body["terminated_at"]) <= site.clock() // 1000
    assert_refused(session_call(site, visit), 410, "SESSION_EXPIRED")
    assert stats_of(site, visit.queue_id)["current_active"] == 0


@pytest.mark.parametrize("body", [None, {}])
def test_the_reason_may_be_left_out(site: Site, body: Any) -> None:
    visit = enter(site, open_queue(site))
    assert terminate(site, visit.session_id, body).json()["reason"] == "terminated"


def test_the_place_of_a_terminated_session_goes_to_the_next_in_line(site: Site) -> None:
    queue_id = open_queue(site, max_active_users=1)
    visit = enter(site, queue_id)
    token = waiting(site, queue_id)
    terminate(site, visit.session_id)
    assert site.admitted(queue_id, token)["admitted"] is True


def test_the_right_session_is_found_among_several_queues(site: Site) -> None:
    visits = [enter(site, open_queue(site)) for _ in range(3)]
    assert terminate(site, visits[1].session_id).status_code == 200
    assert [session_call(site, visit).status_code for visit in visits] == [200, 410, 200]


@pytest.mark.parametrize("key", [None, "", "wrong"])
def test_terminating_without_the_admin_key_is_403_and_the_session_goes_on(
    site: Site, key: str | None
) -> None:
    visit = enter(site, open_queue(site))
    headers = {} if key is None else {"X-Admin-Key": key}
    response = site.call("DELETE", f"/admin/sessions/{visit.session_id}", headers=headers)
    assert_refused(response, 403, "FORBIDDEN")
    assert session_call(site, visit).status_code == 200


def test_a_visitors_own_tokens_do_not_open_the_admin_api(site: Site) -> None:
    visit = enter(site, open_queue(site))
    for token in (visit.token, visit.session_token):
        response = site.call("DELETE", f"/admin/sessions/{visit.session_id}", token)
        assert_refused(response, 403, "FORBIDDEN")
    assert session_call(site, visit).status_code == 200


def test_terminating_a_session_that_never_was_is_404(site: Site) -> None:
    session_id = claims_of(session_token(site, open_queue(site)))["sub"]
    details = assert_refused(terminate(site, session_id), 404, "NOT_FOUND")
    assert details == {"session_id": session_id}


@pytest.mark.parametrize("session_id", ["0", "a1b2c3d4-e5f6-7890", "550e8400-e29b-41d4-a716-446655440000"])
def test_terminating_what_is_no_session_id_is_404(site: Site, session_id: str) -> None:
    assert_refused(terminate(site, session_id), 404, "NOT_FOUND")


def test_terminating_somebody_who_still_waits_is_404_and_they_keep_their_place(site: Site) -> None:
    queue_id = site.make_queue(status="paused")
    joined = site.join(queue_id).json()
    session_id = session_id_text(bytes.fromhex(joined["position_id"].replace("-", "")))
    assert_refused(terminate(site, session_id), 404, "NOT_FOUND")
    assert site.status(queue_id, joined["token"]).json()["position"] == 1


def test_terminating_twice_is_410(site: Site) -> None:
    visit = enter(site, open_queue(site))
    terminate(site, visit.session_id)
    details = assert_refused(terminate(site, visit.session_id), 410, "SESSION_EXPIRED")
    assert (details["session_id"], details["reason"]) == (visit.session_id, "terminated")


def test_activity_of_a_terminated_session_is_refused_at_once(site: Site) -> None:
    visit = enter(site, open_queue(site))
    assert activity_call(site, visit).status_code == 200
    terminate(site, visit.session_id)
    assert_refused(activity_call(site, visit), 410, "SESSION_EXPIRED")
