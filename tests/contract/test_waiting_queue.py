"""The second API: /api/v1/waiting-queue."""

import itertools
import json
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from httpx_sse import connect_sse

from tests.support import plain_http
from tests.support.site import BASE, Site, error_code, new_address

ROOT = f"{BASE}/waiting-queue"
_numbers = itertools.count(time.time_ns() % 10**9)


def make_concert(site: Site, **settings: Any) -> int:
    concert_id = next(_numbers)
    site.make_queue(id=f"concert-{concert_id}", **settings)
    return concert_id


def join(site: Site, concert_id: int, user_id: int, address: str = "") -> httpx.Response:
    return site.http.post(
        f"{ROOT}/join",
        json={"userId": user_id, "concertId": concert_id},
        headers={"X-Forwarded-For": address or new_address()},
    )


def status(site: Site, concert_id: int, user_id: int) -> httpx.Response:
    return site.http.get(f"{ROOT}/status", params={"userId": user_id, "concertId": concert_id})


@contextmanager
def subscription(site: Site, concert_id: int, user_id: int) -> Iterator[Iterator[tuple[str, Any]]]:
    params = {"userId": user_id, "concertId": concert_id}
    with (
        plain_http.client(base_url=site.url, timeout=10) as client,
        connect_sse(client, "GET", f"{ROOT}/subscribe", params=params) as stream,
    ):
        assert stream.response.status_code == 200
        yield ((event.event, event.data) for event in stream.iter_sse())


def activate(site: Site, concert_id: int) -> None:
    assert site.admin("PATCH", f"/queues/concert-{concert_id}", {"status": "active"}).status_code == 200


def test_case_1_a_first_join_is_waiting_with_a_rank_above_zero(site: Site) -> None:
    concert_id = make_concert(site, status="paused")
    response = join(site, concert_id, 100)
    assert response.status_code == 200
    assert response.json() == {"userId": 100, "concertId": concert_id, "status": "WAITING", "rank": 1}
    assert join(site, concert_id, 101).json()["rank"] == 2
    assert join(site, concert_id, 100).json()["rank"] == 1


def test_case_2_the_rank_goes_down_as_time_passes(site: Site) -> None:
    concert_id = make_concert(site, status="paused", admission_rate=1, max_active_users=1)
    for user_id in (1, 2, 3):
        join(site, concert_id, user_id)
    assert status(site, concert_id, 3).json() == {"status": "WAITING", "rank": 3}
    activate(site, concert_id)
    site.wait_for(lambda: status(site, concert_id, 3), lambda r: r.json()["rank"] == 2)


def test_case_3_at_last_the_user_is_active_with_rank_zero(site: Site) -> None:
    concert_id = make_concert(site)
    join(site, concert_id, 7)
    response = site.wait_for(lambda: status(site, concert_id, 7), lambda r: r.json()["status"] == "ACTIVE")
    assert response.json() == {"status": "ACTIVE", "rank": 0}
    assert join(site, concert_id, 7).json() == {
        "userId": 7,
        "concertId": concert_id,
        "status": "ACTIVE",
        "rank": 0,
    }


def test_a_user_who_is_not_in_line_is_none(site: Site) -> None:
    concert_id = make_concert(site, status="paused")
    assert status(site, concert_id, 9).json() == {"status": "NONE", "rank": -1}


def test_a_full_line_rejects(site: Site) -> None:
    concert_id = make_concert(site, status="paused", max_queue_size=1)
    join(site, concert_id, 1)
    response = join(site, concert_id, 2)
    assert response.status_code == 200
    assert (response.json()["status"], response.json()["rank"]) == ("REJECTED", -1)


def test_a_concert_in_maintenance_takes_nobody_new(site: Site) -> None:
    concert_id = make_concert(site, status="maintenance")
    response = join(site, concert_id, 1)
    assert (response.status_code, error_code(response)) == (503, "MAINTENANCE_MODE")


@pytest.mark.parametrize("call", [join, status])
def test_an_unknown_concert_is_404_concert_not_found(site: Site, call: Any) -> None:
    response = call(site, next(_numbers), 1)
    assert response.status_code == 404
    assert response.json()["error"]["message"] == "Concert Not Found"
    assert error_code(response) == "NOT_FOUND"


