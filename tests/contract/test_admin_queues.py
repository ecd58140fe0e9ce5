"""Queues as operators handle them: POST, GET, PATCH and DELETE /admin/queues, and flush."""

import secrets
from typing import Any

import pytest
import redis

from tests.contract.helpers import (
    assert_refused,
    enter,
    open_queue,
    picture,
    seconds_of,
    session_call,
    stats_of,
    wait_until,
    waiting,
)
from tests.support.site import BASE, Site
from wr.model.queue_settings import SETTINGS
from wr.store.key_names import KeyNames

CONTRACT_EXAMPLE = {
    "name": "Concert Ticket Sale",
    "target_url": "https://example.com/checkout",
    "max_active_users": 1000,
    "max_queue_size": 50000,
    "admission_rate": 10,
    "session_timeout_seconds": 3600,
    "heartbeat_interval_seconds": 10,
    "heartbeat_timeout_seconds": 60,
}
CREATED_BY_CONTRACT = {"id", "name", "status", "created_at"}
UPDATED_BY_CONTRACT = {"id", "name", "status", "admission_rate", "max_active_users", "updated_at"}
BRANDING = {"message", "logo_url", "accent_color", "background_color", "support_url", "page_template"}
GATE = {
    *("open_paths", "open_addresses", "open_agents"),
    *("outage_policy", "outage_grace_seconds", "outage_rate", "session_binding"),
}
ENTRY = {"entry", "open_priority", "priority_share", "max_places_per_address"}
EVERY_FIELD = {"id", "created_at", "updated_at", *(setting.name for setting in SETTINGS)}
ADMIN_ROUTES = [
    ("POST", "/queues"),
    ("GET", "/queues"),
    ("GET", "/queues/{queue_id}"),
    ("PATCH", "/queues/{queue_id}"),
    ("DELETE", "/queues/{queue_id}"),
    ("GET", "/queues/{queue_id}/stats"),
    ("GET", "/queues/{queue_id}/history"),
    ("POST", "/queues/{queue_id}/flush"),
    ("DELETE", "/sessions/{session_id}"),
    ("GET", "/keys"),
    ("POST", "/keys/rotate"),
    ("GET", "/audit"),
    ("GET", "/positions/{position_id}"),
    ("GET", "/sessions/{session_id}"),
]
OF_ONE_QUEUE = [route for route in ADMIN_ROUTES if "{queue_id}" in route[1]]


def test_no_setting_is_gone_and_none_has_come_without_being_listed_here() -> None:
    listed = {*CONTRACT_EXAMPLE, "status", "unique_by", *BRANDING, *GATE, *ENTRY}
    assert listed | {"id", "created_at", "updated_at"} == EVERY_FIELD


def new_id() -> str:
    return f"q-{secrets.token_hex(6)}"


def queue_of(site: Site, queue_id: str) -> dict[str, Any]:
    return dict(site.admin("GET", f"/queues/{queue_id}").json())


def test_creating_a_queue_is_201_with_what_the_contract_promises_and_its_settings(site: Site) -> None:
    queue_id = new_id()
    before_s = site.clock() // 1000
    response = site.admin("POST", "/queues", {"id": queue_id, **CONTRACT_EXAMPLE})
    assert response.status_code == 201
    body = response.json()
    assert set(body) == EVERY_FIELD >= CREATED_BY_CONTRACT
    assert (body["id"], body["name"], body["status"]) == (queue_id, "Concert Ticket Sale", "active")
    assert before_s <= seconds_of(body["created_at"]) <= site.clock() // 1000
    assert {name: body[name] for name in CONTRACT_EXAMPLE} == CONTRACT_EXAMPLE
    assert queue_of(site, queue_id) == body


def test_what_is_left_out_gets_the_contracts_example_values(site: Site) -> None:
    queue_id = new_id()
    body = site.admin("POST", "/queues", {"id": queue_id, "target_url": "https://example.com"}).json()
    defaults = {**CONTRACT_EXAMPLE, "name": queue_id, "target_url": "https://example.com"}
    assert {name: body[name] for name in defaults} == defaults
    assert (body["unique_by"], body["status"]) == ("client", "active")


