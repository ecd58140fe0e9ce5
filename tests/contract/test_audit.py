"""GET /admin/audit: who changed what, and when."""

from typing import Any

import httpx
import pytest
import redis

from tests.contract.conftest import Stranded
from tests.contract.helpers import assert_refused, enter, open_queue, seconds_of, terminate, waiting
from tests.support.site import BASE, Site, new_address
from wr.model.audit import Action
from wr.model.identities import subject_digest
from wr.room.blocks import block_id
from wr.store.block import subject_member
from wr.store.key_names import KeyNames

ENTRY = {"id", "at", "operator", "address", "action", "queue_id", "changes", "facts"}


def entries(site: Site, **query: Any) -> list[dict[str, Any]]:
    response = site.admin("GET", "/audit", params=query)
    assert response.status_code == 200, response.text
    assert set(response.json()) == {"entries", "next"}
    return list(response.json()["entries"])


def newest(site: Site, **query: Any) -> dict[str, Any]:
    return entries(site, limit=1, **query)[0]


def change(site: Site, queue_id: str, changes: dict[str, Any], **headers: str) -> httpx.Response:
    return site.admin("PATCH", f"/queues/{queue_id}", changes, headers=headers)


def test_a_new_queue_is_noted_with_all_its_settings(site: Site) -> None:
    before_s = site.clock() // 1000
    queue_id = site.make_queue(name="Sale", admission_rate=2.5)
    entry = newest(site)
    assert set(entry) == ENTRY
    assert before_s <= seconds_of(entry["at"]) <= site.clock() // 1000
    assert (entry["action"], entry["queue_id"], entry["changes"]) == ("queue.created", queue_id, {})
    settings = site.admin("GET", f"/queues/{queue_id}").json()
    assert entry["facts"] == {
        name: value for name, value in settings.items() if name not in ("id", "created_at", "updated_at")
    }


def test_a_change_is_noted_with_what_each_setting_was_and_became(site: Site) -> None:
    queue_id = site.make_queue(admission_rate=10, name="Sale")
    change(site, queue_id, {"admission_rate": 20, "status": "paused", "name": "Sale"})
    entry = newest(site)
    assert (entry["action"], entry["queue_id"], entry["facts"]) == ("queue.updated", queue_id, {})
    assert entry["changes"] == {
        "admission_rate": {"from": 10, "to": 20},
        "status": {"from": "active", "to": "paused"},
    }


def test_a_flush_is_noted_with_how_many_it_sent_away(site: Site) -> None:
    queue_id = site.make_queue(status="paused")
    for _ in range(3):
        waiting(site, queue_id)
    site.admin("POST", f"/queues/{queue_id}/flush")
    entry = newest(site)
    assert (entry["action"], entry["queue_id"], entry["facts"]) == ("queue.flushed", queue_id, {"flushed": 3})


def test_a_terminated_session_is_noted_with_the_reason(site: Site) -> None:
    visit = enter(site, open_queue(site))
    terminate(site, visit.session_id, {"reason": "abuse_detected"})
    entry = newest(site)
    assert (entry["action"], entry["queue_id"]) == ("session.terminated", visit.queue_id)
    assert entry["facts"] == {"session_id": visit.session_id, "reason": "abuse_detected"}


def test_new_keys_are_noted_by_their_names_and_nothing_secret(site: Site) -> None:
    made = site.admin("POST", "/keys/rotate").json()["keys"]
    entry = newest(site)
    assert (entry["action"], entry["queue_id"]) == ("keys.rotated", None)
    assert entry["facts"] == {"kids": [key["kid"] for key in made]}


def test_a_deleted_queue_is_noted_and_all_that_was_noted_of_it_stays(site: Site) -> None:
    queue_id = site.make_queue(status="paused", name="Sale")
    waiting(site, queue_id)
    site.admin("DELETE", f"/queues/{queue_id}")
    told = entries(site, queue_id=queue_id)
    assert [entry["action"] for entry in told] == ["queue.deleted", "queue.created"]
    assert told[0]["facts"]["name"] == "Sale"
    assert set(told[0]["facts"]) == {"name", "waiting", "active"}