def test_too_many_joins_of_an_address_are_429_too_many_requests(site: Site) -> None:
    concert_id, address = make_concert(site, status="paused"), new_address()
    responses = [join(site, concert_id, 5, address) for _ in range(12)]
    refused = [response for response in responses if response.status_code != 200]
    assert refused
    assert {response.status_code for response in refused} == {429}
    assert refused[0].json()["error"]["message"] == "Too Many Requests"
    assert int(refused[0].headers["retry-after"]) > 0
    assert join(site, concert_id, 6).status_code == 200


@pytest.mark.any_engine
@pytest.mark.parametrize(
    "body",
    [
        {},
        {"userId": 1},
        {"concertId": 1},
        {"userId": 0, "concertId": 1},
        {"userId": -1, "concertId": 1},
        {"userId": 2**63, "concertId": 1},
        {"userId": "1", "concertId": 1},
        {"userId": 1.5, "concertId": 1},
        {"userId": None, "concertId": 1},
    ],
)
def test_numbers_are_positive_64_bit_integers(site: Site, body: dict[str, Any]) -> None:
    response = site.http.post(f"{ROOT}/join", json=body)
    assert (response.status_code, error_code(response)) == (400, "INVALID_REQUEST")


@pytest.mark.any_engine
@pytest.mark.parametrize(
    "query", ["", "userId=1", "userId=x&concertId=1", "userId=1&concertId=0", "userId=1.5&concertId=1"]
)
@pytest.mark.parametrize("path", ["status", "subscribe"])
def test_queries_are_checked_like_bodies(site: Site, path: str, query: str) -> None:
    response = site.http.get(f"{ROOT}/{path}?{query}")
    assert (response.status_code, error_code(response)) == (400, "INVALID_REQUEST")


def test_the_largest_numbers_are_numbers(site: Site) -> None:
    concert_id = make_concert(site, status="paused")
    assert join(site, concert_id, 2**63 - 1).json()["userId"] == 2**63 - 1


def test_asking_for_the_status_keeps_the_place(site: Site) -> None:
    concert_id = make_concert(site, status="paused", heartbeat_timeout_seconds=60)
    for user_id in (1, 2):
        join(site, concert_id, user_id)
    site.clock.advance(50)
    assert status(site, concert_id, 2).json()["rank"] == 2
    site.clock.advance(20)
    site.wait_for(lambda: status(site, concert_id, 2), lambda r: r.json()["rank"] == 1)
    assert status(site, concert_id, 1).json() == {"status": "NONE", "rank": -1}


def test_a_concerts_sessions_last_five_minutes_unless_its_operator_says(site: Site) -> None:
    concert_id = make_concert(site)
    settings = site.admin("GET", f"/queues/concert-{concert_id}").json()
    assert settings["session_timeout_seconds"] == 300
    other = make_concert(site, session_timeout_seconds=60)
    assert site.admin("GET", f"/queues/concert-{other}").json()["session_timeout_seconds"] == 60


def test_a_concerts_queue_keeps_places_for_half_an_hour_unless_its_operator_says(site: Site) -> None:
    concert_id = make_concert(site, status="paused")
    settings = site.admin("GET", f"/queues/concert-{concert_id}").json()
    assert settings["heartbeat_timeout_seconds"] == 1800
    other = make_concert(site, heartbeat_timeout_seconds=60)
    assert site.admin("GET", f"/queues/concert-{other}").json()["heartbeat_timeout_seconds"] == 60
    assert site.admin("GET", f"/queues/{site.make_queue()}").json()["heartbeat_timeout_seconds"] == 60
    for user_id in (1, 2):
        join(site, concert_id, user_id)
    site.clock.advance(1700)
    assert status(site, concert_id, 2).json()["rank"] == 2, "the first has been silent for 28 minutes"
    site.clock.advance(150)
    site.wait_for(lambda: status(site, concert_id, 2), lambda r: r.json()["rank"] == 1)


def test_one_queue_serves_both_apis_in_one_line(site: Site) -> None:
    concert_id = make_concert(site, status="paused")
    assert join(site, concert_id, 1).json()["rank"] == 1
    visitor = site.join(f"concert-{concert_id}").json()
    assert visitor["position"] == 2
    assert join(site, concert_id, 2).json()["rank"] == 3
    site.call("DELETE", f"/queues/concert-{concert_id}/position", visitor["token"])
    assert status(site, concert_id, 2).json()["rank"] == 2


