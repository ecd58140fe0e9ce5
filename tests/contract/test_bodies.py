"""Bodies as clients send them: of any content type, with any spelling; what no other site may send."""

from typing import Any

import httpx
import pytest

from tests.contract.helpers import assert_refused, claims_of, enter, open_queue, seconds_of
from tests.support import plain_http
from tests.support.site import BASE, Site, new_address

TYPES = [
    "text/plain;charset=UTF-8",
    "application/x-www-form-urlencoded",
    "application/octet-stream",
    "*/*",
    None,
]
OTHER_SITES: list[dict[str, str]] = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
]


def post(site: Site, path: str, content: str, content_type: str | None, **headers: str) -> httpx.Response:
    """Send a body as a client does that may never have heard of JSON's own type."""
    kind = {} if content_type is None else {"Content-Type": content_type}
    return site.http.post(
        f"{BASE}{path}", content=content, headers={"X-Forwarded-For": new_address(), **kind, **headers}
    )


@pytest.mark.parametrize("content_type", TYPES)
def test_a_body_that_reads_as_json_is_read_whatever_it_is_called(
    site: Site, content_type: str | None
) -> None:
    queue_id = site.make_queue(status="paused", open_priority=3)
    joined = post(site, f"/queues/{queue_id}/enqueue", '{"priority": 2}', content_type)
    assert (joined.status_code, joined.json()["priority"]) == (201, 2)
    concert = site.make_queue(id=f"concert-{10**9 + TYPES.index(content_type)}", status="paused")
    user = f'{{"userId": 7, "concertId": {concert.removeprefix("concert-")}}}'
    assert post(site, "/waiting-queue/join", user, content_type).json()["rank"] == 1


@pytest.mark.parametrize("origin", OTHER_SITES, ids=str)
@pytest.mark.parametrize("content_type", TYPES)
def test_no_page_of_another_site_sends_a_body_without_leave(
    site: Site, origin: dict[str, str], content_type: str | None
) -> None:
    queue_id = site.make_queue(status="paused")
    refused = post(site, f"/queues/{queue_id}/enqueue", '{"priority": 0}', content_type, **origin)
    assert_refused(refused, 400, "INVALID_REQUEST")
    assert site.admin("GET", f"/queues/{queue_id}/stats").json()["current_waiting"] == 0
    # With this type a browser asks for leave first, and gets it where the operator allows that site.
    assert post(site, f"/queues/{queue_id}/enqueue", "{}", "application/json", **origin).status_code == 201


@pytest.mark.parametrize("content_type", TYPES)
@pytest.mark.parametrize("call", ["heartbeat", "enqueue"])
def test_a_cookie_alone_authenticates_no_body(site: Site, call: str, content_type: str | None) -> None:
    queue_id = site.make_queue(status="paused", unique_by="none")
    kept = plain_http.post(
        f"{site.url}{BASE}/queues/{queue_id}/enqueue",
        headers={"X-WR-Token": "cookie", "X-Forwarded-For": new_address()},
    )
    cookie = kept.headers["set-cookie"].partition(";")[0]
    sent = post(site, f"/queues/{queue_id}/{call}", "{}", content_type, Cookie=cookie)
    # A form can say neither `X-WR-Token` nor `Authorization`, and without either the cookie proves nothing.
    if call == "heartbeat":
        assert_refused(sent, 401, "UNAUTHORIZED")
    else:
        assert sent.status_code == 201
        assert sent.json()["position_id"] != kept.json()["position_id"]


def test_a_page_of_this_very_site_may_leave_the_type_out(site: Site) -> None:
    queue_id = site.make_queue(status="paused")
    own = {"Origin": site.url, "Sec-Fetch-Site": "same-origin"}
    assert post(site, f"/queues/{queue_id}/enqueue", "{}", "text/plain", **own).status_code == 201


@pytest.mark.parametrize("spelled", ["2.0", "2e0", "20e-1", "0.2E1", "2.000"])
def test_a_whole_number_counts_as_an_integer_however_it_is_spelled(site: Site, spelled: str) -> None:
    queue_id = site.make_queue(status="paused", open_priority=3)
    joined = post(site, f"/queues/{queue_id}/enqueue", f'{{"priority": {spelled}}}', "application/json")
    assert (joined.status_code, joined.json()["priority"]) == (201, 2)
    changed = site.admin("PATCH", f"/queues/{queue_id}", content=f'{{"max_active_users": {spelled}}}')
    assert changed.json()["max_active_users"] == 2


@pytest.mark.parametrize("spelled", ["1.5", "1e400", "-1.0", "4.0", "1e-5", '"1"', "1e99999999999"])
def test_what_is_no_whole_number_in_range_is_refused_and_named(site: Site, spelled: str) -> None:
    queue_id = site.make_queue(status="paused")
    refused = post(site, f"/queues/{queue_id}/enqueue", f'{{"priority": {spelled}}}', "application/json")
    assert assert_refused(refused, 400, "INVALID_REQUEST")["field"] == "priority"


def test_whole_settings_and_figures_are_told_without_a_fraction(site: Site) -> None:
    queue_id = open_queue(site, admission_rate=20.0, outage_rate=3, priority_share=1)
    enter(site, queue_id)
    stats = site.admin("GET", f"/queues/{queue_id}/stats").json()
    listed = site.admin("GET", "/queues").json()["queues"]
    answers: list[Any] = [
        site.admin("GET", f"/queues/{queue_id}").json(),
        next(each["queue"] for each in listed if each["queue"]["id"] == queue_id),
    ]
    for queue in answers:
        for name, value in (("admission_rate", 20), ("outage_rate", 3), ("priority_share", 1)):
            assert queue[name] == value
            assert type(queue[name]) is int, name
    assert type(stats["avg_wait_time_seconds"]) is int
    site.admin("PATCH", f"/queues/{queue_id}", {"admission_rate": 0.5})
    (change, *_) = site.admin("GET", "/audit", params={"queue_id": queue_id}).json()["entries"]
    assert change["changes"]["admission_rate"] == {"from": 20, "to": 0.5}
    assert type(change["changes"]["admission_rate"]["from"]) is int


def test_one_session_has_one_id_and_one_end_wherever_it_is_told(site: Site) -> None:
    site.clock.advance(0.75)
    visit = enter(site, open_queue(site, session_timeout_seconds=90))
    claims = claims_of(visit.session_token)
    session = site.call("GET", f"/sessions/{visit.session_id}", visit.session_token).json()
    activity = site.call("POST", f"/sessions/{visit.session_id}/activity", visit.session_token, {}).json()
    joined = site.join(visit.queue_id, token=visit.token).json()
    found = site.admin("GET", f"/sessions/{visit.session_id}").json()
    assert {claims["sub"], claims["session_id"]} == {visit.session_id}
    for answer in (session, activity, joined, found, visit.admitted):
        assert answer["session_id"] == visit.session_id
    ends = [visit.admitted["session_expires_at"], joined["session_expires_at"]]
    ends += [answer["expires_at"] for answer in (session, activity, found)]
    assert {seconds_of(end) for end in ends} == {claims["exp"]}
    starts = [session["started_at"], found["started_at"]]
    assert {seconds_of(start) for start in starts} == {claims["iat"]} == {claims["exp"] - 90}
