"""Operates the admin console in a browser, as an operator does."""

from typing import Any

from playwright.sync_api import Locator, Page, expect

from tests.support.site import Site

OPERATOR = "Zoë Öhm"
PATIENCE_MS = 20_000
"""Much longer than anything takes, because other tests may share the machine."""


def sign_in(page: Page, site: Site, place: str = "", *, key: str | None = None) -> None:
    """Open a page of the console, such as `#/audit`, and sign in."""
    page.goto(f"/admin{place}")
    page.get_by_label("Admin key").fill(site.admin_key if key is None else key)
    page.get_by_label("Your name").fill(OPERATOR)
    page.get_by_role("button", name="Sign in").click()
    if key is None:
        expect(page.get_by_role("button", name="Sign out")).to_be_visible(timeout=PATIENCE_MS)


def open_queue(page: Page, site: Site, queue_id: str) -> None:
    """Sign in and open the page of a queue; returns when all its settings are shown."""
    sign_in(page, site, f"#/queues/{queue_id}")
    expect(page.get_by_label("Template of the page")).to_be_visible(timeout=PATIENCE_MS)


def figure(page: Page, label: str) -> Locator:
    """A figure by its name, with the text beside it."""
    return page.locator("dl.figures > div").filter(has=page.get_by_text(label, exact=True)).locator("dd")


def setting(page: Page, label: str) -> Locator:
    """A setting by its name: its field and its description."""
    return page.locator(".setting").filter(has=page.get_by_label(label))


def shows(locator: Locator, text: str) -> None:
    """Wait until a text is visible."""
    expect(locator).to_contain_text(text, timeout=PATIENCE_MS)


def has_gone(locator: Locator) -> None:
    """Wait until it is invisible."""
    expect(locator).to_be_hidden(timeout=PATIENCE_MS)


def said(page: Page) -> Locator:
    """The last message of the console."""
    return page.locator("#said")


def field_error(page: Page, label: str) -> Locator:
    """The error message of a field."""
    return page.locator(".field").filter(has=page.get_by_label(label)).locator(".field-error")


def fits(page: Page) -> bool:
    """Whether the page is no wider than the screen."""
    # Not `innerWidth`: on a phone it grows with content that does not fit.
    screen = page.viewport_size or {"width": 0}
    return int(page.evaluate("document.documentElement.scrollWidth")) <= screen["width"]


def focused(page: Page) -> str:
    """The focused element: its text, or the name of a field."""
    return str(page.evaluate("document.activeElement.name || document.activeElement.textContent.trim()"))


def settings_of(site: Site, queue_id: str) -> dict[str, Any]:
    """The server's settings of a queue."""
    return dict(site.admin("GET", f"/queues/{queue_id}").json())
