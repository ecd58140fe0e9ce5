"""GET /admin: signing in, queues at a glance, making one and steering it."""

import pytest
from playwright.sync_api import Page, Route, expect

from tests.support import plain_http
from tests.support.browser import Watch, screenshot
from tests.support.console import (
    OPERATOR,
    PATIENCE_MS,
    figure,
    focused,
    has_gone,
    open_queue,
    said,
    settings_of,
    shows,
    sign_in,
)
from tests.support.site import Site

FORBIDDEN = "status of 403"


@pytest.fixture(scope="module")
def visited_settings() -> dict[str, str]:
    return {"demo_queue": "no"}


def test_without_a_queue_the_console_says_how_to_make_one(page: Page, visited: Site) -> None:
    sign_in(page, visited)
    shows(page.get_by_role("main"), "There is no queue yet")
    page.get_by_role("link", name="Create the first queue").click()
    page.get_by_label("Id", exact=True).fill("first")
    page.get_by_label("Where people go when they are let in").fill("https://shop.example/checkout")
    page.get_by_label("Admission rate").fill("2.5")
    page.get_by_label("Start paused").check()
    page.get_by_role("button", name="Create the queue").click()
    shows(said(page), "The queue first was created.")
    expect(page).to_have_title("first · Waiting room console")
    made = settings_of(visited, "first")
    assert (made["name"], made["status"], made["admission_rate"]) == ("first", "paused", 2.5)


def test_what_the_server_refuses_about_a_new_queue_stands_at_the_field(
    page: Page, visited: Site, watch: Watch
) -> None:
    queue_id = visited.make_queue()
    sign_in(page, visited, "#/new")
    id_field = page.get_by_label("Id", exact=True)
    target = page.get_by_label("Where people go when they are let in")
    page.get_by_role("button", name="Create the queue").click()
    assert (focused(page), id_field.get_attribute("aria-invalid")) == ("id", "true")
    id_field.fill(queue_id)
    target.fill("nowhere")
    page.get_by_role("button", name="Create the queue").click()
    shows(page.get_by_role("main"), "target_url must be an http or https URL")
    assert focused(page) == "target_url"
    target.fill("https://shop.example/")
    page.get_by_role("button", name="Create the queue").click()
    shows(page.get_by_role("main"), "There is a queue of that id already")
    assert focused(page) == "id"
    watch.expect("status of 400")
    watch.expect("status of 409")


def test_a_wrong_key_does_not_open_the_console(page: Page, visited: Site, watch: Watch) -> None:
    sign_in(page, visited, key="not the key")
    shows(page.get_by_role("main"), "This is not the admin key of this server.")
    assert focused(page) == "admin-key"
    expect(page.get_by_role("navigation")).to_be_hidden()
    watch.expect(FORBIDDEN)


def test_the_key_is_kept_nowhere_and_forgotten_with_the_page(page: Page, visited: Site) -> None:
    sign_in(page, visited)
    kept = page.evaluate(
        """async () => JSON.stringify([
          {...localStorage}, {...sessionStorage}, document.cookie, await indexedDB.databases(),
          await caches.keys(), history.state, location.href,
        ])"""
    )
    assert kept == f'[{{}},{{}},"",[],[],null,"{visited.url}/admin"]'
    assert page.context.cookies() == []
    page.reload()
    expect(page.get_by_label("Admin key")).to_be_visible()


def test_signing_out_takes_everything_from_the_page(page: Page, visited: Site) -> None:
    queue_id = visited.make_queue()
    sign_in(page, visited)
    shows(page.get_by_role("main"), queue_id)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Admin key")).to_be_focused()
    assert queue_id not in page.inner_text("body")
    assert OPERATOR not in page.inner_text("body")
    assert page.get_by_label("Admin key").input_value() == ""


def test_who_signs_in_comes_to_the_place_that_was_asked_for(page: Page, visited: Site) -> None:
    sign_in(page, visited, "#/audit")
    expect(page.get_by_role("heading", level=1)).to_have_text("Changes", timeout=PATIENCE_MS)


def test_a_key_that_is_accepted_no_longer_leads_back_to_the_door(
    page: Page, visited: Site, watch: Watch
) -> None:
    sign_in(page, visited)
    page.route(
        "**/api/v1/admin/**",
        lambda route: route.continue_(headers={**route.request.headers, "x-admin-key": "changed"}),
    )
    shows(page.get_by_role("main"), "The admin key is no longer accepted.")
    expect(page.get_by_label("Admin key")).to_be_focused()
    watch.expect(FORBIDDEN)


def test_the_list_shows_each_queue_as_it_fills_without_being_asked_again(page: Page, visited: Site) -> None:
    queue_id = visited.make_queue(name="Autumn sale", status="paused", max_queue_size=400)
    sign_in(page, visited)
    row = page.get_by_role("listitem").filter(has_text=queue_id)
    shows(row, "Autumn sale")
    shows(row, "Paused")
    for _ in range(3):
        visited.join(queue_id)
    shows(row.locator("dl > div").nth(0), "3 of 400")
    shows(row, "not moving")
    visited.admin("PATCH", f"/queues/{queue_id}", {"status": "active", "admission_rate": 1000})
    shows(row.locator("dl > div").nth(1), "3 of 1,000")
    shows(row, "no line")
    screenshot(page, "console-queues")