def test_who_and_from_where_is_what_the_request_says(site: Site) -> None:
    queue_id = site.make_queue()
    address = new_address()
    change(site, queue_id, {"admission_rate": 3}, **{"X-Operator": "Ada", "X-Forwarded-For": address})
    assert (newest(site)["operator"], newest(site)["address"]) == ("Ada", address)
    change(site, queue_id, {"admission_rate": 4}, **{"X-Operator": "%D0%90%D0%B4%D0%B0"})
    assert newest(site)["operator"] == "Ада"
    change(site, queue_id, {"admission_rate": 5})
    assert (newest(site)["operator"], newest(site)["address"]) == ("", "127.0.0.1")


def block_of(user_id: str) -> str:
    """Name the block of a user id."""
    return block_id(subject_member(subject_digest(user_id)))


def test_every_kind_of_change_names_who_made_it(site: Site) -> None:
    queue_id = site.make_queue(status="paused")
    visit = enter(site, open_queue(site))
    headers = {"X-Operator": "Ada", "X-Forwarded-For": new_address()}
    new = {"id": f"{queue_id}-new", "target_url": "https://x.example"}
    calls: list[tuple[str, str, str, Any]] = [
        ("queue.created", "POST", "/queues", new),
        ("queue.updated", "PATCH", f"/queues/{queue_id}", {"admission_rate": 3}),
        ("queue.flushed", "POST", f"/queues/{queue_id}/flush", None),
        ("passes.issued", "POST", f"/queues/{queue_id}/passes", {"subject": "ada"}),
        ("pass.revoked", "POST", f"/queues/{queue_id}/passes/revoke", {"pass_id": "never-seen"}),
        ("visitor.blocked", "POST", f"/queues/{queue_id}/blocks", {"user_id": "ada"}),
        ("block.ended", "DELETE", f"/queues/{queue_id}/blocks/{block_of('ada')}", None),
        ("queue.deleted", "DELETE", f"/queues/{queue_id}", None),
        ("session.terminated", "DELETE", f"/sessions/{visit.session_id}", {}),
        ("keys.rotated", "POST", "/keys/rotate", None),
    ]
    # Those around webhooks: test_webhooks.
    of_webhooks = {action for action in Action if action.startswith(("webhook.", "delivery."))}
    assert {action for action, *_ in calls} == set(Action) - of_webhooks, "each of them is tried"
    for action, method, path, body in calls:
        assert site.admin(method, path, body, headers=headers).status_code in (200, 201)
        entry = newest(site)
        assert (entry["action"], entry["operator"]) == (action, "Ada")
        assert entry["address"] == headers["X-Forwarded-For"]


@pytest.mark.any_engine
@pytest.mark.parametrize("operator", ["a%0Ab", "%FF", "x" * 101, "%1B"])
@pytest.mark.parametrize(("method", "path"), [("PATCH", "/queues/{}"), ("GET", "/audit"), ("GET", "/queues")])
def test_a_name_that_cannot_be_written_down_is_400_and_changes_nothing(
    site: Site, method: str, path: str, operator: str
) -> None:
    queue_id = site.make_queue(admission_rate=1)
    known = newest(site)["id"]
    headers = {"X-Operator": operator}
    body = {"admission_rate": 2} if method == "PATCH" else None
    response = site.admin(method, path.format(queue_id), body, headers=headers)
    assert assert_refused(response, 400, "INVALID_REQUEST") == {"field": "X-Operator"}
    assert site.admin("GET", f"/queues/{queue_id}").json()["admission_rate"] == 1
    assert newest(site)["id"] == known


def test_a_wrong_key_is_403_whatever_the_name(site: Site) -> None:
    response = site.call("GET", "/admin/audit", headers={"X-Admin-Key": "wrong", "X-Operator": "%FF"})
    assert_refused(response, 403, "FORBIDDEN")


