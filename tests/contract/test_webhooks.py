"""Admin calls around webhooks: what they take, what they refuse, what they show. Deliveries: tests/events."""

import secrets
import time
from typing import Any

import msgspec
import pytest
import redis

from tests.support.site import BASE, Site, error_code, new_address
from wr.model.webhooks import MOST_WEBHOOKS, DeadLetter
from wr.store.key_names import KeyNames

ORIGIN = "http://127.0.0.1:9"
NOWHERE = f"{ORIGIN}/nobody"
"""Nobody listens on the port; and these webhooks are for queues that do not exist."""


@pytest.fixture(autouse=True)
def no_webhooks(site: Site, store: redis.Redis) -> Any:
    """Begin with none and leave none behind: there may be 32 only."""
    forget_all(site, store)
    yield
    forget_all(site, store)


def forget_all(site: Site, store: redis.Redis) -> None:
    keys = KeyNames(site.prefix)
    owners: Any = store.zrange(keys.shared("dead_letters"), 0, -1)
    parts = ("webhooks", "dead_letters", *(f"dead_letters:{owner.decode()}" for owner in owners))
    # One by one: in a cluster they may be at several nodes.
    for part in parts:
        store.delete(keys.shared(part))


def add(site: Site, **wish: Any) -> Any:
    body = {"url": NOWHERE, "events": ["*"], "queue_id": "no-such-queue", **wish}
    return site.admin("POST", "/webhooks", body)


def newest_entry(site: Site) -> dict[str, Any]:
    entry: dict[str, Any] = site.admin("GET", "/audit?limit=1").json()["entries"][0]
    return entry


def bury(site: Site, store: redis.Redis, webhook_id: str) -> str:
    """Put a dead letter into the store, as a server does that gives a delivery up; its id."""
    letter = DeadLetter(
        webhook_id=webhook_id,
        event_id="8de9ef67-c159-85b9-b230-a3e8b960aef1",
        event_type="position.enqueued",
        queue_id="no-such-queue",
        whose=secrets.token_hex(16),
        body="{}",
        attempts=8,
        error="status 500",
        died_ms=time.time_ns() // 1_000_000,
    )
    keys = KeyNames(site.prefix)
    store.zadd(keys.shared("dead_letters"), {webhook_id: letter.died_ms})
    key = keys.shared(f"dead_letters:{webhook_id}")
    entry_id = bytes(store.xadd(key, {"letter": msgspec.json.encode(letter)})).decode()
    return f"{entry_id}.{webhook_id}"


def test_a_webhook_is_shown_with_its_secret_once_and_without_it_ever_after(site: Site) -> None:
    added = add(site, events=["position.*", "queue.paused"])
    assert added.status_code == 201
    shown = added.json()
    assert len(shown.pop("secret")) == 43
    assert (shown["url"], shown["events"]) == (NOWHERE, ["position.*", "queue.paused"])
    assert site.admin("GET", "/webhooks").json() == {"webhooks": [shown]}


@pytest.mark.any_engine
@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({"url": "ftp://example.com/"}, "url"),
        ({"url": "https://"}, "url"),
        ({"url": "https://name:password@example.com/"}, "url"),
        ({"url": "https://example.com/a b"}, "url"),
        ({"url": "https://example.com/#part"}, "url"),
        ({"url": "https://example.com:99999/"}, "url"),
        ({"events": ["position.lost"]}, "events"),
        ({"events": ["pos*"]}, "events"),
        ({"events": []}, None),
        ({"queue_id": "no queue"}, None),
        ({"url": "https://example.com/" + "x" * 2048}, None),
    ],
)
def test_what_could_never_be_delivered_is_refused(
    site: Site, wish: dict[str, Any], field: str | None
) -> None:
    response = add(site, **wish)
    assert (response.status_code, error_code(response)) == (400, "INVALID_REQUEST")
    if field is not None:
        assert response.json()["error"]["details"]["field"] == field
    assert site.admin("GET", "/webhooks").json() == {"webhooks": []}


def test_there_are_32_webhooks_at_most(site: Site) -> None:
    for _ in range(MOST_WEBHOOKS):
        assert add(site).status_code == 201
    response = add(site)
    assert (response.status_code, error_code(response)) == (409, "CONFLICT")


def test_what_is_changed_of_a_webhook_is_changed_and_the_rest_stays(site: Site) -> None:
    added = add(site).json()
    before = {name: value for name, value in added.items() if name != "secret"}
    path = f"/webhooks/{added['id']}"
    for changes in ({"events": ["queue.*"]}, {"queue_id": ""}, {"url": f"{ORIGIN}/elsewhere"}, {}):
        changed = site.admin("PATCH", path, changes)
        assert changed.status_code == 200
        before |= changes
        assert changed.json() == before
        assert site.admin("GET", "/webhooks").json() == {"webhooks": [before]}


def test_a_new_secret_is_told_once(site: Site) -> None:
    added = add(site).json()
    rotated = site.admin("PATCH", f"/webhooks/{added['id']}", {"rotate_secret": True}).json()
    assert len(rotated["secret"]) == 43
    assert rotated["secret"] != added["secret"]
    assert {**rotated, "secret": ""} == {**added, "secret": ""}
    assert rotated["secret"] not in site.admin("GET", "/webhooks").text + site.admin("GET", "/audit").text


