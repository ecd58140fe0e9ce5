"""POST /queues/{queue_id}/enqueue."""

from tests.support.site import Site


def test_a_new_visitor_gets_a_place_at_the_end_of_the_line(site: Site) -> None:
    queue_id = site.make_queue(status="paused")
    first = site.join(queue_id)
    second = site.join(queue_id, {"priority": 0, "metadata": {"campaign": "summer-sale"}})
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["position"] == 1
    body = second.json()
    assert set(body) == {
        "position_id",
        "queue_id",
        "position",
        "queue_length",
        "estimated_wait_seconds",
        "status",
        "token",
        "heartbeat_interval_seconds",
        "heartbeat_timeout_seconds",
        "expires_at",
    }
    assert (body["position"], body["queue_length"], body["status"]) == (2, 2, "waiting")
