"""POST /queues/{queue_id}/enqueue."""

import uuid
from typing import Any

import pytest

from tests.contract.helpers import (
    assert_refused,
    claims_of,
    enqueue_path,
    enter,
    open_queue,
    position_token,
    seconds_of,
    stats_of,
    waiting,
)
from tests.support.site import Site, new_address

FIELDS = {
    "position_id",
    "queue_id",
    "position",
    "queue_length",
    "estimated_wait_seconds",
    "priority",
    "status",
    "token",
    "heartbeat_interval_seconds",
    "heartbeat_timeout_seconds",
    "expires_at",
}
WAY_IN = {"session_id", "session_token", "redirect_url", "session_expires_at"}


def test_a_new_visitor_gets_201_and_a_place_at_the_end_of_the_line(site: Site) -> None:
    queue_id = site.make_queue(status="paused")
    first = site.join(queue_id)
    second = site.join(queue_id, {"priority": 0, "metadata": {"campaign": "summer-sale"}})
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["position"] == 1
    body = second.json()
    assert set(body) == FIELDS | {"queue_status"}
    assert (body["position"], body["queue_length"], body["status"]) == (2, 2, "waiting")


def test_each_field_of_a_new_place_says_what_the_queue_was_set_to(site: Site) -> None:
    queue_id = site.make_queue(
        status="paused", heartbeat_interval_seconds=7, heartbeat_timeout_seconds=33, admission_rate=0.5
    )
    before_s = site.clock() // 1000
    body = site.join(queue_id).json()
    after_s = site.clock() // 1000
    assert uuid.UUID(body["position_id"]).version == 4
    assert body["queue_id"] == queue_id
    assert body["heartbeat_interval_seconds"] == 7
    assert body["heartbeat_timeout_seconds"] == 33
    assert body["estimated_wait_seconds"] == 2, "one person at one in two seconds"
    claims = claims_of(body["token"])
    assert (claims["sub"], claims["queue_id"]) == (body["position_id"], queue_id)
    assert seconds_of(body["expires_at"]) == claims["exp"]
    assert before_s + 1800 <= claims["exp"] <= after_s + 1800


def test_two_visitors_never_share_a_position_or_a_token(site: Site) -> None:
    queue_id = site.make_queue(status="paused")
    address = new_address()
    bodies = [site.join(queue_id, address=address).json() for _ in range(5)]
    assert len({body["position_id"] for body in bodies}) == 5
    assert len({body["token"] for body in bodies}) == 5


@pytest.mark.parametrize("content", [b"", b"{}", b" { } "])
def test_an_empty_body_joins_with_the_defaults(site: Site, content: bytes) -> None:
    queue_id = site.make_queue(status="paused")
    response = site.http.post(
        enqueue_path(queue_id), content=content, headers={"X-Forwarded-For": new_address()}
    )
    assert response.status_code == 201
    assert claims_of(response.json()["token"])["priority"] == 0


@pytest.mark.parametrize("priority", [0, 1, 2, 3])
def test_every_priority_of_the_contract_is_taken_and_kept_in_the_token(site: Site, priority: int) -> None:
    queue_id = site.make_queue(status="paused", open_priority=3)
    response = site.join(queue_id, {"priority": priority})
    assert response.status_code == 201
    assert claims_of(response.json()["token"])["priority"] == priority


def test_a_higher_priority_stands_before_a_lower_one_and_behind_its_equals(site: Site) -> None:
    queue_id = site.make_queue(status="paused", open_priority=3)
    tokens = {name: waiting(site, queue_id, {"priority": int(name[0])}) for name in ("0a", "2a", "0b", "2b")}
    urgent = site.join(queue_id, {"priority": 3}).json()
    assert (urgent["position"], urgent["queue_length"]) == (1, 5)
    positions = {name: site.status(queue_id, token).json()["position"] for name, token in tokens.items()}
    assert positions == {"2a": 2, "2b": 3, "0a": 4, "0b": 5}


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"user_id": "user-123", "campaign": "summer-sale"},
        {"count": 7, "share": 0.25, "is_member": True, "debt": -12.5},
        {"user_id": 2**70},
        {"": "", "имя": "Ωμέγα 🎟", "quote": 'a"b\\c'},
        {"note": "x" * 4000},
    ],
    ids=["none", "texts", "every scalar", "a huge number", "any text", "nearly 4 KiB"],
)
def test_metadata_may_hold_any_text_number_or_boolean(site: Site, metadata: dict[str, Any]) -> None:
    queue_id = site.make_queue(status="paused")
    assert site.join(queue_id, {"metadata": metadata}).status_code == 201
    assert stats_of(site, queue_id)["current_waiting"] == 1


def test_unknown_fields_of_a_visitor_are_overlooked(site: Site) -> None:
    queue_id = site.make_queue(status="paused")
    assert site.join(queue_id, {"priority": 1, "from_a_newer_client": {"x": [1]}}).status_code == 201


def test_a_valid_token_gets_200_and_the_same_place_not_a_second_one(site: Site) -> None:
    queue_id = site.make_queue(status="paused")
    first = site.join(queue_id).json()
    waiting(site, queue_id)
    again = site.join(queue_id, {"priority": 3}, token=first["token"])
    assert again.status_code == 200
    body = again.json()
    assert set(body) == FIELDS | {"queue_status"}
    assert body["position_id"] == first["position_id"]
    assert (body["position"], body["queue_length"]) == (1, 2)
    assert (body["token"], body["expires_at"]) == (first["token"], first["expires_at"])
    assert stats_of(site, queue_id)["total_enqueued_today"] == 2


