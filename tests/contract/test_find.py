"""GET /admin/positions/{position_id} and /admin/sessions/{session_id}: all that is known of one person."""

import secrets
from typing import Any

import httpx
import pytest
import redis

from tests.contract.helpers import (
    activity_call,
    assert_limit_headers,
    assert_refused,
    enter,
    gone_for_silence,
    let_passes_run,
    open_queue,
    seconds_of,
    session_call,
    terminate,
)
from tests.support.site import BASE, Site
from wr.model.ids import id_text, new_position_id, session_id_text
from wr.store.key_names import KeyNames

IN_LINE = {
    *("position_id", "queue_id", "status", "queue_length", "position", "priority"),
    *("estimated_wait_seconds", "enqueued_at", "last_seen_at"),
}
ADMITTED = {
    *("position_id", "queue_id", "status", "queue_length"),
    *("session_id", "session_started_at", "session_expires_at"),
}
ENDED = {"position_id", "queue_id", "status", "queue_length", "ended_at", "reason"}


def position(site: Site, position_id: str) -> dict[str, Any]:
    response = site.admin("GET", f"/positions/{position_id}")
    assert response.status_code == 200, response.text
    return dict(response.json())


def session(site: Site, session_id: str) -> dict[str, Any]:
    response = site.admin("GET", f"/sessions/{session_id}")
    assert response.status_code == 200, response.text
    return dict(response.json())


def test_somebody_in_line_is_found_in_whichever_queue_it_is(site: Site) -> None:
    queues = [
        site.make_queue(status="paused", admission_rate=0.5, open_priority=2, priority_share=1)
        for _ in range(3)
    ]
    began_s = site.clock() // 1000
    for queue_id in queues:
        site.join(queue_id)
        joined = site.join(queue_id, {"priority": 0}).json()
        first = site.join(queue_id, {"priority": 2}).json()
        found = position(site, joined["position_id"])
        assert set(found) == IN_LINE
        assert (found["position_id"], found["queue_id"]) == (joined["position_id"], queue_id)
        assert (found["status"], found["position"], found["queue_length"]) == ("waiting", 3, 3)
        assert (found["priority"], found["estimated_wait_seconds"]) == (0, 6)
        assert began_s <= seconds_of(found["enqueued_at"]) <= site.clock() // 1000
        assert position(site, first["position_id"])["position"] == 1
        assert position(site, first["position_id"])["priority"] == 2


def test_the_last_sign_of_life_is_told_and_to_look_is_none(site: Site) -> None:
    queue_id = site.make_queue(status="paused")
    joined = site.join(queue_id).json()
    site.clock.advance(20)
    site.heartbeat(queue_id, joined["token"])
    heard_s = site.clock() // 1000
    site.clock.advance(20)
    for _ in range(2):
        seen_s = seconds_of(position(site, joined["position_id"])["last_seen_at"])
        assert heard_s - 1 <= seen_s <= heard_s
    site.clock.advance(41)
    let_passes_run(site)
    assert position(site, joined["position_id"])["status"] == "expired"


def test_somebody_inside_is_found_from_both_sides(site: Site) -> None:
    visit = enter(site, open_queue(site, session_timeout_seconds=600))
    activity_call(site, visit, {"action": "page_view"})
    activity_call(site, visit, {"action": "page_view"})
    site.clock.advance(10)
    told = session_call(site, visit).json()
    by_position = position(site, visit.position_id)
    assert set(by_position) == ADMITTED
    assert by_position["status"] == "admitted"
    assert by_position["session_id"] == visit.session_id
    assert by_position["session_started_at"] == told["started_at"]
    assert by_position["session_expires_at"] == told["expires_at"]
    by_session = session(site, visit.session_id)
    for found in (told, by_session):
        assert 580 <= found.pop("remaining_seconds") <= 590
    assert by_session == {**told, "addresses": 0}
    assert told["page_views"] == 2


ENDS = ["expired", "cancelled", "flushed", "session_expired", "session_terminated"]


def end(site: Site, how: str) -> tuple[str, str]:
    """Have a place or session end that way; returns its queue's id and its own."""
    if how.startswith("session_"):
        visit = enter(site, open_queue(site, session_timeout_seconds=60))
        if how == "session_expired":
            site.clock.advance(61)
            # The hour begins when a pass has seen that the time is over.
            let_passes_run(site)
        else:
            terminate(site, visit.session_id)
        return visit.queue_id, visit.position_id
    queue_id = site.make_queue(status="paused")
    joined = site.join(queue_id).json()
    if how == "expired":
        gone_for_silence(site, queue_id, joined["token"])
    elif how == "cancelled":
        site.call("DELETE", f"/queues/{queue_id}/position", joined["token"])
    else:
        site.admin("POST", f"/queues/{queue_id}/flush")
    return queue_id, str(joined["position_id"])


REASONS = {
    "expired": "heartbeat_timeout",
    "cancelled": "cancelled",
    "flushed": "flushed",
    "session_expired": "session_timeout",
    "session_terminated": "terminated",
}


