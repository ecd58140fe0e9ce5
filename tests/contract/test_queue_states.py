"""The states of a queue: active, paused, maintenance."""

import pytest

from tests.contract.helpers import (
    activity_call,
    assert_refused,
    enter,
    let_passes_run,
    open_queue,
    session_call,
    stats_of,
    waiting,
)
from tests.support.site import Site

CLOSED = ["paused", "maintenance"]


def set_status(site: Site, queue_id: str, status: str) -> None:
    response = site.admin("PATCH", f"/queues/{queue_id}", {"status": status})
    assert response.status_code == 200
    assert response.json()["status"] == status


def test_an_active_queue_takes_people_and_lets_them_in(site: Site) -> None:
    queue_id = open_queue(site, status="active")
    assert enter(site, queue_id).admitted["status"] == "admitted"


def test_a_paused_queue_takes_people_and_lets_nobody_in(site: Site) -> None:
    queue_id = open_queue(site, status="paused")
    tokens = [waiting(site, queue_id) for _ in range(3)]
    let_passes_run(site)
    assert [site.status(queue_id, token).json()["position"] for token in tokens] == [1, 2, 3]
    stats = stats_of(site, queue_id)
    assert (stats["status"], stats["current_waiting"], stats["total_admitted_today"]) == ("paused", 3, 0)


def test_a_queue_in_maintenance_takes_nobody_new_and_lets_nobody_in(site: Site) -> None:
    queue_id = open_queue(site, status="paused")
    tokens = [waiting(site, queue_id) for _ in range(2)]
    set_status(site, queue_id, "maintenance")
    assert_refused(site.join(queue_id, {"priority": 3}), 503, "MAINTENANCE_MODE")
    let_passes_run(site)
    assert [site.status(queue_id, token).json()["position"] for token in tokens] == [1, 2]
    assert stats_of(site, queue_id)["status"] == "maintenance"


@pytest.mark.parametrize("status", CLOSED)
def test_those_in_line_go_on_asking_beating_and_leaving(site: Site, status: str) -> None:
    queue_id = open_queue(site, status="paused")
    tokens = [waiting(site, queue_id) for _ in range(2)]
    set_status(site, queue_id, status)
    assert site.status(queue_id, tokens[0]).status_code == 200
    assert site.heartbeat(queue_id, tokens[1]).status_code == 200
    assert site.call("DELETE", f"/queues/{queue_id}/position", tokens[0]).status_code == 200
    assert site.status(queue_id, tokens[1]).json()["position"] == 1


@pytest.mark.parametrize("status", CLOSED)
def test_the_silent_lose_their_place_all_the_same(site: Site, status: str) -> None:
    queue_id = open_queue(site, status="paused")
    token = waiting(site, queue_id)
    set_status(site, queue_id, status)
    site.clock.advance(61)
    gone = site.wait_for(lambda: site.status(queue_id, token), lambda r: r.status_code != 200)
    assert_refused(gone, 410, "POSITION_EXPIRED")


@pytest.mark.parametrize("status", CLOSED)
def test_sessions_go_on(site: Site, status: str) -> None:
    visit = enter(site, open_queue(site))
    set_status(site, visit.queue_id, status)
    assert session_call(site, visit).status_code == 200
    assert activity_call(site, visit).status_code == 200
    assert site.status(visit.queue_id, visit.token).json()["status"] == "admitted"


@pytest.mark.parametrize("status", CLOSED)
def test_back_to_active_lets_in_those_who_waited(site: Site, status: str) -> None:
    queue_id = open_queue(site, status="paused", max_active_users=2)
    tokens = [waiting(site, queue_id) for _ in range(3)]
    set_status(site, queue_id, status)
    let_passes_run(site)
    set_status(site, queue_id, "active")
    for token in tokens[:2]:
        site.admitted(queue_id, token)
    assert site.status(queue_id, tokens[2]).json()["position"] == 1


@pytest.mark.parametrize("status", CLOSED)
def test_a_stop_told_to_one_server_holds_at_the_other(site: Site, replica: Site, status: str) -> None:
    queue_id = open_queue(site)
    enter(replica, queue_id)
    set_status(site, queue_id, status)
    joined = replica.join(queue_id)
    if status == "maintenance":
        assert_refused(joined, 503, "MAINTENANCE_MODE")
    else:
        let_passes_run(site)
        let_passes_run(replica)
        assert replica.status(queue_id, joined.json()["token"]).json()["status"] == "waiting"
    assert stats_of(replica, queue_id)["total_admitted_today"] == 1


def test_a_queue_that_is_active_again_takes_people_again(site: Site) -> None:
    queue_id = site.make_queue(status="maintenance")
    assert_refused(site.join(queue_id), 503, "MAINTENANCE_MODE")
    set_status(site, queue_id, "active")
    assert site.join(queue_id).status_code == 201
