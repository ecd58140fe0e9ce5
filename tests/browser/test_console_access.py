"""The console for everybody: WCAG 2.2 AA, a phone, the keyboard alone, the dark."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.contract.helpers import enter
from tests.support.browser import axe, screenshot, wait_until
from tests.support.console import PATIENCE_MS, fits, focused, has_gone, open_queue, shows, sign_in
from tests.support.site import Site

SCREENS = {
    "light": {},
    "dark": {"color_scheme": "dark"},
    "phone": {"viewport": {"width": 320, "height": 640}, "is_mobile": True, "has_touch": True},
}


def door(page: Page, visited: Site) -> None:
    page.goto("/admin")
    expect(page.get_by_label("Admin key")).to_be_visible()


def queues(page: Page, visited: Site) -> None:
    visited.make_queue(name="A" * 120)
    queue_id = visited.make_queue(status="maintenance", max_active_users=1)
    sign_in(page, visited)
    shows(page.get_by_role("main"), queue_id)


def new_queue(page: Page, visited: Site) -> None:
    sign_in(page, visited, "#/new")
    page.get_by_text("More settings").click()
    page.get_by_role("button", name="Create the queue").click()
    shows(page.get_by_role("main"), "Enter an id.")


def one_queue(page: Page, visited: Site) -> None:
    queue_id = visited.make_queue(status="paused", name="Spring concert")
    for _ in range(3):
        visited.join(queue_id)
    open_queue(page, visited, queue_id)
    page.get_by_text("The figures as a table").click()
    page.get_by_label("Admission rate").fill("0.01")
    page.get_by_label("Silence before a place is lost").fill("no number")
    page.keyboard.press("Tab")
    shows(page.locator(".save-bar"), "2 changes")


def dialog(page: Page, visited: Site) -> None:
    queue_id = visited.make_queue()
    open_queue(page, visited, queue_id)
    page.get_by_role("button", name="Empty the line…").click()
    page.get_by_role("button", name="Empty the line", exact=True).click()
    shows(page.get_by_role("dialog"), "exactly")


def person(page: Page, visited: Site) -> None:
    visit = enter(visited, visited.make_queue(admission_rate=1000))
    sign_in(page, visited, f"#/find/{visit.session_id}")
    shows(page.get_by_role("main"), "End this session")


def changes(page: Page, visited: Site) -> None:
    queue_id = visited.make_queue()
    visited.admin("PATCH", f"/queues/{queue_id}", {"message": "x" * 500, "admission_rate": 3})
    sign_in(page, visited, "#/audit")
    shows(page.locator(".trail"), queue_id)
    page.get_by_text("With these settings").first.click()


VIEWS = [door, queues, new_queue, one_queue, dialog, person, changes]


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.__name__)
@pytest.mark.parametrize("screen", SCREENS)
def test_every_view_keeps_the_rules_and_fits_every_screen(
    open_context: Callable[..., object], visited: Site, view: Callable[[Page, Site], None], screen: str
) -> None:
    page: Page = open_context(**SCREENS[screen]).new_page()  # type: ignore[attr-defined]
    view(page, visited)
    axe(page)
    assert fits(page), "nobody has to scroll sideways"
    screenshot(page, f"console-{view.__name__}-{screen}")


def test_everything_is_done_with_the_keyboard_alone(page: Page, visited: Site) -> None:
    queue_id = visited.make_queue(status="paused")
    visited.join(queue_id)
    page.goto("/admin")
    page.keyboard.type(visited.admin_key)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Queues", timeout=PATIENCE_MS)
    assert focused(page) == "Queues", "a new view begins at its heading"
    tab_to(page, queue_id)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(queue_id, timeout=PATIENCE_MS)
    tab_to(page, "Empty the line…")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    for _ in range(6):
        page.keyboard.press("Tab")
        assert page.evaluate(
            "document.activeElement === document.body || !!document.activeElement.closest('dialog')"
        ), "no button behind the dialog is reached"
    page.keyboard.press("Escape")
    has_gone(page.get_by_role("dialog"))
    assert focused(page) == "Empty the line…", "the keyboard is back where the dialog was opened"
    page.keyboard.press("Enter")
    page.keyboard.type(queue_id)
    page.keyboard.press("Enter")
    shows(page.locator("#said"), "The line was emptied: 1 person lost their place.")
    assert visited.admin("GET", f"/queues/{queue_id}/stats").json()["current_waiting"] == 0


def tab_to(page: Page, text: str) -> None:
    for _ in range(80):
        page.keyboard.press("Tab")
        if focused(page) == text:
            return
    raise AssertionError(f"the keyboard never came to {text}")


def test_new_figures_do_not_take_the_keyboard_away(page: Page, visited: Site) -> None:
    queue_id = visited.make_queue(status="paused")
    sign_in(page, visited)
    link = page.get_by_role("link", name=queue_id)
    link.focus()
    visited.join(queue_id)
    # Queues whose names come first, so that the row is no longer where it was.
    visited.make_queue(id=f"a-{queue_id}")
    row = page.get_by_role("listitem").filter(has=page.locator(f"code:text-is('{queue_id}')"))
    shows(row.locator("dl > div").first, "1 of")
    expect(page.get_by_role("link", name=f"a-{queue_id}")).to_be_visible(timeout=PATIENCE_MS)
    assert focused(page) == queue_id


def test_the_skip_link_leads_past_the_menu(page: Page, visited: Site) -> None:
    sign_in(page, visited, "#/audit")
    page.get_by_role("link", name="Skip to the content").focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    assert page.evaluate("location.hash") == "#/audit"


def test_what_is_typed_is_never_hidden_behind_the_bar_with_the_changes(page: Page, visited: Site) -> None:
    queue_id = visited.make_queue()
    page.set_viewport_size({"width": 320, "height": 640})
    open_queue(page, visited, queue_id)
    page.get_by_label("Admission rate").fill("3")
    for _ in range(12):
        page.keyboard.press("Tab")
        wait_until(
            page,
            lambda: page.evaluate(
                """() => {
                  const focused = document.activeElement;
                  const { left, top, width, height } = focused.getBoundingClientRect();
                  const there = document.elementFromPoint(left + width / 2, top + height / 2);
                  return focused === document.body || focused.contains(there) || there?.contains(focused);
                }"""
            ),
            "what has the focus can be seen",
            seconds=3,
        )