def test_a_token_of_another_queue_proves_nothing_here_and_a_new_place_is_given(site: Site) -> None:
    here, there = site.make_queue(status="paused"), site.make_queue(status="paused")
    token = waiting(site, there)
    response = site.join(here, token=token)
    assert response.status_code == 201
    assert claims_of(response.json()["token"])["queue_id"] == here


@pytest.mark.parametrize("token", ["nonsense", "a.b.c"])
def test_a_token_that_is_not_ours_is_overlooked_and_a_new_place_is_given(site: Site, token: str) -> None:
    queue_id = site.make_queue(status="paused")
    waiting(site, queue_id)
    response = site.join(queue_id, token=token)
    assert (response.status_code, response.json()["position"]) == (201, 2)


def test_an_expired_token_or_one_of_nobody_in_line_gets_a_new_place(site: Site) -> None:
    queue_id = site.make_queue(status="paused")
    for token in (position_token(site, queue_id, lasts_s=-1), position_token(site, queue_id)):
        response = site.join(queue_id, token=token)
        assert response.status_code == 201
        assert response.json()["token"] != token


def test_someone_admitted_who_joins_again_gets_200_and_the_way_in(site: Site) -> None:
    queue_id = open_queue(site)
    visit = enter(site, queue_id)
    response = site.join(queue_id, token=visit.token)
    assert response.status_code == 200
    body = response.json()
    assert set(body) == FIELDS | WAY_IN
    assert (body["status"], body["position"], body["estimated_wait_seconds"]) == ("admitted", 0, 0)
    assert body["position_id"] == visit.position_id
    assert body["token"] == visit.token
    assert {name: body[name] for name in WAY_IN} == {name: visit.admitted[name] for name in WAY_IN}


def test_someone_admitted_and_recognised_without_a_token_gets_one_that_works(site: Site) -> None:
    queue_id, ada = open_queue(site), {"metadata": {"user_id": "ada"}}
    joined = site.join(queue_id, ada, address="192.0.2.1").json()
    admitted = site.admitted(queue_id, joined["token"])
    body = site.join(queue_id, ada, address="192.0.2.1").json()
    assert (body["status"], body["position_id"]) == ("admitted", joined["position_id"])
    assert site.status(queue_id, body["token"]).json() == admitted


def test_who_left_or_was_dropped_gets_a_new_place_at_the_end(site: Site) -> None:
    queue_id = site.make_queue(status="paused", unique_by="user_id")
    ada = {"metadata": {"user_id": "ada"}}
    first = site.join(queue_id, ada).json()
    waiting(site, queue_id)
    assert site.call("DELETE", f"/queues/{queue_id}/position", first["token"]).status_code == 200
    again = site.join(queue_id, ada, token=first["token"])
    assert again.status_code == 201
    assert again.json()["position_id"] != first["position_id"]
    assert again.json()["position"] == 2


def test_a_full_queue_is_503_for_the_new_and_200_for_those_in_line(site: Site) -> None:
    queue_id = site.make_queue(status="paused", max_queue_size=2)
    tokens = [waiting(site, queue_id) for _ in range(2)]
    refused = site.join(queue_id, {"priority": 3})
    details = assert_refused(refused, 503, "QUEUE_FULL")
    assert details == {"queue_id": queue_id}
    assert int(refused.headers["Retry-After"]) > 0
    assert site.join(queue_id, token=tokens[0]).status_code == 200
    stats = stats_of(site, queue_id)
    assert (stats["current_waiting"], stats["total_enqueued_today"]) == (2, 2)


def test_a_place_given_up_in_a_full_queue_is_free_for_the_next(site: Site) -> None:
    queue_id = site.make_queue(status="paused", max_queue_size=1)
    token = waiting(site, queue_id)
    assert_refused(site.join(queue_id), 503, "QUEUE_FULL")
    assert site.call("DELETE", f"/queues/{queue_id}/position", token).status_code == 200
    assert site.join(queue_id).status_code == 201


def test_a_maximum_queue_size_of_0_means_no_maximum(site: Site) -> None:
    queue_id = site.make_queue(status="paused", max_queue_size=0)
    assert [site.join(queue_id).status_code for _ in range(5)] == [201] * 5


def test_a_queue_in_maintenance_is_503_for_the_new_and_200_for_those_in_line(site: Site) -> None:
    queue_id = site.make_queue(status="paused")
    token = waiting(site, queue_id)
    site.admin("PATCH", f"/queues/{queue_id}", {"status": "maintenance"})
    refused = site.join(queue_id)
    assert assert_refused(refused, 503, "MAINTENANCE_MODE") == {"queue_id": queue_id}
    assert int(refused.headers["Retry-After"]) > 0
    assert site.join(queue_id, token=token).status_code == 200
    assert stats_of(site, queue_id)["current_waiting"] == 1


def test_joining_a_queue_that_does_not_exist_is_404(site: Site) -> None:
    assert assert_refused(site.join("no-such-queue"), 404, "NOT_FOUND") == {"queue_id": "no-such-queue"}


def test_joining_a_deleted_queue_is_404(site: Site) -> None:
    queue_id = site.make_queue()
    assert site.admin("DELETE", f"/queues/{queue_id}").status_code == 200
    assert_refused(site.join(queue_id), 404, "NOT_FOUND")


def test_the_estimated_wait_grows_with_the_place_in_line(site: Site) -> None:
    queue_id = site.make_queue(status="paused", admission_rate=2)
    waits = [site.join(queue_id).json()["estimated_wait_seconds"] for _ in range(6)]
    assert waits == [1, 1, 2, 2, 3, 3]
