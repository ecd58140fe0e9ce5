"""GET /admin/queues/{queue_id}/stats: each figure is what the test itself did."""

from typing import Any

import pytest

from tests.contract.helpers import (
    assert_refused,
    enter,
    fresh_day,
    open_queue,
    stats_of,
    terminate,
    use_tokens,
    wait_until,
    waiting,
)
from tests.support.site import Site

BY_CONTRACT = {
    "queue_id",
    "status",
    "current_waiting",
    "current_active",
    "total_enqueued_today",
    "total_admitted_today",
    "total_expired_today",
    "avg_wait_time_seconds",
    "peak_queue_size",
    "admission_rate_actual",
}


@pytest.fixture(autouse=True)
def one_day(site: Site) -> None:
    """All that a test does happens on one UTC day."""
    fresh_day(site.clock)


def figures(site: Site, queue_id: str, *names: str) -> list[Any]:
    stats = stats_of(site, queue_id)
    return [stats[name] for name in names]


def set_status(site: Site, queue_id: str, status: str) -> None:
    site.admin("PATCH", f"/queues/{queue_id}", {"status": status})


def test_stats_are_200_with_the_contracts_fields(site: Site) -> None:
    queue_id = site.make_queue(status="paused")
    response = site.admin("GET", f"/queues/{queue_id}/stats")
    assert response.status_code == 200
    assert set(response.json()) == BY_CONTRACT | {"total_cancelled_today"}


def test_a_new_queue_has_nothing_to_tell(site: Site) -> None:
    queue_id = site.make_queue()
    assert stats_of(site, queue_id) == {
        "queue_id": queue_id,
        "status": "active",
        "current_waiting": 0,
        "current_active": 0,
        "total_enqueued_today": 0,
        "total_admitted_today": 0,
        "total_expired_today": 0,
        "total_cancelled_today": 0,
        "avg_wait_time_seconds": 0,
        "peak_queue_size": 0,
        "admission_rate_actual": 0,
    }


@pytest.mark.parametrize("status", ["active", "paused", "maintenance"])
def test_the_status_is_the_queues_own(site: Site, status: str) -> None:
    assert stats_of(site, site.make_queue(status=status))["status"] == status


def test_waiting_and_enqueued_count_new_places_only(site: Site) -> None:
    queue_id = site.make_queue(status="paused", max_queue_size=3)
    tokens = [waiting(site, queue_id) for _ in range(3)]
    site.join(queue_id, token=tokens[0])
    site.join(queue_id)
    site.join(queue_id, {"priority": 9})
    assert figures(site, queue_id, "current_waiting", "total_enqueued_today") == [3, 3]


def test_active_and_admitted_count_those_let_in(site: Site) -> None:
    queue_id = open_queue(site, max_active_users=2)
    for _ in range(3):
        site.join(queue_id)
    wait_until(lambda: stats_of(site, queue_id)["current_active"] == 2)
    names = ("current_waiting", "current_active", "total_admitted_today", "total_enqueued_today")
    assert figures(site, queue_id, *names) == [1, 2, 2, 3]


def test_a_session_counts_as_active_until_its_time_is_over_or_it_is_ended(site: Site) -> None:
    queue_id = open_queue(site, session_timeout_seconds=60)
    visits = [enter(site, queue_id) for _ in range(3)]
    assert figures(site, queue_id, "current_active") == [3]
    terminate(site, visits[0].session_id)
    assert figures(site, queue_id, "current_active") == [2]
    site.clock.advance(61)
    assert figures(site, queue_id, "current_active", "total_admitted_today") == [0, 3]


def test_expired_counts_places_lost_by_silence_and_cancelled_those_given_up(site: Site) -> None:
    queue_id = site.make_queue(status="paused")
    tokens = [waiting(site, queue_id) for _ in range(6)]
    use_tokens(site, queue_id, tokens)
    site.call("DELETE", f"/queues/{queue_id}/position", tokens[0])
    site.clock.advance(30)
    site.heartbeat(queue_id, tokens[1])
    site.clock.advance(31)
    site.wait_for(lambda: site.status(queue_id, tokens[2]), lambda r: r.status_code == 410)
    names = ("total_expired_today", "total_cancelled_today", "current_waiting", "total_enqueued_today")
    assert figures(site, queue_id, *names) == [4, 1, 1, 6]
    site.admin("POST", f"/queues/{queue_id}/flush")
    assert figures(site, queue_id, *names) == [4, 2, 0, 6]


