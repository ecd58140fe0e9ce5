"""The console when things go wrong: the store or the server is away, the limit is reached, nobody looks."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import Watch, wait_until
from tests.support.console import PATIENCE_MS, figure, has_gone, open_queue, shows, sign_in
from tests.support.site import Site

TROUBLE = "#trouble"


@pytest.fixture(scope="module")
def visited_settings() -> dict[str, str]:
    return {"limit_admin": "100/60"}


@contextmanager
def frozen_store(site: Site) -> Iterator[None]:
    """Have the embedded store hang for the block."""
    pid = int((Path(site.engine.url.removeprefix("unix://")).parent / "store.lock").read_text())
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_while_the_store_is_away_the_last_figures_stay_with_their_age(
    page: Page, visited: Site, watch: Watch
) -> None:
    queue_id = visited.make_queue(status="paused")
    visited.join(queue_id)
    open_queue(page, visited, queue_id)
    shows(figure(page, "Waiting"), "1 of")
    with frozen_store(visited):
        shows(page.locator(TROUBLE), "The store is unreachable. No visitors are let in. Places are kept.")
        shows(page.locator(TROUBLE), "The figures are from")
        shows(figure(page, "Waiting"), "1 of")
    has_gone(page.locator(TROUBLE).get_by_text("The store is unreachable"))
    watch.expect("status of 503")


def test_a_server_that_cannot_be_reached_is_said_and_asked_again(
    page: Page, visited: Site, watch: Watch
) -> None:
    sign_in(page, visited)
    page.context.set_offline(True)
    shows(page.locator(TROUBLE), "The server is unreachable.")
    page.context.set_offline(False)
    has_gone(page.locator(TROUBLE).get_by_text("The server is unreachable"))
    watch.expect("ERR_INTERNET_DISCONNECTED")


LEAVING = """
window.away = false;
Object.defineProperty(document, "hidden", { get: () => window.away });
window.turn = (away) => {
  window.away = away;
  document.dispatchEvent(new Event("visibilitychange"));
};
const ask = window.fetch;
window.fetch = (...what) => {
  const answer = ask(...what);
  if (window.leaving) window.turn(true);
  return answer;
};
"""


@pytest.mark.parametrize("leave", ["window.turn(true)", "window.leaving = true"], ids=["between", "during"])
def test_nothing_is_asked_while_nobody_looks(page: Page, visited: Site, leave: str) -> None:
    page.add_init_script(LEAVING)
    sign_in(page, visited)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    wait_until(page, lambda: asked, "figures are asked for")
    page.evaluate(leave)
    wait_until(page, lambda: page.evaluate("window.away"), "nobody looks")
    page.wait_for_timeout(200)
    asked.clear()
    # A little more than the three seconds after which the next figures would be due.
    page.wait_for_timeout(4000)
    assert asked == []
    page.evaluate("window.leaving = false; window.turn(false)")
    wait_until(page, lambda: asked, "figures are asked for at once", seconds=2)


# The last one here: afterwards the limit is used up.
def use_up_the_limit(page: Page, site: Site) -> None:
    """Call as an operator until the limit is reached, in a window that lasts longer than is looked at."""
    left_s = int(site.admin("GET", "/queues").headers["x-ratelimit-reset"]) - time.time()
    if left_s < 20:
        page.wait_for_timeout(left_s * 1000 + 500)
    while site.admin("GET", "/queues").status_code != 429:
        pass


def test_a_limit_that_is_reached_is_waited_for(page: Page, visited: Site, watch: Watch) -> None:
    sign_in(page, visited)
    use_up_the_limit(page, visited)
    shows(page.locator(TROUBLE), "The limit on admin calls is reached. The console tries again in")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(4000)
    assert asked == [], "it is not asked again before the server says"
    watch.expect("status of 429")


def test_somebody_at_the_door_hears_of_the_limit_too(page: Page, visited: Site, watch: Watch) -> None:
    while visited.admin("GET", "/queues").status_code != 429:
        pass
    page.goto("/admin")
    page.get_by_label("Admin key").fill(visited.admin_key)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator(".form-error").first).to_contain_text("Try again in", timeout=PATIENCE_MS)
    watch.expect("status of 429")
