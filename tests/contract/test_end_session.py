"""DELETE /sessions/{session_id}: who was let in leaves."""

import httpx

from tests.contract.helpers import (
    Visit,
    activity_call,
    assert_refused,
    enter,
    open_queue,
    seconds_of,
    session_call,
    stats_of,
)
from tests.support.site import Site


def end(site: Site, visit: Visit, token: str | None = None) -> httpx.Response:
    return site.call("DELETE", f"/sessions/{visit.session_id}", token or visit.session_token)


def test_whoever_ends_a_session_makes_room_at_once_and_is_told_when(site: Site) -> None:
    visit = enter(site, open_queue(site))
    assert stats_of(site, visit.queue_id)["current_active"] == 1
    response = end(site, visit)
    assert response.status_code == 200
    body = response.json()
    assert set(body) == {"session_id", "status", "ended_at"}
    assert (body["session_id"], body["status"]) == (visit.session_id, "ended")
    assert abs(seconds_of(body["ended_at"]) - site.clock() // 1000) <= 5
    assert stats_of(site, visit.queue_id)["current_active"] == 0
    for ended in (session_call(site, visit), activity_call(site, visit), end(site, visit)):
        details = assert_refused(ended, 410, "SESSION_EXPIRED")
        assert details["session_id"] == visit.session_id
        assert details["reason"] == "cancelled"


def test_nobody_ends_another_s_session(site: Site) -> None:
    queue_id = open_queue(site)
    mine, other = enter(site, queue_id), enter(site, queue_id)
    assert end(site, other, mine.session_token).status_code == 401
    assert session_call(site, other).status_code == 200
