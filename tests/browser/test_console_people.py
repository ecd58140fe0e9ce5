"""The console's search for one person, and the record of who changed what."""

import secrets

from playwright.sync_api import Page, expect

from tests.contract.helpers import enter
from tests.support.browser import Watch
from tests.support.console import OPERATOR, PATIENCE_MS, focused, has_gone, open_queue, said, shows, sign_in
from tests.support.site import Site
from wr.model.ids import id_text, new_position_id


def find(page: Page, text: str) -> None:
    page.get_by_label("Position or session id").fill(text)
    page.get_by_role("button", name="Find", exact=True).click()


def test_somebody_in_line_is_found_by_the_position(page: Page, visited: Site) -> None:
    queue_id = visited.make_queue(status="paused")
    visited.join(queue_id)
    second = visited.join(queue_id, {"priority": 0}).json()
    sign_in(page, visited, "#/find")
    find(page, f"  {second['position_id'].upper()} ")
    shows(page.get_by_role("heading", level=2), "Waiting in line")
    facts = page.locator("dl.facts-list")
    shows(facts, queue_id)
    assert facts.locator("div").filter(has_text="Place in line").locator("dd").inner_text() == "2"
    page.reload()
    sign_in(page, visited, f"#/find/{second['position_id']}")
    shows(page.get_by_role("heading", level=2), "Waiting in line")


def test_what_a_visitor_sent_with_the_join_is_shown_as_text(page: Page, visited: Site) -> None:
    queue_id = visited.make_queue(status="paused")
    sent = {"campaign": "<img src=x onerror=alert(1)>", "is_member": True}
    joined = visited.join(queue_id, {"metadata": sent}).json()
    sign_in(page, visited, f"#/find/{joined['position_id']}")
    shows(page.get_by_role("heading", level=2), "Waiting in line")
    told = page.locator("dl.facts-list > div").filter(has_text="Sent with the join").locator("dd li")
    expect(told).to_have_text(["campaign: <img src=x onerror=alert(1)>", "is_member: true"])


def test_a_session_is_found_by_its_position_and_ended_with_a_reason(page: Page, visited: Site) -> None:
    visit = enter(visited, visited.make_queue(admission_rate=1000))
    sign_in(page, visited, f"#/find/{visit.position_id}")
    shows(page.get_by_role("heading", level=2), "Let in")
    page.get_by_role("link", name=visit.session_id).click()
    shows(page.get_by_role("heading", level=2), "Inside")
    page.get_by_role("button", name="End this session…").click()
    page.get_by_label("Reason").fill("three tickets too many")
    page.get_by_role("button", name="End the session").click()
    shows(said(page), "The session has ended.")
    shows(page.get_by_role("heading", level=2), "Ended by an operator")
    assert focused(page) == "Ended by an operator"
    has_gone(page.get_by_role("button", name="End this session…"))
    ended = visited.call("GET", f"/sessions/{visit.session_id}", visit.session_token)
    assert ended.status_code == 410
    page.get_by_role("link", name="Changes").click()
    entry = page.locator(".trail > li").first
    shows(entry, f"{OPERATOR} ended a session in {visit.queue_id}")
    shows(entry, "three tickets too many")


def test_what_is_no_id_is_not_asked_for_and_what_nobody_knows_is_said(
    page: Page, visited: Site, watch: Watch
) -> None:
    sign_in(page, visited, "#/find")
    find(page, "Anna")
    shows(page.get_by_role("main"), "This is not an id")
    assert focused(page) == "id"
    find(page, id_text(new_position_id(secrets.token_bytes)))
    shows(page.get_by_role("main"), "No queue has this id.")
    watch.expect("status of 404")


def test_the_record_tells_who_changed_what_and_when(page: Page, visited: Site) -> None:
    queue_id = visited.make_queue(admission_rate=10)
    open_queue(page, visited, queue_id)
    page.get_by_label("Admission rate").fill("20")
    page.get_by_label("Message").fill("Soon.")
    page.get_by_role("button", name="Save changes").click()
    entry = page.locator(".trail > li").first
    shows(entry, f"{OPERATOR} changed the queue {queue_id}")
    shows(entry, "Admission rate: 10 → 20")
    shows(entry, "Message: nothing → Soon.")
    shows(entry, "from 127.0.0.1")
    assert entry.locator("time").get_attribute("datetime")
    made = page.locator(".trail > li").nth(1)
    shows(made, f"An operator created the queue {queue_id}")
    page.get_by_role("link", name="Changes", exact=True).click()
    shows(page.locator(".trail > li").first, queue_id)
    assert page.locator(".trail > li").count() >= 2


def test_older_changes_follow_when_they_are_asked_for(page: Page, visited: Site) -> None:
    queue_id = visited.make_queue()
    for rate in range(1, 14):
        visited.admin("PATCH", f"/queues/{queue_id}", {"admission_rate": 100 + rate})
    open_queue(page, visited, queue_id)
    entries = page.locator(".trail > li")
    expect(entries).to_have_count(10, timeout=PATIENCE_MS)
    page.get_by_role("button", name="Older changes").click()
    expect(entries).to_have_count(14, timeout=PATIENCE_MS)
    shows(entries.last, "created the queue")
    has_gone(page.get_by_role("button", name="Older changes"))


def test_no_name_of_a_queue_or_a_person_becomes_markup(page: Page, visited: Site) -> None:
    trap = "<img src=x onerror=alert(1)>"
    queue_id = visited.make_queue(name=trap, message=trap)
    open_queue(page, visited, queue_id)
    expect(page.get_by_role("heading", level=1)).to_have_text(trap, timeout=PATIENCE_MS)
    page.get_by_role("link", name="Changes", exact=True).click()
    shows(page.locator(".trail > li").first, queue_id)
    page.locator(".trail > li").first.get_by_text("With these settings").click()
    shows(page.locator(".trail > li").first, trap)
    assert page.locator("img[src=x]").count() == 0
