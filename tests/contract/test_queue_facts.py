"""The public facts about a queue: the same for all, so proxies may keep them for a second."""

import httpx

from tests.contract.helpers import wait_until, waiting
from tests.support.site import BASE, Site, new_address


def facts(site: Site, queue_id: str, **headers: str) -> httpx.Response:
    return site.http.get(f"{BASE}/queues/{queue_id}", headers={"X-Forwarded-For": new_address(), **headers})


def test_they_are_the_same_bytes_for_every_visitor_and_may_be_kept_for_a_second(site: Site) -> None:
    queue_id = site.make_queue(status="paused")
    first, second = facts(site, queue_id), facts(site, queue_id)
    assert first.status_code == second.status_code == 200
    assert first.headers["Cache-Control"] == "public, max-age=1"
    assert first.content == second.content
    assert first.headers["ETag"] == second.headers["ETag"]
    assert "X-WR-Forwarded" not in first.headers
    assert "Set-Cookie" not in first.headers


def test_a_client_that_has_them_is_told_that_they_have_not_changed(site: Site) -> None:
    queue_id = site.make_queue(status="paused")
    tag = facts(site, queue_id).headers["ETag"]
    unchanged = facts(site, queue_id, **{"If-None-Match": tag})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert unchanged.headers["ETag"] == tag
    assert facts(site, queue_id, **{"If-None-Match": '"another"'}).status_code == 200


def test_they_change_with_the_line_and_with_the_settings(site: Site) -> None:
    queue_id = site.make_queue(status="paused")
    tags = {facts(site, queue_id).headers["ETag"]}
    waiting(site, queue_id)
    wait_until(lambda: facts(site, queue_id).json()["queue_length"] == 1)
    tags.add(facts(site, queue_id).headers["ETag"])
    assert site.admin("PATCH", f"/queues/{queue_id}", {"message": "Doors at nine"}).status_code == 200
    wait_until(lambda: facts(site, queue_id).json()["message"] == "Doors at nine")
    tags.add(facts(site, queue_id).headers["ETag"])
    assert len(tags) == 3


def test_a_queue_that_is_not_there_is_not_kept(site: Site) -> None:
    assert facts(site, "no-such-queue").headers["Cache-Control"] == "no-store"
