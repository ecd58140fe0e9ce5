"""The waiting page while the network is gone: how long the place is kept, and whether it was."""

import json
import re

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from tests.browser.waiting import at_position, crowd, shows, texts
from tests.support.browser import Watch, axe, screenshot, wait_until
from tests.support.site import Site

AT_ONCE = "Math.random = () => 0;"
"""Every pause is as short as it can be."""
LISTEN = """() => {
  window.said = [];
  const voice = document.getElementById("announcement");
  const seen = new MutationObserver(() => said.push(voice.textContent));
  seen.observe(voice, { childList: true, characterData: true, subtree: true });
}"""


def kept(page: Page, why: str) -> int:
    """The seconds that the page says the place is still kept for; 0 while it does not."""
    form = re.escape(texts()["still.seconds"]["other"]).replace(r"\{n\}", r"(\d+)")
    found = re.fullmatch(f"{re.escape(texts()[why])}\n{form}", page.locator("#notice").inner_text())
    return int(found[1]) if found else 0


def test_offline_the_page_counts_how_long_the_place_is_kept_and_says_once_that_it_was(
    page: Page, context: BrowserContext, visited: Site, watch: Watch
) -> None:
    watch.expect("ERR_INTERNET_DISCONNECTED")
    line = crowd(visited, 2)
    page.goto(line.path)
    at_position(page, 3)
    page.evaluate(LISTEN)
    context.set_offline(True)
    wait_until(page, lambda: kept(page, "offline"), "it says how long the place is kept")
    first = kept(page, "offline")
    assert 40 < first <= 60
    # What held as long as the page was connected is not said any more.
    expect(page.locator("#headline")).to_have_text(texts()["away"])
    assert page.title().startswith(texts()["away"])
    for what in ("explanation", "next", "keeps"):
        expect(page.locator(f"#{what}")).to_be_hidden()
    expect(page.locator("#position")).to_have_text("3")
    wait_until(page, lambda: 0 < kept(page, "offline") <= first - 2, "it counts down")
    wait_until(page, lambda: watch.complaints, "it tries, in vain")
    axe(page)
    screenshot(page, "waiting-offline")
    line.leave(1)
    context.set_offline(False)
    at_position(page, 2)
    expect(page.locator("#notice")).to_have_text(texts()["back"])
    shows(page, "paused")
    expect(page.locator("#keeps")).to_be_visible()
    assert line.waiting == 2
    # Not each second, to those who listen: once how long, once that it is over.
    offline, back = page.evaluate("said")
    assert offline.startswith(texts()["offline"])
    assert back == texts()["back"]


def test_when_the_time_is_over_the_page_says_that_the_place_may_be_lost_and_does_not_claim_that_it_is(
    page: Page, context: BrowserContext, visited: Site, watch: Watch
) -> None:
    watch.expect("ERR_INTERNET_DISCONNECTED")
    page.add_init_script(AT_ONCE)
    page.clock.install()
    line = crowd(visited, 1)
    page.goto(line.path)
    at_position(page, 2)
    page.evaluate(LISTEN)
    context.set_offline(True)
    wait_until(page, lambda: kept(page, "offline"), "it says how long the place is kept")
    page.clock.fast_forward(61_000)
    expect(page.locator("#notice")).to_have_text(f"{texts()['offline']}\n{texts()['maybe']}")
    assert [text.endswith(texts()["maybe"]) for text in page.evaluate("said")] == [False, True]
    wait_until(page, lambda: watch.complaints, "it tries, in vain")
    screenshot(page, "waiting-perhaps-lost")
    # For the server it was a moment: the place is there.
    context.set_offline(False)
    expect(page.locator("#notice")).to_have_text(texts()["back"])
    at_position(page, 2)
    assert line.waiting == 2
    page.clock.fast_forward(21_000)
    expect(page.locator("#notice")).to_be_hidden()


