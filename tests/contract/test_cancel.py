"""DELETE /queues/{queue_id}/position."""

import httpx

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
    waiting,
)
from tests.support.site import Site


def cancel(site: Site, queue_id: str, token: str | None) -> httpx.Response:
    return site.call("DELETE", f"/queues/{queue_id}/position", token)


def test_leaving_is_200_and_the_place_is_gone(site: Site) -> None:
    queue_id = site.make_queue(status="paused")
    joined = site.join(queue_id).json()
    before_s = site.clock() // 1000
    response = cancel(site, queue_id, joined["token"])
    assert response.status_code == 200
    body = response.json()
    assert set(body) == {"position_id", "status", "cancelled_at"}
    assert (body["position_id"], body["status"]) == (joined["position_id"], "cancelled")
    assert before_s <= seconds_of(body["cancelled_at"]) <= site.clock() // 1000
    stats = stats_of(site, queue_id)
    assert (stats["current_waiting"], stats["total_cancelled_today"]) == (0, 1)


def test_leaving_without_a_token_is_401(site: Site) -> None:
    queue_id = site.make_queue(status="paused")
    waiting(site, queue_id)
    assert_refused(cancel(site, queue_id, None), 401, "UNAUTHORIZED")
    assert stats_of(site, queue_id)["current_waiting"] == 1


def test_leaving_twice_is_404(site: Site) -> None:
    queue_id = site.make_queue(status="paused")
    joined = site.join(queue_id).json()
    assert cancel(site, queue_id, joined["token"]).status_code == 200
    details = assert_refused(cancel(site, queue_id, joined["token"]), 404, "NOT_FOUND")
    assert details == {"position_id": joined["position_id"]}
    assert stats_of(site, queue_id)["total_cancelled_today"] == 1


def test_leaving_a_place_that_never_was_is_404(site: Site) -> None:
    queue_id = site.make_queue(status="paused")
    token = position_token(site, queue_id)
    details = assert_refused(cancel(site, queue_id, token), 404, "NOT_FOUND")
    assert details == {"position_id": claims_of(token)["sub"]}


def test_leaving_a_place_lost_by_silence_is_404(site: Site) -> None:
    queue_id = site.make_queue(status="paused")
    token = waiting(site, queue_id)
    gone_for_silence(site, queue_id, token)
    assert_refused(cancel(site, queue_id, token), 404, "NOT_FOUND")


def test_leaving_a_deleted_queue_is_404(site: Site) -> None:
    queue_id = site.make_queue(status="paused")
    token = waiting(site, queue_id)
    site.admin("DELETE", f"/queues/{queue_id}")
    assert assert_refused(cancel(site, queue_id, token), 404, "NOT_FOUND") == {"queue_id": queue_id}


def test_leaving_with_an_expired_token_is_410(site: Site) -> None:
    queue_id = site.make_queue(status="paused")
    token = position_token(site, queue_id, lasts_s=-1)
    assert_refused(cancel(site, queue_id, token), 410, "POSITION_EXPIRED")


def test_someone_admitted_who_leaves_makes_room_for_the_next(site: Site) -> None:
    queue_id = open_queue(site, max_active_users=1)
    visit = enter(site, queue_id)
    second = waiting(site, queue_id)
    assert cancel(site, queue_id, visit.token).status_code == 200
    assert_refused(session_call(site, visit), 410, "SESSION_EXPIRED")
    assert site.admitted(queue_id, second)["admitted"] is True
    assert stats_of(site, queue_id)["current_active"] == 1
