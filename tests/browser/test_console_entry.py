"""The console's passes and blocks: letting visitors in with a link, and keeping visitors out."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.contract.helpers import assert_refused, enter
from tests.support.browser import Watch, axe, screenshot
from tests.support.console import (
    OPERATOR,
    PATIENCE_MS,
    field_error,
    fits,
    focused,
    has_gone,
    open_queue,
    said,
    setting,
    settings_of,
    shows,
    sign_in,
)
from tests.support.site import Site

SCREENS: dict[str, dict[str, Any]] = {
    "wide": {},
    "phone-dark": {
        "viewport": {"width": 320, "height": 640},
        "is_mobile": True,
        "has_touch": True,
        "color_scheme": "dark",
    },
}


def panel(page: Page, title: str) -> Locator:
    return page.get_by_role("region", name=title, exact=True)


def issue(page: Page, **typed: str) -> None:
    for label, text in typed.items():
        page.get_by_label(label.replace("_", " ")).fill(text)
    page.get_by_role("button", name="Issue passes").click()


def links(page: Page) -> list[str]:
    shown = panel(page, "Passes").locator("textarea")
    expect(shown).to_be_visible(timeout=PATIENCE_MS)
    return shown.input_value().splitlines()


def join_with(site: Site, link: str) -> httpx.Response:
    address, _, given = link.partition("?pass=")
    return site.join(address.rpartition("/")[2], headers={"X-WR-Pass": given})


def test_passes_are_issued_copied_and_downloaded(page: Page, visited: Site, tmp_path: Path) -> None:
    queue_id = visited.make_queue(status="paused", entry="pass")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    open_queue(page, visited, queue_id)
    page.get_by_label("Priority of the places").select_option("3")
    page.get_by_label("Visitor’s name").fill('press, "A"')
    page.get_by_label("Valid for").select_option("2 hours")
    issue(page, How_many_passes="3", Uses_of_each="0")
    shows(said(page), "3 passes issued, valid until")
    shown = links(page)
    assert len(shown) == 3
    page.get_by_role("button", name="Copy the links").click()
    shows(said(page), "Copied.")
    assert page.evaluate("navigator.clipboard.readText()").splitlines() == shown
    with page.expect_download() as downloading:
        page.get_by_role("button", name="Download as CSV").click()
    assert downloading.value.suggested_filename == f"{queue_id}-passes.csv"
    downloading.value.save_as(tmp_path / "passes.csv")
    header, *rows = csv.reader((tmp_path / "passes.csv").read_text().splitlines())
    assert header == ["subject", "pass_id", "expires_at", "pass", "link"]
    assert [row[0] for row in rows] == [f'press, "A"-{number}' for number in (1, 2, 3)]
    assert [row[4] for row in rows] == shown
    joined = join_with(visited, shown[0])
    assert (joined.status_code, joined.json()["priority"]) == (201, 3)
    entry = page.locator(".trail > li").filter(has_text="issued passes for")
    shows(entry, f"{OPERATOR} issued passes for {queue_id}")
    assert settings_of(visited, queue_id)["entry"] == "pass"


@pytest.mark.parametrize(
    ("label", "typed", "message"),
    [
        ("How many passes", "0", "It must be at least 1."),
        ("How many passes", "1001", "It must be at most 1,000."),
        ("How many passes", "some", "Enter a number"),
        ("Uses of each", "-1", "It must be at least 0."),
        ("Uses of each", "1000001", "1000000"),
    ],
)
def test_what_cannot_be_issued_is_said_at_its_field(
    page: Page, visited: Site, watch: Watch, label: str, typed: str, message: str
) -> None:
    open_queue(page, visited, visited.make_queue())
    page.get_by_label(label).fill(typed)
    page.get_by_role("button", name="Issue passes").click()
    shows(field_error(page, label), message)
    expect(page.get_by_label(label)).to_be_focused()
    assert panel(page, "Passes").locator("textarea").count() == 0
    if typed == "1000001":
        watch.expect("status of 400")


def test_a_pass_is_revoked_by_its_id_with_its_visitor_kept_out(page: Page, visited: Site) -> None:
    queue_id = visited.make_queue(status="paused")
    made = visited.admin("POST", f"/queues/{queue_id}/passes", {"subject": "fan", "count": 2}).json()
    one, other = made["passes"]
    assert join_with(visited, one["link"]).status_code == 201
    open_queue(page, visited, queue_id)
    page.get_by_role("button", name="Revoke…").click()
    shows(field_error(page, "Id of the pass"), "Enter the id of a pass.")
    page.get_by_label("Id of the pass").fill(one["pass_id"])
    page.get_by_role("button", name="Revoke…").click()
    dialog = page.get_by_role("dialog")
    shows(dialog, one["pass_id"])
    expect(dialog.get_by_label("What to keep out")).to_be_hidden()
    dialog.get_by_label("Keep the visitor out for").select_option("1 hour")
    expect(dialog.get_by_label("What to keep out")).to_have_value("person")
    dialog.get_by_label("Reason").fill("resold")
    page.get_by_role("button", name="Revoke the pass").click()
    shows(said(page), "The pass is revoked, and its place is ended.")
    assert_refused(join_with(visited, one["link"]), 403, "BLOCKED")
    assert join_with(visited, other["link"]).status_code == 201
    blocked = panel(page, "Blocks").locator("li")
    expect(blocked).to_have_count(2, timeout=PATIENCE_MS)
    shows(blocked.filter(has_text="Person"), f"pass {one['pass_id']}")
    shows(blocked.filter(has_text="Place"), f"pass {one['pass_id']}")
    shows(page.locator(".trail > li").filter(has_text="revoked a pass of"), "resold")


def test_an_address_is_blocked_and_the_block_ended(page: Page, visited: Site, watch: Watch) -> None:
    queue_id = visited.make_queue(status="paused")
    open_queue(page, visited, queue_id)
    blocks = panel(page, "Blocks")
    shows(blocks, "No blocks.")
    page.get_by_role("button", name="Block", exact=True).click()
    shows(field_error(page, "Address to block"), "Enter an address or a user id.")
    page.get_by_label("Address to block").fill("nowhere")
    page.get_by_role("button", name="Block", exact=True).click()
    shows(field_error(page, "Address to block"), "address is no IPv4 or IPv6 address")
    expect(page.get_by_label("Address to block")).to_be_focused()
    page.get_by_label("Address to block").fill("203.0.113.77")
    page.get_by_label("Blocked for").select_option("2 hours")
    page.get_by_label("Why").fill("bots")
    page.get_by_role("button", name="Block", exact=True).click()
    shows(said(page), "203.0.113.77 is blocked until")
    shows(blocks.locator("li"), "Address 203.0.113.77, until")
    shows(blocks.locator("li"), f"bots · {OPERATOR}")
    assert_refused(visited.join(queue_id, address="203.0.113.77"), 403, "BLOCKED")
    blocks.get_by_role("button", name="End the block of 203.0.113.77").click()
    shows(said(page), "The block of 203.0.113.77 has ended.")
    shows(blocks, "No blocks.")
    assert focused(page) == "Blocks", "the keyboard stays where the button was"
    assert visited.join(queue_id, address="203.0.113.77").status_code == 201
    deeds = page.locator(".trail > li")
    shows(deeds.filter(has_text="ended a block in"), queue_id)
    shows(deeds.filter(has_text="blocked a visitor or an address in"), queue_id)
    watch.expect("status of 400")


def test_what_other_operators_block_is_seen_when_it_is_asked_for(page: Page, visited: Site) -> None:
    queue_id = visited.make_queue()
    open_queue(page, visited, queue_id)
    shows(panel(page, "Blocks"), "No blocks.")
    visited.admin("POST", f"/queues/{queue_id}/blocks", {"user_id": "bot-7", "block_for": 60})
    page.get_by_role("button", name="Refresh the blocks").click()
    shows(panel(page, "Blocks").locator("li"), "Person bot-7, until")


def test_a_session_is_ended_and_its_visitor_kept_out(page: Page, visited: Site) -> None:
    queue_id = visited.make_queue(admission_rate=1000)
    visit = enter(visited, queue_id)
    sign_in(page, visited, f"#/find/{visit.session_id}")
    page.get_by_role("button", name="End this session…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Keep the visitor out for").select_option("2 hours")
    expect(dialog.get_by_label("What to keep out")).to_have_value("both")
    dialog.get_by_label("What to keep out").select_option("the address")
    axe(page)
    page.get_by_role("button", name="End the session").click()
    shows(said(page), "The session has ended. Its visitor is kept out until")
    (block,) = visited.admin("GET", f"/queues/{queue_id}/blocks").json()["blocks"]
    assert block["scope"] == "address"


@pytest.mark.parametrize(
    ("label", "typed", "told"),
    [
        ("Maximum places for one address", "0", "One address can fill the whole line."),
        ("Maximum places for one address", "100", "One address can hold up to 100 places"),
        ("Maximum places for one address", "100", "4 addresses fill the line."),
        ("Maximum places for one address", "400", "That is the whole line."),
        ("Highest priority without a pass", "0", "A visitor needs a pass, or a call by your site"),
        ("Highest priority without a pass", "2", "Any visitor can ask for priority 2, and is then ahead of"),
        ("Highest priority without a pass", "4", "The highest priority is 3."),
        ("Share for higher priorities", "0.75", "at most 75 of 100 people who get in have a higher one."),
        ("Share for higher priorities", "1", "Strict order"),
        ("Share for higher priorities", "1.5", "Too much"),
    ],
)
def test_each_setting_of_entry_says_what_it_would_do(
    page: Page, visited: Site, label: str, typed: str, told: str
) -> None:
    open_queue(
        page, visited, visited.make_queue(max_queue_size=400, max_places_per_address=7, open_priority=1)
    )
    page.get_by_label(label).fill(typed)
    shows(setting(page, label).locator(".effect"), told)


def test_a_presale_begins_with_one_choice(page: Page, visited: Site) -> None:
    queue_id = visited.make_queue()
    open_queue(page, visited, queue_id)
    told = setting(page, "Who may join").locator(".effect")
    shows(told, "Every visitor can join.")
    page.get_by_label("Who may join").select_option("pass")
    shows(told, "A presale: only visitors with a pass can join")
    page.get_by_label("Share for higher priorities").fill("0")
    page.get_by_role("button", name="Save changes").click()
    error = field_error(page, "Share for higher priorities")
    expect(error).to_have_text("It must be above 0.", timeout=PATIENCE_MS)
    page.get_by_label("Share for higher priorities").fill("0.5")
    page.get_by_role("button", name="Save changes").click()
    shows(
        said(page), "Saved. Who may join is now visitors with a pass; Share for higher priorities is now 0.5."
    )
    assert_refused(visited.join(queue_id), 403, "PASS_REQUIRED")


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ("client", "Use this only for places that are not worth stealing."),
        ("user_id", "The id counts only with a pass or in a call by your site."),
        ("ip", "Only the token of the place gives it back"),
        ("none", "Every join gets a new place"),
    ],
)
def test_who_is_the_same_person_says_what_proves_it(page: Page, visited: Site, rule: str, told: str) -> None:
    open_queue(page, visited, visited.make_queue())
    page.get_by_label("How visitors are told apart").select_option(rule)
    shows(setting(page, "How visitors are told apart").locator(".effect"), told)


def test_passes_and_blocks_are_handled_with_the_keyboard_alone(page: Page, visited: Site) -> None:
    queue_id = visited.make_queue(status="paused")
    open_queue(page, visited, queue_id)
    page.get_by_label("Visitor’s name").focus()
    page.keyboard.type("fan")
    page.keyboard.press("Enter")
    (link,) = links(page)
    page.get_by_label("Id of the pass").focus()
    page.keyboard.type(httpx.URL(link).params["pass"][:5])
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible(timeout=PATIENCE_MS)
    page.keyboard.press("Escape")
    has_gone(page.get_by_role("dialog"))
    page.get_by_label("User id to block").focus()
    page.keyboard.type("fan")
    page.keyboard.press("Enter")
    shows(said(page), "fan is blocked until")
    assert_refused(join_with(visited, link), 403, "BLOCKED")
    page.get_by_role("button", name="End the block of fan").focus()
    page.keyboard.press("Enter")
    shows(said(page), "The block of fan has ended.")
    assert join_with(visited, link).status_code == 201


@pytest.mark.parametrize("screen", SCREENS)
def test_passes_and_blocks_keep_the_rules_and_fit_every_screen(
    open_context: Callable[..., BrowserContext], visited: Site, screen: str
) -> None:
    page = open_context(**SCREENS[screen]).new_page()
    queue_id = visited.make_queue()
    wish = {"address": "2001:db8:1234:5678::1", "user_id": "u" * 200, "block_for": 60, "reason": "r" * 200}
    assert visited.admin("POST", f"/queues/{queue_id}/blocks", wish).status_code == 201
    open_queue(page, visited, queue_id)
    expect(panel(page, "Blocks").locator("li")).to_have_count(2, timeout=PATIENCE_MS)
    issue(page, How_many_passes="2")
    assert len(links(page)) == 2
    page.get_by_role("button", name="Revoke…").click()
    shows(field_error(page, "Id of the pass"), "Enter the id")
    axe(page)
    assert fits(page), "nobody has to scroll sideways"
    screenshot(page, f"console-entry-{screen}")


def test_a_refusal_that_is_not_about_the_key_keeps_the_operator_signed_in(
    page: Page, visited: Site, watch: Watch
) -> None:
    queue_id = visited.make_queue()
    open_queue(page, visited, queue_id)
    page.route(
        "**/passes",
        lambda route: route.fulfill(
            status=403, json={"error": {"code": "PASS_INVALID", "message": "The pass is for another queue"}}
        ),
    )
    page.get_by_role("button", name="Issue passes").click()
    shows(panel(page, "Passes").get_by_role("alert"), "The pass is for another queue")
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    watch.expect("status of 403")