def test_a_place_that_was_lost_meanwhile_is_said_and_can_be_taken_anew(
    page: Page, context: BrowserContext, visited: Site, watch: Watch
) -> None:
    for complaint in ("410", "ERR_INTERNET_DISCONNECTED"):
        watch.expect(complaint)
    page.add_init_script(AT_ONCE)
    line = crowd(visited, heartbeat_interval_seconds=1, heartbeat_timeout_seconds=2)
    page.goto(line.path)
    at_position(page, 1)
    context.set_offline(True)
    expect(page.locator("#notice")).to_have_text(f"{texts()['offline']}\n{texts()['maybe']}")
    wait_until(page, lambda: watch.complaints and line.waiting == 0, "it tries, and the place is lost")
    context.set_offline(False)
    shows(page, "lost")
    expect(page.locator("#explanation")).to_be_visible()
    expect(page.locator("#notice")).to_be_hidden()
    expect(page.locator("#announcement")).to_contain_text(texts()["lost.headline"])
    page.get_by_role("button", name=texts()["again"]).click()
    at_position(page, 1)


def test_a_server_that_does_not_answer_is_not_called_an_offline_browser(
    page: Page, visited: Site, watch: Watch
) -> None:
    watch.expect("ERR_CONNECTION_REFUSED")
    page.add_init_script(AT_ONCE)
    page.clock.install()
    page.add_init_script("window.WebSocket = class { constructor() { throw new Error('blocked'); } };")
    line = crowd(visited, 1)
    page.route("**/events", lambda route: route.abort("connectionrefused"))
    page.goto(line.path)
    at_position(page, 2)
    page.route("**/heartbeat", lambda route: route.abort("connectionrefused"))
    page.clock.fast_forward(6_000)
    wait_until(page, lambda: kept(page, "unreachable"), "it says how long the place is kept")
    page.clock.fast_forward(61_000)
    expect(page.locator("#notice")).to_have_text(f"{texts()['unreachable']}\n{texts()['maybe.unreachable']}")
    page.unroute("**/heartbeat")
    expect(page.locator("#notice")).to_have_text(texts()["back"])
    at_position(page, 2)


def test_while_places_are_put_back_the_page_says_so(page: Page, visited: Site, watch: Watch) -> None:
    watch.expect("ERR_FAILED")
    line = crowd(visited, 1, status="active", max_active_users=1, admission_rate=0.001)
    page.add_init_script(AT_ONCE)
    page.add_init_script("window.WebSocket = class { constructor() { throw new Error('blocked'); } };")
    page.route("**/events", lambda route: route.abort())
    page.clock.install()
    page.goto(line.path)
    shows(page, "waiting")

    def recovers(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, body=json.dumps({**answer.json(), "recovering": True}))

    page.route("**/heartbeat", recovers)
    page.clock.fast_forward(6_000)
    shows(page, "recovering")
    expect(page.locator("#wait")).to_have_text(texts()["wait.unknown"])
    expect(page.locator("#announcement")).to_contain_text(texts()["recovering.headline"])
    expect(page.locator("#place")).to_be_visible()
    axe(page)
    screenshot(page, "waiting-recovering")
    page.unroute("**/heartbeat")
    page.clock.fast_forward(6_000)
    shows(page, "waiting")


@pytest.mark.parametrize("has_moved", [False, True])
def test_a_stream_that_says_nothing_is_proven_by_a_heartbeat_in_good_time(
    page: Page, visited: Site, has_moved: bool
) -> None:
    page.add_init_script(
        """
        window.opened = 0;
        window.heard = 0;
        window.isMute = false;
        window.WebSocket = class extends WebSocket {
          constructor(...given) {
            super(...given);
            const number = ++opened;
            this.addEventListener("message", (event) => {
              heard += 1;
              if (isMute && number === 1) event.stopImmediatePropagation();
            });
          }
        };
        """
    )
    page.clock.install()
    line = crowd(visited, 2)
    page.goto(line.path)
    at_position(page, 3)
    wait_until(page, lambda: page.evaluate("heard"), "it is live")
    beats: list[str] = []
    page.on("request", lambda request: request.url.endswith("/heartbeat") and beats.append(request.url))
    page.evaluate("isMute = true")
    if has_moved:
        line.leave(1)
    page.clock.fast_forward(31_000)
    wait_until(page, lambda: beats, "it asks, half a heartbeat timeout later")
    at_position(page, 2 if has_moved else 3)
    if has_moved:
        wait_until(page, lambda: page.evaluate("opened") == 2, "it opens another stream")
    # Nothing had been missed: the stream stays.
    else:
        page.clock.fast_forward(31_000)
        wait_until(page, lambda: len(beats) == 2, "it asks again")
        assert page.evaluate("opened") == 1