def test_what_was_refused_or_only_looked_at_is_not_noted(site: Site) -> None:
    queue_id = site.make_queue()
    known = newest(site)["id"]
    site.admin("POST", "/queues", {"id": queue_id, "target_url": "https://x.example"})
    change(site, queue_id, {"admission_rate": 0})
    change(site, "no-such-queue", {"admission_rate": 1})
    site.admin("DELETE", "/queues/no-such-queue")
    site.admin("POST", "/queues/no-such-queue/flush")
    terminate(site, "550e8400-e29b-81d4-a716-446655440000")
    for path in ("/queues", f"/queues/{queue_id}", f"/queues/{queue_id}/stats", "/keys", "/audit"):
        assert site.admin("GET", path).status_code == 200
    assert newest(site)["id"] == known


def test_pages_tell_every_change_of_a_queue_once_newest_first(site: Site) -> None:
    queue_id = site.make_queue(admission_rate=1)
    for rate in range(2, 7):
        change(site, queue_id, {"admission_rate": rate})
    query: dict[str, Any] = {"queue_id": queue_id, "limit": 2}
    told = []
    while True:
        page = site.admin("GET", "/audit", params=query).json()
        told.append([entry["changes"].get("admission_rate", {}).get("to") for entry in page["entries"]])
        if page["next"] is None:
            break
        query["before"] = page["next"]
    assert told == [[6, 5], [4, 3], [2, None]]


def test_what_one_server_did_the_other_tells(site: Site, replica: Site) -> None:
    queue_id = replica.make_queue()
    assert newest(site) == newest(replica)
    assert newest(site)["queue_id"] == queue_id


@pytest.mark.any_engine
@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "201"}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"before": "1"}, "before"),
        ({"before": "1-2-3"}, "before"),
        ({"before": "9" * 16 + "-0"}, "before"),
        ({"before": "+"}, "before"),
        ({"queue_id": "x" * 65}, "queue_id"),
    ],
)
def test_a_question_that_makes_no_sense_is_400(site: Site, query: dict[str, str], field: str) -> None:
    response = site.admin("GET", "/audit", params=query)
    assert assert_refused(response, 400, "INVALID_REQUEST") == {"field": field}


def test_a_change_whose_entry_cannot_be_kept_is_made_and_logged_as_an_error(
    site: Site, store: redis.Redis, capsys: pytest.CaptureFixture[str]
) -> None:
    queue_id = site.make_queue(admission_rate=1)
    key = KeyNames(site.prefix).shared("audit")
    store.rename(key, key + "-aside")
    store.set(key, "no stream")
    capsys.readouterr()
    try:
        assert change(site, queue_id, {"admission_rate": 2}, **{"X-Operator": "Ada"}).status_code == 200
    finally:
        store.delete(key)
        store.rename(key + "-aside", key)
    assert site.admin("GET", f"/queues/{queue_id}").json()["admission_rate"] == 2
    lines = [
        line for line in "".join(capsys.readouterr()).splitlines() if "could not be written down" in line
    ]
    (line,) = lines
    for part in ("error", queue_id, "Ada", "admission_rate", "queue.updated", "WRONGTYPE"):
        assert part in line


def test_a_change_that_the_store_may_have_made_before_it_went_is_logged_as_an_error(
    stranded: Stranded, capsys: pytest.CaptureFixture[str]
) -> None:
    site = stranded.site
    capsys.readouterr()
    response = site.admin("DELETE", f"/queues/{stranded.queue_id}", headers={"X-Operator": "Ada"})
    assert response.status_code == 503
    lines = [line for line in "".join(capsys.readouterr()).splitlines() if "may have been made" in line]
    assert len(lines) == 1
    assert "queue.deleted" in lines[0]
    assert "Ada" in lines[0]


def test_no_secret_is_in_the_trail(site: Site, store: redis.Redis) -> None:
    visit = enter(site, open_queue(site))
    terminate(site, visit.session_id)
    site.admin("POST", "/keys/rotate")
    site.http.get(f"{BASE}/admin/audit", headers={"X-Admin-Key": site.admin_key})
    kept = repr(store.xrange(KeyNames(site.prefix).shared("audit")))
    assert visit.session_id in kept
    for secret in (site.admin_key, visit.token, visit.session_token):
        assert secret not in kept