CHANGES: list[dict[str, Any]] = [
    {"name": "Другой концерт"},
    {"target_url": "http://127.0.0.1:8000/a?b=c#d"},
    {"max_active_users": 1},
    {"max_queue_size": 0},
    {"max_queue_size": 1_000_000_000},
    {"admission_rate": 0.1},
    {"admission_rate": 20},
    {"admission_rate": 12.345678901234567},
    {"admission_rate": 1_000_000},
    {"session_timeout_seconds": 1},
    {"session_timeout_seconds": 604_800},
    {"heartbeat_interval_seconds": 1, "heartbeat_timeout_seconds": 2},
    {"heartbeat_interval_seconds": 3600, "heartbeat_timeout_seconds": 604_800},
    {"unique_by": "user_id"},
    {"unique_by": "ip"},
    {"unique_by": "none"},
    {"entry": "pass"},
    {"open_priority": 3},
    {"priority_share": 0.5},
    {"max_places_per_address": 0},
    {"status": "paused"},
    {"status": "maintenance"},
]


def name_of(changes: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in changes.items())


@pytest.mark.parametrize("settings", CHANGES, ids=name_of)
def test_each_setting_is_kept_as_it_was_given_at_creation(site: Site, settings: dict[str, Any]) -> None:
    queue_id = site.make_queue(**settings)
    stored = queue_of(site, queue_id)
    assert {name: stored[name] for name in settings} == settings


@pytest.mark.parametrize("changes", CHANGES, ids=name_of)
def test_each_setting_can_be_changed_and_the_rest_stays(site: Site, changes: dict[str, Any]) -> None:
    queue_id = site.make_queue(name="Before")
    before = queue_of(site, queue_id)
    site.clock.advance(5)
    response = site.admin("PATCH", f"/queues/{queue_id}", changes)
    assert response.status_code == 200
    body = response.json()
    assert set(body) == EVERY_FIELD >= UPDATED_BY_CONTRACT
    assert seconds_of(body["updated_at"]) >= seconds_of(before["updated_at"]) + 5
    assert body == {**before, **changes, "updated_at": body["updated_at"]}
    assert queue_of(site, queue_id) == body


def test_the_contracts_update_example_works(site: Site) -> None:
    queue_id = site.make_queue(name="Concert Ticket Sale")
    changes = {"admission_rate": 20, "max_active_users": 2000, "status": "paused"}
    body = site.admin("PATCH", f"/queues/{queue_id}", changes).json()
    expected = {"id": queue_id, "name": "Concert Ticket Sale", **changes}
    assert {name: body[name] for name in expected} == expected


@pytest.mark.parametrize("queue_id", ["a", "Z" * 64, "A-b_c.9", "-", "0", "...", "queues"])
def test_every_allowed_queue_id_can_be_created_and_used(site: Site, queue_id: str) -> None:
    site.make_queue(id=queue_id, status="paused")
    assert queue_of(site, queue_id)["id"] == queue_id
    assert site.join(queue_id).status_code == 201


def test_creating_a_queue_twice_is_409_and_the_first_stays(site: Site) -> None:
    queue_id = site.make_queue(name="First", status="paused")
    token = waiting(site, queue_id)
    before = picture(site, queue_id)
    response = site.admin(
        "POST", "/queues", {"id": queue_id, "name": "Second", "target_url": "https://second.example"}
    )
    assert assert_refused(response, 409, "CONFLICT") == {"queue_id": queue_id}
    assert picture(site, queue_id) == before
    assert site.status(queue_id, token).json()["position"] == 1


@pytest.mark.any_engine
@pytest.mark.parametrize("key", [None, "wrong"])
@pytest.mark.parametrize(("method", "path"), ADMIN_ROUTES)
def test_every_admin_route_is_403_without_the_right_key(
    site: Site, method: str, path: str, key: str | None
) -> None:
    headers = {} if key is None else {"X-Admin-Key": key}
    where = "/admin" + path.format(queue_id="x", session_id="x", position_id="x")
    response = site.call(method, where, json={}, headers=headers)
    assert_refused(response, 403, "FORBIDDEN")


@pytest.mark.any_engine
@pytest.mark.parametrize("key", ["", "{key}x", "{part}", "{other_case}", "{key}, {key}", "Bearer {key}", "ÿ"])
def test_the_admin_key_is_taken_in_full_and_as_it_is_only(site: Site, key: str) -> None:
    right = site.admin_key
    given = key.format(key=right, part=right[:-1], other_case=right.swapcase())
    response = site.call("GET", "/admin/queues", headers={"X-Admin-Key": given.encode("latin-1")})
    assert_refused(response, 403, "FORBIDDEN")
    assert right not in response.text
    assert site.admin("GET", "/queues").status_code == 200