def test_a_queue_is_paused_and_resumed_at_once(page: Page, visited: Site) -> None:
    queue_id = visited.make_queue(admission_rate=1000)
    open_queue(page, visited, queue_id)
    page.get_by_role("button", name="Pause", exact=True).click()
    shows(said(page), f"{queue_id} is paused. No visitors are let in.")
    assert settings_of(visited, queue_id)["status"] == "paused"
    assert focused(page) == "Resume", "the keyboard is not thrown off the page when a button goes"
    visited.join(queue_id)
    shows(figure(page, "Waiting"), "1 of")
    shows(figure(page, "Wait for new visitors"), "until you resume")
    page.get_by_role("button", name="Resume", exact=True).click()
    shows(figure(page, "Inside"), "1 of")
    shows(page.locator(".heading .badge"), "Active")
    assert settings_of(visited, queue_id)["status"] == "active"


def test_maintenance_is_asked_about_first(page: Page, visited: Site) -> None:
    queue_id = visited.make_queue()
    open_queue(page, visited, queue_id)
    page.get_by_role("button", name="Maintenance…").click()
    shows(page.get_by_role("dialog"), "New visitors cannot join, and no visitors are let in.")
    page.get_by_role("button", name="Cancel").click()
    has_gone(page.get_by_role("dialog"))
    assert settings_of(visited, queue_id)["status"] == "active"
    page.get_by_role("button", name="Maintenance…").click()
    page.get_by_role("button", name="Start maintenance").click()
    shows(page.locator(".heading .badge"), "Maintenance")
    assert settings_of(visited, queue_id)["status"] == "maintenance"
    has_gone(page.get_by_role("dialog"))
    assert focused(page) == "Resume"


def test_a_line_is_emptied_only_by_somebody_who_types_its_queue(page: Page, visited: Site) -> None:
    queue_id = visited.make_queue(status="paused")
    for _ in range(2):
        visited.join(queue_id)
    open_queue(page, visited, queue_id)
    shows(figure(page, "Waiting"), "2 of")
    page.get_by_role("button", name="Empty the line…").click()
    shows(page.get_by_role("dialog"), "2 people lose their place for good.")
    page.get_by_role("button", name="Empty the line", exact=True).click()
    shows(page.get_by_role("dialog"), f"Type exactly {queue_id}.")
    assert visited.admin("GET", f"/queues/{queue_id}/stats").json()["current_waiting"] == 2
    page.get_by_label(f"Type {queue_id} to confirm").fill(queue_id)
    page.get_by_role("button", name="Empty the line", exact=True).click()
    shows(said(page), "The line was emptied: 2 people lost their place.")
    shows(figure(page, "Waiting"), "0 of")


def test_a_deleted_queue_is_gone_and_the_list_comes_back(page: Page, visited: Site) -> None:
    queue_id = visited.make_queue()
    open_queue(page, visited, queue_id)
    page.get_by_role("button", name="Delete the queue…").click()
    page.get_by_label(f"Type {queue_id} to confirm").fill(queue_id)
    page.get_by_role("button", name="Delete the queue", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Queues", timeout=PATIENCE_MS)
    shows(said(page), f"{queue_id} is deleted.")
    assert page.locator(".queue-name").filter(has_text=queue_id).count() == 0
    assert visited.admin("GET", f"/queues/{queue_id}").status_code == 404


def test_a_queue_that_somebody_else_deletes_says_so(page: Page, visited: Site) -> None:
    queue_id = visited.make_queue()
    open_queue(page, visited, queue_id)
    visited.admin("DELETE", f"/queues/{queue_id}")
    shows(page.get_by_role("main"), f"There is no queue called {queue_id}.")


def test_a_dialog_tells_why_something_could_not_be_done_and_stays(
    page: Page, visited: Site, watch: Watch
) -> None:
    queue_id = visited.make_queue()
    open_queue(page, visited, queue_id)
    page.get_by_role("button", name="Empty the line…").click()

    def gone_meanwhile(route: Route) -> None:
        visited.admin("DELETE", f"/queues/{queue_id}")
        route.continue_()

    page.route("**/flush", gone_meanwhile)
    page.get_by_label(f"Type {queue_id} to confirm").fill(queue_id)
    page.get_by_role("button", name="Empty the line", exact=True).click()
    shows(page.get_by_role("dialog").get_by_role("alert"), "There is no such queue")
    watch.expect("status of 404")


def test_the_address_of_the_waiting_page_can_be_copied(page: Page, visited: Site) -> None:
    queue_id = visited.make_queue()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    open_queue(page, visited, queue_id)
    page.get_by_role("button", name="Copy").click()
    shows(said(page), "Copied.")
    assert page.evaluate("navigator.clipboard.readText()") == f"{visited.url}/wait/{queue_id}"


def test_the_page_itself_names_no_queue_and_needs_no_key(visited: Site) -> None:
    queue_id = visited.make_queue()
    answer = plain_http.get(f"{visited.url}/admin")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert queue_id not in answer.text
