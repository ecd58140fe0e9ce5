"""GET /admin/queues/{queue_id}/history: how a queue went, step by step."""

from typing import Any

import pytest

from tests.contract.helpers import assert_refused, enter, let_passes_run, open_queue, seconds_of, waiting
from tests.support.clock import HandClock
from tests.support.site import Site

FIELDS = {
    "at",
    "waiting",
    "active",
    "joined_per_second",
    "admitted_per_second",
    "expired_per_second",
    "cancelled_per_second",
    "average_wait_seconds",
}


def next_step(clock: HandClock, step_s: int = 10) -> None:
    clock.advance(step_s - clock() / 1000 % step_s + 0.01)


def history(site: Site, queue_id: str, span: str = "15m") -> dict[str, Any]:
    response = site.admin("GET", f"/queues/{queue_id}/history", params={"span": span})
    assert response.status_code == 200, response.text
    return dict(response.json())


def only_point(site: Site, queue_id: str, span: str = "15m") -> dict[str, Any]:
    (point,) = history(site, queue_id, span)["points"]
    return dict(point)


def test_a_new_queue_has_no_history_yet(site: Site) -> None:
    queue_id = site.make_queue()
    expected = {"queue_id": queue_id, "span": "15m", "step_seconds": 10, "points": []}
    assert history(site, queue_id) == expected
    assert site.admin("GET", f"/queues/{queue_id}/history").json() == expected, "15m unless asked otherwise"
    assert history(site, queue_id, "24h") == {**expected, "span": "24h", "step_seconds": 300}


@pytest.mark.parametrize(("span", "step_s"), [("15m", 10), ("24h", 300)])
def test_a_step_tells_how_it_began_and_what_happened_in_it(site: Site, span: str, step_s: int) -> None:
    next_step(site.clock, step_s)
    queue_id = site.make_queue(status="paused", heartbeat_timeout_seconds=7200)
    let_passes_run(site)
    began_s = site.clock() // 1000 // step_s * step_s
    tokens = [waiting(site, queue_id) for _ in range(6)]
    for token in tokens[:2]:
        site.call("DELETE", f"/queues/{queue_id}/position", token)
    next_step(site.clock, step_s)
    let_passes_run(site)
    point = only_point(site, queue_id, span)
    assert set(point) == FIELDS
    assert seconds_of(point["at"]) == began_s
    assert (point["waiting"], point["active"], point["average_wait_seconds"]) == (0, 0, None)
    assert (point["admitted_per_second"], point["expired_per_second"]) == (0, 0)
    # The notes are the real time that this took apart from the step's length, if at all.
    assert point["joined_per_second"] == pytest.approx(6 / step_s, rel=0.4)
    assert point["cancelled_per_second"] * 3 == pytest.approx(point["joined_per_second"], abs=1e-5)
    next_step(site.clock, step_s)
    let_passes_run(site)
    assert [each["waiting"] for each in history(site, queue_id, span)["points"]] == [0, 4]


def test_what_those_let_in_had_waited_is_in_the_step_that_let_them_in(site: Site) -> None:
    next_step(site.clock)
    queue_id = site.make_queue(status="paused", heartbeat_timeout_seconds=7200)
    let_passes_run(site)
    token = waiting(site, queue_id)
    next_step(site.clock)
    let_passes_run(site)
    site.admin("PATCH", f"/queues/{queue_id}", {"status": "active"})
    site.admitted(queue_id, token)
    next_step(site.clock)
    let_passes_run(site)
    before, after = history(site, queue_id)["points"]
    assert (before["admitted_per_second"], before["average_wait_seconds"]) == (0, None)
    assert after["admitted_per_second"] > 0
    assert 8 <= after["average_wait_seconds"] <= 15
    assert (after["waiting"], after["active"]) == (1, 0)


def test_it_is_the_same_at_every_server(site: Site, replica: Site) -> None:
    next_step(site.clock)
    queue_id = open_queue(site)
    let_passes_run(site)
    enter(replica, queue_id)
    enter(site, queue_id)
    next_step(site.clock)
    let_passes_run(site)
    assert only_point(site, queue_id) == only_point(replica, queue_id)
    assert only_point(site, queue_id)["admitted_per_second"] == pytest.approx(0.2, rel=0.4)


def test_a_point_that_was_told_is_told_the_same_ever_after(site: Site) -> None:
    next_step(site.clock)
    queue_id = site.make_queue(status="paused")
    let_passes_run(site)
    waiting(site, queue_id)
    next_step(site.clock)
    let_passes_run(site)
    told = only_point(site, queue_id)
    waiting(site, queue_id)
    next_step(site.clock)
    let_passes_run(site)
    assert history(site, queue_id)["points"][0] == told


def test_a_queue_made_anew_after_its_deletion_has_no_history(site: Site) -> None:
    next_step(site.clock)
    queue_id = site.make_queue()
    for _ in range(2):
        let_passes_run(site)
        next_step(site.clock)
    assert history(site, queue_id)["points"] != []
    site.admin("DELETE", f"/queues/{queue_id}")
    site.make_queue(id=queue_id)
    assert history(site, queue_id)["points"] == []


@pytest.mark.any_engine
@pytest.mark.parametrize("span", ["", "1h", "15M", "15m,24h", "15"])
def test_any_other_span_is_400(site: Site, span: str) -> None:
    response = site.admin("GET", f"/queues/{site.make_queue()}/history", params={"span": span})
    assert assert_refused(response, 400, "INVALID_REQUEST") == {"field": "span"}


def test_the_history_of_a_queue_that_does_not_exist_is_404(site: Site) -> None:
    response = site.admin("GET", "/queues/no-such-queue/history")
    assert assert_refused(response, 404, "NOT_FOUND") == {"queue_id": "no-such-queue"}