@pytest.mark.parametrize("how", ENDS)
def test_somebody_gone_is_found_for_an_hour_with_when_and_why(site: Site, how: str) -> None:
    queue_id, position_id = end(site, how)
    found = position(site, position_id)
    assert (found["queue_id"], found["status"], found["reason"]) == (queue_id, how, REASONS[how])
    assert set(found) - {"session_id"} == ENDED
    assert ("session_id" in found) == how.startswith("session_")
    assert abs(seconds_of(found["ended_at"]) - site.clock() // 1000) <= 3
    site.clock.advance(3601)
    details = assert_refused(site.admin("GET", f"/positions/{position_id}"), 404, "NOT_FOUND")
    assert details == {"position_id": position_id}


@pytest.mark.parametrize(
    ("how", "status"), [("session_expired", "expired"), ("session_terminated", "terminated")]
)
def test_a_session_that_ended_is_found_with_when_and_why(site: Site, how: str, status: str) -> None:
    _, position_id = end(site, how)
    session_id = position(site, position_id)["session_id"]
    found = session(site, session_id)
    assert set(found) == {"session_id", "position_id", "queue_id", "status", "ended_at", "reason"}
    assert (found["session_id"], found["position_id"]) == (session_id, position_id)
    assert (found["status"], found["reason"]) == (status, REASONS[how])


@pytest.mark.parametrize("how", ["waiting", "expired", "flushed"])
def test_who_was_not_let_in_has_no_session(site: Site, how: str) -> None:
    if how == "waiting":
        position_id = site.join(site.make_queue(status="paused")).json()["position_id"]
    else:
        _, position_id = end(site, how)
    session_id = session_id_text(bytes.fromhex(position_id.replace("-", "")))
    assert assert_refused(site.admin("GET", f"/sessions/{session_id}"), 404, "NOT_FOUND") == {
        "session_id": session_id
    }


@pytest.mark.parametrize("kind", ["positions", "sessions"])
@pytest.mark.parametrize("form", ["nobody", "other kind", "no id"])
def test_an_id_that_no_queue_knows_is_404(site: Site, kind: str, form: str) -> None:
    raw = new_position_id(secrets.token_bytes)
    own, other = (id_text, session_id_text) if kind == "positions" else (session_id_text, id_text)
    text = {"nobody": own(raw), "other kind": other(raw), "no id": "somebody"}[form]
    assert_refused(site.admin("GET", f"/{kind}/{text}"), 404, "NOT_FOUND")


def test_to_look_changes_nothing_and_takes_nothing_of_the_visitors_limits(
    limited: Site, store: redis.Redis
) -> None:
    queue_id = limited.make_queue(status="paused")
    joined = limited.join(queue_id).json()
    visit = enter(limited, open_queue(limited))

    def left(response: httpx.Response) -> int:
        return assert_limit_headers(response, 60)

    waiting_left = left(limited.status(queue_id, joined["token"]))
    inside_left = left(session_call(limited, visit))
    limited.admin("PATCH", f"/queues/{visit.queue_id}", {"status": "paused"})
    keys = KeyNames(limited.prefix)
    kept = [key for each in (queue_id, visit.queue_id) for key in keys.queue(each, *LOOKED_AT)]
    before = [store.dump(key) for key in kept]
    for _ in range(5):
        position(limited, joined["position_id"])
        position(limited, visit.position_id)
        session(limited, visit.session_id)
    assert [store.dump(key) for key in kept] == before
    assert any(before)
    assert left(limited.status(queue_id, joined["token"])) == waiting_left - 1
    assert left(session_call(limited, visit)) == inside_left - 1


LOOKED_AT = ("waiting", "seen", "sessions", "records", "tombstones", "status_even", "status_odd")


def test_the_visitors_own_tokens_find_nobody_here(site: Site) -> None:
    visit = enter(site, open_queue(site))
    headers = {"Authorization": f"Bearer {visit.session_token}"}
    response = site.http.get(f"{BASE}/admin/sessions/{visit.session_id}", headers=headers)
    assert_refused(response, 403, "FORBIDDEN")


def test_what_a_visitor_sent_with_the_join_is_shown_in_line_and_inside_and_gone_with_the_session(
    site: Site,
) -> None:
    queue_id = site.make_queue(status="paused")
    sent = {"user_id": "u-1", "campaign": "<b>sale</b>", "age": 4, "ratio": 0.5, "is_member": True}
    joined = site.join(queue_id, {"metadata": sent}).json()
    assert position(site, joined["position_id"])["metadata"] == sent
    site.admin("PATCH", f"/queues/{queue_id}", {"status": "active"})
    site.admitted(queue_id, joined["token"])
    found = position(site, joined["position_id"])
    assert found["metadata"] == sent
    assert session(site, found["session_id"])["metadata"] == sent
    terminate(site, found["session_id"])
    assert "metadata" not in session(site, found["session_id"])
    # Nobody else is told: not even the visitor, whose page may be another's.
    assert "metadata" not in joined
