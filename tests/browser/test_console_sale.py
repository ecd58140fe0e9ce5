"""The console while a sale runs: a queue made there fills and empties, and the charts follow."""

import subprocess
import sys

from playwright.sync_api import Page, expect

from tests.support.browser import screenshot, wait_until
from tests.support.console import figure, said, shows, sign_in
from tests.support.site import Site

VISITORS = 60
QUICK = {"heartbeat_interval_seconds": 2, "heartbeat_timeout_seconds": 6, "session_timeout_seconds": 30}


def waiting(page: Page) -> int:
    """How many wait, as the screen says."""
    text = figure(page, "Waiting").inner_text().partition("of")[0]
    return int("".join(letter for letter in text if letter.isdecimal()))


def has_joined(visited: Site) -> bool:
    """Whether the history, and so the charts, knows of somebody who joined."""
    history = visited.admin("GET", "/queues/the-sale/history", params={"span": "15m"}).json()
    return any(point["joined_per_second"] > 0 for point in history["points"])


def test_a_sale_is_watched_from_the_making_of_its_queue_to_its_end(page: Page, visited: Site) -> None:
    sign_in(page, visited, "#/new")
    page.get_by_label("Id", exact=True).fill("the-sale")
    page.get_by_label("Where people go when they are let in").fill("https://shop.example/")
    page.get_by_label("Admission rate").fill("0.5")
    page.get_by_role("button", name="Create the queue").click()
    shows(said(page), "The queue the-sale was created.")
    assert visited.admin("PATCH", "/queues/the-sale", QUICK).status_code == 200
    rehearsal = [
        sys.executable,
        "-m",
        "wr",
        "rehearse",
        "--url",
        visited.url,
        "--admin-key",
        visited.admin_key,
    ]
    wishes = ["--queue", "the-sale", "--visitors", str(VISITORS), "--join-rate", "3"]
    with subprocess.Popen([*rehearsal, *wishes], stdout=subprocess.PIPE, text=True) as sale:
        try:
            wait_until(page, lambda: waiting(page) > 10, "the line grows on the screen", seconds=30)
            page.get_by_label("Admission rate").fill("4")
            shows(page.get_by_role("main"), "At 4/s")
            page.get_by_role("button", name="Save changes").click()
            wait_until(
                page,
                lambda: visited.admin("GET", "/queues/the-sale").json()["admission_rate"] == 4,
                "the new rate is set",
            )
            wait_until(page, lambda: has_joined(visited), "the history knows of it", seconds=40)
            expect(page.locator("canvas").first).to_be_visible()
            wait_until(page, lambda: waiting(page) == 0, "the line is let in on the screen", seconds=90)
            screenshot(page, "console-sale")
            told, _ = sale.communicate(timeout=120)
        finally:
            sale.kill()
    assert sale.returncode is not None
    assert "No promise was broken" in told