@pytest.mark.parametrize(
    "changes",
    [{"url": "ftp://example.com/"}, {"events": ["position.lost"]}, {"events": []}, {"secret": "mine"}],
)
def test_a_change_to_what_could_never_be_delivered_is_refused(site: Site, changes: dict[str, Any]) -> None:
    added = add(site).json()
    response = site.admin("PATCH", f"/webhooks/{added['id']}", changes)
    assert (response.status_code, error_code(response)) == (400, "INVALID_REQUEST")
    assert site.admin("GET", "/webhooks").json()["webhooks"][0]["url"] == NOWHERE


def test_a_change_is_noted_without_what_may_be_secret_of_a_url(site: Site) -> None:
    added = add(site, url=f"{NOWHERE}/hidden?key=hidden").json()
    wish = {"url": "https://example.com/hidden", "events": ["queue.*"], "rotate_secret": True}
    site.admin("PATCH", f"/webhooks/{added['id']}", wish, headers={"X-Operator": "Ada"})
    entry = newest_entry(site)
    assert (entry["action"], entry["operator"]) == ("webhook.changed", "Ada")
    assert entry["facts"] == {"webhook_id": added["id"], "rotated": "secret"}
    assert entry["changes"] == {
        "url": {"from": ORIGIN, "to": "https://example.com"},
        "events": {"from": "*", "to": "queue.*"},
    }
    assert "hidden" not in site.admin("GET", "/audit").text


def test_what_is_not_there_cannot_be_changed(site: Site) -> None:
    assert site.admin("PATCH", "/webhooks/nobody", {"rotate_secret": True}).status_code == 404


def test_a_deleted_webhook_is_gone_and_cannot_be_deleted_again(site: Site) -> None:
    webhook_id = add(site).json()["id"]
    deleted = site.admin("DELETE", f"/webhooks/{webhook_id}")
    assert deleted.json() == {"id": webhook_id, "status": "deleted"}
    assert site.admin("GET", "/webhooks").json() == {"webhooks": []}
    assert site.admin("DELETE", f"/webhooks/{webhook_id}").status_code == 404


def test_dead_letters_are_shown_retried_and_discarded_once(site: Site, store: redis.Redis) -> None:
    webhook_id = add(site).json()["id"]
    ids = [bury(site, store, webhook_id) for _ in range(3)]
    shown = site.admin("GET", "/webhooks/dead-letters").json()["dead_letters"]
    assert [letter["id"] for letter in shown] == ids[::-1], "newest first"
    assert shown[0]["attempts"] == 8
    retried = site.admin("POST", f"/webhooks/dead-letters/{ids[0]}/retry")
    assert (retried.status_code, retried.json()["status"]) == (200, "retrying")
    discarded = site.admin("DELETE", f"/webhooks/dead-letters/{ids[1]}")
    assert (discarded.status_code, discarded.json()["status"]) == (200, "discarded")
    for letter_id in ids[:2]:
        assert site.admin("POST", f"/webhooks/dead-letters/{letter_id}/retry").status_code == 404
        assert site.admin("DELETE", f"/webhooks/dead-letters/{letter_id}").status_code == 404
    assert [
        letter["id"] for letter in site.admin("GET", "/webhooks/dead-letters").json()["dead_letters"]
    ] == [ids[2]]


def test_a_dead_letter_of_a_webhook_that_is_gone_stays(site: Site, store: redis.Redis) -> None:
    letter_id = bury(site, store, "00000000-0000-4000-8000-000000000000")
    response = site.admin("POST", f"/webhooks/dead-letters/{letter_id}/retry")
    assert (response.status_code, error_code(response)) == (409, "CONFLICT")
    assert len(site.admin("GET", "/webhooks/dead-letters").json()["dead_letters"]) == 1


def test_every_change_names_who_made_it_and_tells_no_secret(site: Site, store: redis.Redis) -> None:
    headers = {"X-Operator": "Ada", "X-Forwarded-For": new_address()}
    body = {"url": f"{NOWHERE}?key=hidden", "events": ["queue.*"], "queue_id": "no-such-queue"}
    webhook = site.admin("POST", "/webhooks", body, headers=headers).json()
    entry = newest_entry(site)
    assert (entry["action"], entry["operator"]) == ("webhook.added", "Ada")
    assert entry["facts"] == {"webhook_id": webhook["id"], "url": ORIGIN, "events": ["queue.*"]}
    letters = [bury(site, store, webhook["id"]) for _ in range(2)]
    calls = [
        ("delivery.retried", "POST", f"/webhooks/dead-letters/{letters[0]}/retry"),
        ("delivery.discarded", "DELETE", f"/webhooks/dead-letters/{letters[1]}"),
        ("webhook.deleted", "DELETE", f"/webhooks/{webhook['id']}"),
    ]
    for action, method, path in calls:
        assert site.admin(method, path, headers=headers).status_code == 200
        entry = newest_entry(site)
        assert (entry["action"], entry["operator"]) == (action, "Ada")
        assert entry["facts"]["webhook_id"] == webhook["id"]


def test_the_schema_of_events_is_public(site: Site) -> None:
    schema = site.http.get(f"{BASE}/events.schema.json").json()
    assert len(schema["oneOf"]) == 13
