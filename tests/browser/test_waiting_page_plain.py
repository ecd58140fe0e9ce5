"""GET /wait/{queue_id} in a browser that runs no scripts: the page joins, refreshes, and keeps its place."""

import re
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.waiting import CODES, at_position, crowd, shows, texts
from tests.support import plain_http
from tests.support.browser import Watch, axe, screenshot, wait_until
from tests.support.site import Site
from tests.support.target_site import TargetSite

pytestmark = pytest.mark.context(java_script_enabled=False)
PLAIN = {"params": {"plain": "1"}}


def test_a_visitor_joins_moves_up_is_let_in_and_lands_on_the_site(
    page: Page, visited: Site, target: TargetSite, watch: Watch
) -> None:
    watch.allow(target.url)
    line = crowd(visited, 2, target_url=f"{target.url}/tickets?a=1#seats", heartbeat_interval_seconds=1)
    page.goto(line.path)
    at_position(page, 3)
    screenshot(page, "waiting-plain")
    line.leave(1)
    at_position(page, 2)  # It refreshes by itself.
    line.change(status="active")
    page.wait_for_url(f"{target.url}/tickets**")
    parts = urlsplit(page.url)
    assert (parse_qs(parts.query)["a"], parts.fragment) == (["1"], "seats")
    assert len(parse_qs(parts.query)["wr_token"]) == 1


def test_the_place_survives_a_reload_and_a_second_tab(
    page: Page, context: BrowserContext, visited: Site
) -> None:
    line = crowd(visited, 1)
    page.goto(line.path)
    at_position(page, 2)
    page.reload()
    at_position(page, 2)
    other = context.new_page()
    other.goto(line.path)
    at_position(other, 2)
    assert line.waiting == 2


def test_leaving_gives_the_place_up_and_does_not_join_again(page: Page, visited: Site) -> None:
    line = crowd(visited)
    page.goto(line.path)
    at_position(page, 1)
    page.get_by_role("button", name=texts()["leave"]).click()
    shows(page, "left")
    assert line.waiting == 0
    page.reload()
    shows(page, "left")
    assert line.waiting == 0
    page.get_by_role("link", name=texts()["again"]).click()
    at_position(page, 1)


def test_an_expired_place_is_said_and_not_taken_anew_unasked(page: Page, visited: Site) -> None:
    line = crowd(visited, heartbeat_interval_seconds=1, heartbeat_timeout_seconds=2)
    page.goto(line.path)
    at_position(page, 1)
    page.goto("/")
    wait_until(page, lambda: line.waiting == 0, "the place expires")
    page.goto(line.path)
    shows(page, "expired")
    page.get_by_role("link", name=texts()["again"]).click()
    at_position(page, 1)


@pytest.mark.parametrize("code", CODES)
def test_every_language_is_spoken(page: Page, visited: Site, code: str) -> None:
    line = crowd(visited, 1, status="active", max_active_users=1, admission_rate=0.001)
    visited.admitted(line.queue_id, line.tokens[0])
    line.join(1)
    page.goto(f"{line.path}?lang={code}")
    shows(page, "waiting", code)
    at_position(page, 2)
    expect(page.locator("#wait")).not_to_be_empty()
    text = page.locator("body").inner_text()
    assert not re.search(r"\{\w*\}|undefined|None", text)  # No value was left open.


def test_the_bar_only_moves_forward(page: Page, visited: Site) -> None:
    line = crowd(visited, 5, open_priority=3)
    page.goto(line.path)
    at_position(page, 6)
    line.leave(4)
    page.reload()
    at_position(page, 2)
    reached = int(page.locator("#progress").get_attribute("value") or 0)
    assert reached > 50
    line.join(3, priority=3)
    page.reload()
    at_position(page, 5)
    assert page.locator("#progress").get_attribute("value") == str(reached)


def test_a_crowd_does_not_refresh_in_step(visited: Site) -> None:
    line = crowd(visited, heartbeat_interval_seconds=40, heartbeat_timeout_seconds=90)
    seconds = {
        int(plain_http.get(f"{visited.url}{line.path}", **PLAIN).headers["Refresh"]) for _ in range(30)
    }  # type: ignore[arg-type]
    assert len(seconds) > 5
    assert 24 <= min(seconds) <= max(seconds) <= 40


@pytest.mark.parametrize("headers", [{"Sec-Purpose": "prefetch"}, {"Purpose": "prefetch"}])
def test_a_browser_that_fetches_ahead_takes_no_place(visited: Site, headers: dict[str, str]) -> None:
    line = crowd(visited)
    assert plain_http.get(f"{visited.url}{line.path}", headers=headers, **PLAIN).status_code == 200  # type: ignore[arg-type]
    assert httpx.head(f"{visited.url}{line.path}", **PLAIN).status_code == 200  # type: ignore[arg-type]
    assert plain_http.get(f"{visited.url}{line.path}").status_code == 200
    assert line.waiting == 0


@pytest.mark.parametrize(
    ("settings", "people", "state"),
    [({"status": "maintenance"}, 0, "maintenance"), ({"max_queue_size": 1}, 1, "full")],
)
def test_who_cannot_join_is_told_why_and_tries_again(
    page: Page, visited: Site, watch: Watch, settings: dict[str, object], people: int, state: str
) -> None:
    watch.expect("503")
    line = crowd(visited, people, **settings)
    response = page.goto(f"{line.path}?plain=1")
    assert response is not None
    assert (response.status, 20 <= int(response.headers["refresh"]) <= 40) == (503, True)
    shows(page, state)


@pytest.mark.context(java_script_enabled=True)
def test_the_page_without_scripts_breaks_no_rule_of_accessibility(page: Page, visited: Site) -> None:
    line = crowd(visited, 1)
    page.goto(f"{line.path}?plain=1")
    at_position(page, 2)
    axe(page)
    assert page.evaluate("document.scripts.length") == 0