def test_sessions_that_end_are_no_expired_places(site: Site) -> None:
    queue_id = open_queue(site, session_timeout_seconds=1)
    enter(site, queue_id)
    site.clock.advance(2)
    wait_until(lambda: stats_of(site, queue_id)["current_active"] == 0)
    assert figures(site, queue_id, "total_expired_today", "total_cancelled_today") == [0, 0]


def test_the_average_wait_is_the_mean_of_what_each_admitted_person_waited(site: Site) -> None:
    queue_id = open_queue(site, status="paused", heartbeat_timeout_seconds=7200)
    began_ms = site.clock()
    waiting(site, queue_id)
    site.clock.advance(300)
    last = waiting(site, queue_id)
    site.clock.advance(100)
    set_status(site, queue_id, "active")
    site.admitted(queue_id, last)
    # The two waited 400 s and 100 s, and both at most the real time that this test took.
    spent_s = (site.clock() - began_ms) / 1000 - 400
    (average_s,) = figures(site, queue_id, "avg_wait_time_seconds")
    assert 250 <= average_s <= 250 + spent_s
    set_status(site, queue_id, "paused")
    waiting(site, queue_id)
    site.clock.advance(1000)
    assert figures(site, queue_id, "avg_wait_time_seconds") == [average_s], "who still waits is not in it"


def test_the_peak_is_the_longest_the_line_has_been(site: Site) -> None:
    queue_id = site.make_queue(status="paused")
    tokens = [waiting(site, queue_id) for _ in range(4)]
    for token in tokens[:3]:
        site.call("DELETE", f"/queues/{queue_id}/position", token)
    waiting(site, queue_id)
    assert figures(site, queue_id, "current_waiting", "peak_queue_size") == [2, 4]


def test_the_actual_rate_is_that_of_the_last_minute(site: Site) -> None:
    queue_id = open_queue(site, status="paused", heartbeat_timeout_seconds=7200)
    tokens = [waiting(site, queue_id) for _ in range(30)]
    site.clock.advance(120)
    assert figures(site, queue_id, "admission_rate_actual") == [0]
    set_status(site, queue_id, "active")
    site.admitted(queue_id, tokens[-1])
    assert figures(site, queue_id, "admission_rate_actual") == [0.5], "30 people in 60 seconds"
    site.clock.advance(30)
    assert figures(site, queue_id, "admission_rate_actual") == [0.5]
    site.clock.advance(31)
    assert figures(site, queue_id, "admission_rate_actual") == [0]


def test_the_actual_rate_of_a_young_queue_is_that_since_its_creation(site: Site) -> None:
    began_ms = site.clock()
    queue_id = open_queue(site, status="paused")
    tokens = [waiting(site, queue_id) for _ in range(6)]
    site.clock.advance(12)
    set_status(site, queue_id, "active")
    site.admitted(queue_id, tokens[-1])
    (rate,) = figures(site, queue_id, "admission_rate_actual")
    took_s = (site.clock() - began_ms) / 1000
    assert 6 / took_s - 0.001 <= rate <= 0.5


def test_a_new_day_starts_at_zero_and_with_the_line_as_long_as_it_is(site: Site) -> None:
    queue_id = open_queue(site, heartbeat_timeout_seconds=604_800, session_timeout_seconds=604_800)
    enter(site, queue_id)
    set_status(site, queue_id, "paused")
    tokens = [waiting(site, queue_id) for _ in range(3)]
    use_tokens(site, queue_id, tokens)
    site.call("DELETE", f"/queues/{queue_id}/position", tokens[0])
    fresh_day(site.clock)
    stats = stats_of(site, queue_id)
    today = [name for name in stats if name.endswith("_today")]
    assert [stats[name] for name in today] == [0, 0, 0, 0]
    assert (stats["peak_queue_size"], stats["avg_wait_time_seconds"]) == (2, 0)
    assert (stats["current_waiting"], stats["current_active"]) == (2, 1)


@pytest.mark.parametrize("key", [None, "wrong"])
def test_stats_without_the_admin_key_are_403(site: Site, key: str | None) -> None:
    queue_id = site.make_queue()
    headers = {} if key is None else {"X-Admin-Key": key}
    assert_refused(site.call("GET", f"/admin/queues/{queue_id}/stats", headers=headers), 403, "FORBIDDEN")


def test_stats_of_a_queue_that_does_not_exist_are_404(site: Site) -> None:
    details = assert_refused(site.admin("GET", "/queues/no-such-queue/stats"), 404, "NOT_FOUND")
    assert details == {"queue_id": "no-such-queue"}
