"""GET /: what this server is, and where its pages are."""

import pytest
from playwright.sync_api import Page

from tests.support.browser import axe, screenshot
from tests.support.site import Site


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_the_front_page_breaks_no_rule_of_accessibility(page: Page, scheme: str, width: int) -> None:
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.set_viewport_size({"width": width, "height": 800})
    page.goto("/")
    axe(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    screenshot(page, f"front-{scheme}-{width}")


def test_the_front_page_leads_to_the_console_the_reference_and_the_health(page: Page) -> None:
    page.goto("/")
    assert [link.get_attribute("href") for link in page.get_by_role("link").all()] == [
        "/admin",
        "/docs",
        "/api/v1/health",
    ]


def test_the_front_page_names_no_queue(page: Page, visited: Site) -> None:
    visited.make_queue(id="secret-launch", name="Secret launch")
    page.goto("/")
    text = page.content().lower()
    assert "waiting room" in text
    assert "secret" not in text
    assert "demo" not in text


@pytest.mark.context(java_script_enabled=False)
def test_the_front_page_needs_no_script(page: Page) -> None:
    page.goto("/")
    assert page.get_by_role("heading").inner_text() == "This is a waiting room server"