@pytest.mark.parametrize(("method", "path"), OF_ONE_QUEUE)
def test_every_admin_route_of_a_queue_is_404_for_one_that_does_not_exist(
    site: Site, method: str, path: str
) -> None:
    response = site.admin(method, path.format(queue_id="no-such-queue"), {})
    assert assert_refused(response, 404, "NOT_FOUND") == {"queue_id": "no-such-queue"}


@pytest.mark.any_engine
@pytest.mark.parametrize("queue_id", ["no such queue", "x" * 65, "Ω", "a%2Fb", "a%0A", "*"])
def test_an_id_that_no_queue_can_have_is_404_for_operators_too(site: Site, queue_id: str) -> None:
    assert_refused(site.admin("GET", f"/queues/{queue_id}"), 404, "NOT_FOUND")
    assert_refused(site.admin("DELETE", f"/queues/{queue_id}"), 404, "NOT_FOUND")


def test_the_list_shows_every_queue_by_id_with_settings_and_figures(site: Site) -> None:
    created = sorted(site.make_queue(name=f"Sale {number}", status="paused") for number in range(3))
    waiting(site, created[0])
    response = site.admin("GET", "/queues")
    assert response.status_code == 200
    body = response.json()
    assert set(body) == {"now", "queues"}
    assert abs(seconds_of(body["now"]) - site.clock() // 1000) <= 1
    assert [entry["queue"]["id"] for entry in body["queues"]] == created
    told = {"queue", "stats", "estimated_wait_seconds", "clears_in_seconds"}
    assert all(set(entry) == told for entry in body["queues"])
    for entry in body["queues"]:
        settings, figures = picture(site, entry["queue"]["id"])
        del settings["page_template"]  # Up to 12,000 characters, which a list does not bring.
        assert (entry["queue"], entry["stats"]) == (settings, figures)


def listed(site: Site, queue_id: str) -> dict[str, Any]:
    queues = site.admin("GET", "/queues").json()["queues"]
    (found,) = [entry for entry in queues if entry["queue"]["id"] == queue_id]
    return dict(found)


def test_the_list_tells_how_long_the_last_in_line_waits_as_that_person_is_told(site: Site) -> None:
    queue_id = site.make_queue(status="paused", admission_rate=0.5, max_active_users=1000)
    assert (
        listed(site, queue_id)["estimated_wait_seconds"],
        listed(site, queue_id)["clears_in_seconds"],
    ) == (
        0,
        0,
    )
    for _ in range(7):
        last = waiting(site, queue_id)
    wait_s = site.status(queue_id, last).json()["estimated_wait_seconds"]
    assert wait_s == 14
    entry = listed(site, queue_id)
    assert entry["estimated_wait_seconds"] == wait_s
    assert entry["clears_in_seconds"] is None, "nobody is let in"
    site.admin("PATCH", f"/queues/{queue_id}", {"status": "active"})
    entry = listed(site, queue_id)
    assert entry["clears_in_seconds"] == entry["estimated_wait_seconds"] > 0


def test_an_entry_of_the_registry_that_has_no_settings_is_not_listed(site: Site, store: redis.Redis) -> None:
    made, half_made = site.make_queue(), new_id()
    store.sadd(KeyNames(site.prefix).shared("queues"), half_made)
    ids = [entry["queue"]["id"] for entry in site.admin("GET", "/queues").json()["queues"]]
    store.srem(KeyNames(site.prefix).shared("queues"), half_made)
    assert made in ids
    assert half_made not in ids


@pytest.mark.parametrize("part", ["config", "ring"])
def test_a_queue_whose_data_is_spoilt_hides_no_other(site: Site, store: redis.Redis, part: str) -> None:
    good, bad = site.make_queue(), site.make_queue()
    (key,) = KeyNames(site.prefix).queue(bad, part)
    store.delete(key)
    store.set(key, "no hash")
    ids = [entry["queue"]["id"] for entry in site.admin("GET", "/queues").json()["queues"]]
    assert good in ids
    assert bad not in ids


def test_deleting_a_queue_is_200_and_takes_everyone_in_it_away(site: Site) -> None:
    queue_id = open_queue(site, max_active_users=1)
    visit = enter(site, queue_id)
    token = waiting(site, queue_id)
    response = site.admin("DELETE", f"/queues/{queue_id}")
    assert response.status_code == 200
    assert response.json() == {"id": queue_id, "status": "deleted"}
    assert_refused(site.status(queue_id, token), 404, "NOT_FOUND")
    assert_refused(session_call(site, visit), 404, "NOT_FOUND")
    assert queue_id not in [entry["queue"]["id"] for entry in site.admin("GET", "/queues").json()["queues"]]
    assert_refused(site.admin("DELETE", f"/queues/{queue_id}"), 404, "NOT_FOUND")


def test_a_queue_created_anew_after_its_deletion_is_empty(site: Site) -> None:
    queue_id = site.make_queue(status="paused")
    token = waiting(site, queue_id)
    site.admin("DELETE", f"/queues/{queue_id}")
    site.make_queue(id=queue_id, status="paused")
    stats = stats_of(site, queue_id)
    assert (stats["current_waiting"], stats["total_enqueued_today"], stats["peak_queue_size"]) == (0, 0, 0)
    assert_refused(site.status(queue_id, token), 404, "NOT_FOUND")


def test_flushing_is_200_and_sends_the_whole_line_away_but_no_session(site: Site) -> None:
    queue_id = open_queue(site, max_active_users=1)
    visit = enter(site, queue_id)
    tokens = [waiting(site, queue_id) for _ in range(3)]
    response = site.admin("POST", f"/queues/{queue_id}/flush")
    assert response.status_code == 200
    assert response.json() == {"queue_id": queue_id, "flushed": 3}
    for token in tokens:
        assert_refused(site.status(queue_id, token), 410, "POSITION_EXPIRED")
    assert session_call(site, visit).status_code == 200
    stats = stats_of(site, queue_id)
    assert (stats["current_waiting"], stats["current_active"], stats["total_cancelled_today"]) == (0, 1, 3)


def test_flushing_an_empty_line_sends_nobody_away(site: Site) -> None:
    queue_id = site.make_queue(status="paused")
    assert site.admin("POST", f"/queues/{queue_id}/flush").json()["flushed"] == 0


def test_someone_flushed_may_join_again_as_somebody_new(site: Site) -> None:
    queue_id = site.make_queue(status="paused", unique_by="user_id")
    ada = {"metadata": {"user_id": "ada"}}
    site.join(queue_id, ada)
    site.admin("POST", f"/queues/{queue_id}/flush")
    assert site.join(queue_id, ada).status_code == 201


def test_a_queue_made_at_one_server_is_there_at_the_other(site: Site, replica: Site) -> None:
    queue_id = site.make_queue(status="paused")
    token = replica.join(queue_id).json()["token"]
    assert site.status(queue_id, token).json()["position"] == 1
    assert queue_of(replica, queue_id) == queue_of(site, queue_id)


def test_a_change_at_one_server_holds_at_the_other_within_an_admission_interval(
    site: Site, replica: Site
) -> None:
    queue_id = site.make_queue(status="paused")
    token = waiting(replica, queue_id)
    replica.status(queue_id, token)
    changes = {"heartbeat_interval_seconds": 33, "unique_by": "ip", "target_url": "https://new.example/"}
    site.admin("PATCH", f"/queues/{queue_id}", changes)
    wait_until(lambda: replica.heartbeat(queue_id, token).json()["next_heartbeat_seconds"] == 33, seconds=1)
    address = "198.51.100.99"
    assert [replica.join(queue_id, address=address).status_code for _ in range(2)] == [201, 409]
    site.admin("PATCH", f"/queues/{queue_id}", {"status": "active"})
    assert replica.admitted(queue_id, token)["redirect_url"] == "https://new.example/"


def test_changes_made_at_two_servers_at_once_are_all_kept(site: Site, replica: Site) -> None:
    queue_id = site.make_queue(status="paused")
    for number in range(5):
        site.admin("PATCH", f"/queues/{queue_id}", {"max_active_users": 10 + number})
        replica.admin("PATCH", f"/queues/{queue_id}", {"max_queue_size": 20 + number})
        stored = queue_of(site, queue_id)
        assert (stored["max_active_users"], stored["max_queue_size"]) == (10 + number, 20 + number)


def test_an_update_that_names_nothing_changes_nothing(site: Site) -> None:
    queue_id = site.make_queue(name="Sale")
    before = queue_of(site, queue_id)
    body = site.admin("PATCH", f"/queues/{queue_id}", {}).json()
    assert body == {**before, "updated_at": body["updated_at"]}


def test_the_id_of_a_queue_cannot_be_changed(site: Site) -> None:
    queue_id = site.make_queue()
    response = site.http.patch(
        f"{BASE}/admin/queues/{queue_id}", json={"id": "other"}, headers={"X-Admin-Key": site.admin_key}
    )
    assert_refused(response, 400, "INVALID_REQUEST")
    assert_refused(site.admin("GET", "/queues/other"), 404, "NOT_FOUND")
