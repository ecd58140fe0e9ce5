"""Takes the README's pictures of a real server with waiting visitors: `python -m tests.support.pictures`."""

import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from tests.browser.waiting import crowd
from tests.support.browser import BROWSER_ARGUMENTS, HOW_TO_GET_CHROMIUM, find_chromium
from tests.support.clock import HandClock
from tests.support.engines import Engine
from tests.support.server import running_server
from tests.support.site import Site

PICTURES = Path(__file__).parents[1] / "browser" / "pictures"
_PHONE = {"width": 390, "height": 780}
_DESK = {"width": 1200, "height": 900}
_FILLING_S = 240
"""Seconds of visitor traffic before the console's picture, because its charts have steps of 10 seconds."""


def main() -> None:
    """Take all pictures; about five minutes."""
    path = find_chromium()
    if path is None:
        raise SystemExit(HOW_TO_GET_CHROMIUM)
    PICTURES.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        running_server(
            None,
            data_dir=folder,
            live_interval="0.2",
            **{f"limit_{scope}": "0" for scope in ("enqueue", "status", "heartbeat", "admin")},
        ) as ready,
        sync_playwright() as playwright,
    ):
        store = Engine("embedded", f"unix://{folder}/store.sock")
        site = Site(ready.url, ready.admin_key, HandClock(), store, "wr")
        browser = playwright.chromium.launch(executable_path=path, args=BROWSER_ARGUMENTS)
        phone = browser.new_context(base_url=site.url, viewport=_PHONE, device_scale_factor=2, locale="en-GB")  # type: ignore[arg-type]
        desk = browser.new_context(base_url=site.url, viewport=_DESK, locale="en-GB")  # type: ignore[arg-type]
        _waiting(site, phone.new_page())
        _console(site, desk.new_page())
        browser.close()


def _waiting(site: Site, page: Page) -> None:
    line = crowd(
        site,
        12,
        id="summer-tour",
        name="Summer tour – tickets",
        message="Doors open at 10.",
        status="active",
        admission_rate=0.03,
        max_active_users=1,
        session_timeout_seconds=60,
    )
    page.goto(line.path)
    expect(page.locator("#position")).not_to_be_empty()
    line.leave(3)
    expect(page.locator("#position")).to_have_text("10")
    page.screenshot(path=PICTURES / "waiting.png")
    page.goto(f"{line.path}?lang=ar")
    expect(page.locator("#position")).to_have_text("10")
    page.emulate_media(color_scheme="dark")
    page.screenshot(path=PICTURES / "waiting-arabic-dark.png")


def _console(site: Site, page: Page) -> None:
    line = crowd(site, 40, id="spring-concert", name="Spring concert", status="active", admission_rate=1.5)
    until = time.monotonic() + _FILLING_S
    while time.monotonic() < until:
        line.join(3)
        page.wait_for_timeout(500)
    page.goto("/admin")
    page.get_by_label("Admin key").fill(site.admin_key)
    page.get_by_label("Your name").fill("Ada")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Spring concert").click()
    expect(page.locator("canvas").first).to_be_visible()
    page.wait_for_timeout(4_000)
    page.screenshot(path=PICTURES / "console.png")


if __name__ == "__main__":
    main()