def test_a_subscription_begins_with_init_and_the_present_state(site: Site) -> None:
    concert_id = make_concert(site, status="paused")
    join(site, concert_id, 100)
    with subscription(site, concert_id, 100) as events:
        assert next(events)[0] == "INIT"
        name, data = next(events)
        assert name == "RANK_UPDATE"
        body = json.loads(data)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", body.pop("timestamp"))
        assert body == {
            "userId": 100,
            "concertId": concert_id,
            "status": "WAITING",
            "rank": 1,
            "activeTtlSeconds": 0,
        }


def test_a_subscription_hears_ranks_then_active_then_the_end(site: Site) -> None:
    concert_id = make_concert(site, status="paused")
    ahead = site.join(f"concert-{concert_id}").json()["token"]
    join(site, concert_id, 100)
    with subscription(site, concert_id, 100) as events:
        assert [next(events)[0], next(events)[0]] == ["INIT", "RANK_UPDATE"]
        site.call("DELETE", f"/queues/concert-{concert_id}/position", ahead)
        name, data = next(events)
        assert (name, json.loads(data)["rank"]) == ("RANK_UPDATE", 1)
        activate(site, concert_id)
        name, data = next(events)
        body = json.loads(data)
        assert (name, body["status"], body["rank"]) == ("ACTIVE", "ACTIVE", 0)
        assert 298 <= body["activeTtlSeconds"] <= 300
        site.clock.advance(301)
        name, data = next(events)
        body = json.loads(data)
        assert (name, body["status"], body["rank"], body["activeTtlSeconds"]) == (
            "RANK_UPDATE",
            "NONE",
            -1,
            0,
        )


def test_the_time_left_counts_down_truly(site: Site) -> None:
    concert_id = make_concert(site)
    join(site, concert_id, 100)
    site.wait_for(lambda: status(site, concert_id, 100), lambda r: r.json()["status"] == "ACTIVE")
    site.clock.advance(100)
    with subscription(site, concert_id, 100) as events:
        next(events)
        name, data = next(events)
        assert name == "ACTIVE"
        assert 197 <= json.loads(data)["activeTtlSeconds"] <= 200


def test_somebody_who_subscribes_before_joining_hears_of_the_joining(site: Site) -> None:
    concert_id = make_concert(site, status="paused")
    with subscription(site, concert_id, 100) as events:
        next(events)
        assert json.loads(next(events)[1])["status"] == "NONE"
        join(site, concert_id, 100)
        assert json.loads(next(events)[1])["rank"] == 1


def test_two_subscriptions_of_a_user_live_side_by_side_and_a_third_from_there_replaces_the_first(
    site: Site,
) -> None:
    concert_id = make_concert(site, status="paused")
    join(site, concert_id, 100)
    with subscription(site, concert_id, 100) as old, subscription(site, concert_id, 100) as second:
        next(old), next(old)
        next(second), next(second)
        with subscription(site, concert_id, 100) as new:
            next(new)
            assert list(old) == []
            activate(site, concert_id)
            names = [next(new)[0], next(new)[0]]
            assert names[-1] == "ACTIVE"
            assert next(second)[0] == "ACTIVE"


def test_the_wire_form_has_no_space_after_the_colon(site: Site) -> None:
    concert_id = make_concert(site, status="paused")
    join(site, concert_id, 100)
    url = f"{site.url}{ROOT}/subscribe?userId=100&concertId={concert_id}"
    # curl ends with 28 when its time is over, which is how a stream that stays open ends here.
    heard = subprocess.run(["curl", "-sN", "-m", "1", url], capture_output=True, text=True, check=False)
    assert heard.returncode == 28
    lines = heard.stdout.split("\n")
    assert lines[0] == "event:INIT"
    assert lines[1].startswith("data:") and not lines[1].startswith("data: ")
    assert lines[2] == ""
    assert lines[3] == "event:RANK_UPDATE"
    assert lines[4].startswith('data:{"userId":100,')
    assert lines[5] == ""
