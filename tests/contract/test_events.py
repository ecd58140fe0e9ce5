"""GET /api/v1/queues/{queue_id}/events: the same as server-sent events."""

import gc
import json
from typing import Any

from httpx_sse import connect_sse

from tests.contract.helpers import wait_until
from tests.support import plain_http
from tests.support.site import BASE, Site, error_code
from wr.http.fast_lane import FastConnection


def follow(site: Site, queue_id: str, token: str) -> Any:
    return connect_sse(
        site.http, "GET", f"{BASE}/queues/{queue_id}/events", headers={"Authorization": f"Bearer {token}"}
    )


def test_updates_admission_and_the_end_come_as_events(site: Site) -> None:
    queue_id = site.make_queue(status="paused")
    ahead = site.join(queue_id).json()["token"]
    token = site.join(queue_id).json()["token"]
    with follow(site, queue_id, token) as stream:
        assert stream.response.headers["content-type"] == "text/event-stream"
        assert stream.response.headers["cache-control"] == "no-store"
        assert "x-request-id" in stream.response.headers
        events = stream.iter_sse()
        first = next(events)
        assert (first.event, first.id, first.retry) == ("position_update", "1", 3000)
        assert json.loads(first.data) == {
            "type": "position_update",
            "data": {
                "position": 2,
                "queue_length": 2,
                "estimated_wait_seconds": 1,
                "heartbeat_timeout_seconds": 60,
                "queue_status": "paused",
            },
        }
        with plain_http.client(base_url=site.url) as other:
            other.delete(f"{BASE}/queues/{queue_id}/position", headers={"Authorization": f"Bearer {ahead}"})
        second = next(events)
        assert (second.id, json.loads(second.data)["data"]["position"]) == ("2", 1)
        site.admin("PATCH", f"/queues/{queue_id}", {"status": "active"})
        # That the line goes on is news too; a fast pass comes before it.
        third = next(event for event in events if event.event != "position_update")
        assert third.event == "admitted"
        assert set(json.loads(third.data)["data"]) == {"session_id", "session_token", "redirect_url"}
        assert list(events) == []


def test_the_end_of_a_place_ends_the_stream(site: Site) -> None:
    queue_id = site.make_queue(status="paused")
    token = site.join(queue_id).json()["token"]
    with follow(site, queue_id, token) as stream:
        events = stream.iter_sse()
        next(events)
        site.admin("POST", f"/queues/{queue_id}/flush")
        last = next(events)
        assert json.loads(last.data) == {"type": "expired", "data": {"reason": "flushed"}}
        assert list(events) == []


def test_the_token_may_come_in_the_query_because_a_browser_can_set_no_header(site: Site) -> None:
    queue_id = site.make_queue(status="paused")
    token = site.join(queue_id).json()["token"]
    with connect_sse(
        site.http, "GET", f"{BASE}/queues/{queue_id}/events", params={"access_token": token}
    ) as stream:
        assert next(stream.iter_sse()).event == "position_update"


def test_a_token_in_the_query_opens_nothing_but_streams(site: Site) -> None:
    queue_id = site.make_queue(status="paused")
    token = site.join(queue_id).json()["token"]
    response = site.http.get(f"{BASE}/queues/{queue_id}/status", params={"access_token": token})
    assert (response.status_code, error_code(response)) == (401, "UNAUTHORIZED")


def test_an_open_stream_keeps_the_place(site: Site) -> None:
    queue_id = site.make_queue(status="paused", heartbeat_interval_seconds=1, heartbeat_timeout_seconds=2)
    token = site.join(queue_id).json()["token"]
    silent = site.join(queue_id).json()["token"]
    with follow(site, queue_id, token) as stream:
        events = stream.iter_sse()
        next(events)
        site.wait_for(lambda: site.status(queue_id, silent), lambda r: r.status_code == 410)
        assert site.status(queue_id, token).json()["position"] == 1


def test_refusals_are_plain_errors(site: Site) -> None:
    queue_id = site.make_queue(status="paused")
    token = site.join(queue_id).json()["token"]
    path = f"/queues/{queue_id}/events"
    assert error_code(site.call("GET", path)) == "UNAUTHORIZED"
    assert error_code(site.call("POST", path, token)) == "METHOD_NOT_ALLOWED"
    site.admin("POST", f"/queues/{queue_id}/flush")
    assert error_code(site.call("GET", path, token)) == "POSITION_EXPIRED"
    site.admin("DELETE", f"/queues/{queue_id}")
    assert error_code(site.call("GET", path, token)) == "NOT_FOUND"


def test_a_connection_whose_stream_has_ended_is_freed_at_once_without_the_collector(site: Site) -> None:
    def connections() -> int:
        return sum(isinstance(each, FastConnection) for each in gc.get_objects())

    queue_id = site.make_queue(status="paused")
    token = site.join(queue_id).json()["token"]
    gc.collect()
    gc.disable()
    try:
        before = connections()
        url, headers = f"{site.url}{BASE}/queues/{queue_id}/events", {"Authorization": f"Bearer {token}"}
        # On a connection of its own, which is gone afterwards.
        with plain_http.stream("GET", url, headers=headers) as response:
            assert response.status_code == 200
        wait_until(lambda: connections() == before)
    finally:
        gc.enable()
