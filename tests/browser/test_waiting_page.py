"""GET /wait/{queue_id} in a browser that runs scripts: from the first look to the site behind."""

from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.waiting import at_position, crowd, shows, texts
from tests.support import plain_http
from tests.support.browser import Watch, screenshot, wait_until
from tests.support.site import Site
from tests.support.target_site import TargetSite


def test_a_visitor_joins_moves_up_is_let_in_and_lands_on_the_site(
    page: Page, visited: Site, target: TargetSite, watch: Watch
) -> None:
    watch.allow(target.url)
    line = crowd(visited, 3, target_url=f"{target.url}/tickets?a=1&wr_token=old", max_active_users=1)
    page.goto(line.path)
    at_position(page, 4)
    screenshot(page, "waiting-paused")
    line.leave(2)
    at_position(page, 2)
    assert page.title().startswith("(2) ")
    line.change(status="active")
    shows(page, "waiting")
    at_position(page, 1)
    expect(page.locator("#wait")).not_to_have_text(texts()["wait.unknown"])
    screenshot(page, "waiting-first")
    line.change(max_active_users=10)
    shows(page, "admitted")
    assert page.title().startswith(texts()["admitted.headline"])
    expect(page.locator("#announcement")).to_contain_text(texts()["admitted.headline"])
    page.wait_for_url(f"{target.url}/**")
    expect(page.get_by_role("heading")).to_have_text("You are in")
    query = parse_qs(urlsplit(page.url).query)
    (token,) = query["wr_token"]
    assert query["a"] == ["1"]
    claims = plain_http.get(f"{visited.url}/.well-known/jwks.json").json()
    assert claims["keys"]
    session = visited.call("GET", f"/sessions/{_subject(token)}", token)
    assert session.json()["status"] == "active"


def _subject(token: str) -> str:
    return str(jwt.decode(token, options={"verify_signature": False})["sub"])


def test_the_place_survives_a_reload(page: Page, visited: Site) -> None:
    line = crowd(visited, 1)
    page.goto(line.path)
    at_position(page, 2)
    line.join(1)
    for _ in range(3):
        page.reload()
        at_position(page, 2)
    assert line.waiting == 3


def test_a_second_tab_has_the_same_place_even_when_both_open_at_once(
    context: BrowserContext, visited: Site
) -> None:
    line = crowd(visited, 1)
    tabs = [context.new_page() for _ in range(3)]
    for tab in tabs:
        tab.goto(line.path, wait_until="commit")
    for tab in tabs:
        at_position(tab, 2)
    assert line.waiting == 2
    other = crowd(visited)
    joined = tabs[0].evaluate(
        """async (queue) => {
          const { WaitingRoom } = await import("/wr.js");
          const rooms = [1, 2, 3].map(() => new WaitingRoom({ queue }));
          await Promise.all(rooms.map((room) => room.join()));
          return rooms.map((room) => room.place.position);
        }""",
        other.queue_id,
    )
    assert (joined, other.waiting) == ([1, 1, 1], 1)


def test_no_script_of_the_page_can_read_the_token(page: Page, context: BrowserContext, visited: Site) -> None:
    line = crowd(visited)
    page.goto(line.path)
    at_position(page, 1)
    (cookie,) = [each for each in context.cookies() if each["name"] == f"wr-{line.queue_id}"]
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Lax"
    seen = page.evaluate("document.cookie + JSON.stringify({...localStorage, ...sessionStorage})")
    assert cookie["value"] not in seen
    assert "eyJ" not in seen


@pytest.mark.parametrize(
    ("blocked", "transport"), [((), "websocket"), (("ws",), "events"), (("ws", "sse"), "polling")]
)
def test_news_comes_by_whatever_way_is_open(
    page: Page, visited: Site, watch: Watch, blocked: tuple[str, ...], transport: str
) -> None:
    line = crowd(visited, 2, heartbeat_interval_seconds=1)
    if "ws" in blocked:
        page.add_init_script("window.WebSocket = class { constructor() { throw new Error('blocked'); } };")
    if "sse" in blocked:
        watch.expect("ERR_FAILED")
        page.route("**/events", lambda route: route.abort())
    opened: list[str] = []
    page.on("request", lambda request: opened.append(urlsplit(request.url).path))
    page.on("websocket", lambda socket: opened.append(urlsplit(socket.url).path))
    page.goto(line.path)
    at_position(page, 3)
    line.leave(1)
    at_position(page, 2)
    line.leave(1)
    at_position(page, 1)
    events = f"/api/v1/queues/{line.queue_id}/events"
    assert (f"/ws/queues/{line.queue_id}" in opened) == (transport == "websocket")
    assert (events in opened) == (transport != "websocket")
    heartbeat = f"/api/v1/queues/{line.queue_id}/heartbeat"
    if transport == "polling":
        wait_until(page, lambda: opened.count(heartbeat) > 6, "it asks again and again")
        assert opened.count(events) == 2  # Tried twice, and left alone then.
    else:
        assert opened.count(heartbeat) <= 2


def test_the_progress_bar_only_moves_forward(page: Page, visited: Site) -> None:
    line = crowd(visited, 5, open_priority=3)
    page.goto(line.path)
    at_position(page, 6)
    line.leave(4)
    at_position(page, 2)
    progress = page.locator("#progress")
    reached = float(progress.evaluate("bar => bar.value"))
    assert reached > 50
    line.join(3, priority=3)
    at_position(page, 5)
    assert progress.evaluate("bar => bar.value") == reached
    page.reload()
    at_position(page, 5)
    assert progress.evaluate("bar => bar.value") == reached


def test_a_pause_and_its_end_are_told_at_once(page: Page, visited: Site) -> None:
    line = crowd(visited, 2, status="active", max_active_users=1, admission_rate=0.001)
    page.goto(line.path)
    shows(page, "waiting")
    line.change(status="paused")
    shows(page, "paused")
    line.change(status="maintenance")
    shows(page, "held")
    expect(page.locator("#announcement")).to_contain_text(texts()["held.headline"])
    line.change(status="active")
    shows(page, "waiting")


def test_who_listens_is_not_told_of_every_step(page: Page, visited: Site) -> None:
    line = crowd(visited, 9)
    page.goto(line.path)
    at_position(page, 10)
    page.evaluate(
        """() => {
          window.said = [];
          const voice = document.getElementById("announcement");
          const seen = new MutationObserver(() => said.push(voice.textContent));
          seen.observe(voice, { childList: true, characterData: true, subtree: true });
        }"""
    )
    for position in range(9, 4, -1):
        line.leave(1)
        at_position(page, position)
    assert page.evaluate("said") == []
    line.site.admin("POST", f"/queues/{line.queue_id}/flush")
    shows(page, "closed")
    assert len(page.evaluate("said")) == 1


def test_leaving_asks_first_and_reloading_does_not_join_again(page: Page, visited: Site) -> None:
    line = crowd(visited)
    page.goto(line.path)
    at_position(page, 1)
    leave = page.get_by_role("button", name=texts()["leave"])
    leave.click()
    page.get_by_role("button", name=texts()["leave.no"]).click()
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert line.waiting == 1
    leave.click()
    screenshot(page, "waiting-leaving")
    page.get_by_role("button", name=texts()["leave.yes"]).click()
    shows(page, "left")
    assert line.waiting == 0
    page.reload()
    shows(page, "left")
    page.get_by_role("button", name=texts()["again"]).click()
    at_position(page, 1)
    assert line.waiting == 1


def test_a_new_place_begins_at_nothing_however_far_the_last_one_had_come(page: Page, visited: Site) -> None:
    line = crowd(visited, 5)
    page.goto(line.path)
    at_position(page, 6)
    line.leave(4)
    at_position(page, 2)
    page.get_by_role("button", name=texts()["leave"]).click()
    page.get_by_role("button", name=texts()["leave.yes"]).click()
    shows(page, "left")
    line.join(8)
    page.get_by_role("button", name=texts()["again"]).click()
    at_position(page, 10)
    assert page.locator("#progress").evaluate("bar => bar.value") == 0


def test_the_question_whether_to_leave_goes_when_it_is_ones_turn(
    page: Page, visited: Site, target: TargetSite, watch: Watch
) -> None:
    watch.allow(target.url)
    line = crowd(visited, target_url=f"{target.url}/")
    page.goto(line.path)
    at_position(page, 1)
    page.get_by_role("button", name=texts()["leave"]).click()
    expect(page.get_by_role("dialog")).to_be_visible()
    line.change(status="active")
    shows(page, "admitted")
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.wait_for_url(f"{target.url}/**")


def test_a_tab_whose_place_was_given_up_in_another_says_so(
    context: BrowserContext, visited: Site, watch: Watch
) -> None:
    line = crowd(visited)
    tabs = [context.new_page(), context.new_page()]
    for tab in tabs:
        tab.goto(line.path)
        at_position(tab, 1)
    tabs[0].get_by_role("button", name=texts()["leave"]).click()
    tabs[0].get_by_role("button", name=texts()["leave.yes"]).click()
    shows(tabs[1], "left")


def test_who_only_polls_learns_the_true_reason_of_an_end(page: Page, visited: Site, watch: Watch) -> None:
    for complaint in ("ERR_FAILED", "410"):
        watch.expect(complaint)
    line = crowd(visited, heartbeat_interval_seconds=1)
    page.add_init_script("window.WebSocket = class { constructor() { throw new Error('blocked'); } };")
    page.route("**/events", lambda route: route.abort())
    page.goto(line.path)
    at_position(page, 1)
    wait_until(page, lambda: len(watch.complaints) == 2, "it has given streams up")
    page.wait_for_timeout(1_500)
    line.site.admin("POST", f"/queues/{line.queue_id}/flush")
    shows(page, "closed")


def test_a_proxy_that_opens_websockets_and_drops_them_is_found_out(
    page: Page, visited: Site, watch: Watch
) -> None:
    line = crowd(visited, 1)
    page.add_init_script(
        """
        window.opened = 0;
        window.WebSocket = class extends EventTarget {
          constructor() {
            super();
            opened += 1;
            this.readyState = 1;
            setTimeout(() => this.onopen?.(), 10);
            setTimeout(() => this.onclose?.({ code: 1006 }), 30);
          }
          close() {}
        };
        """
    )
    page.goto(line.path)
    at_position(page, 2)
    line.leave(1)
    at_position(page, 1)
    assert page.evaluate("opened") == 2


def test_a_lost_network_before_there_is_a_place_is_no_lost_place(
    page: Page, context: BrowserContext, visited: Site, watch: Watch
) -> None:
    watch.expect("503")
    line = crowd(visited, 1, max_queue_size=1)
    page.goto(line.path)
    shows(page, "full")
    context.set_offline(True)
    context.set_offline(False)
    line.change(max_queue_size=10)
    shows(page, "paused")
    at_position(page, 2)


def test_trying_again_in_vain_says_so_again(
    page: Page, context: BrowserContext, visited: Site, watch: Watch
) -> None:
    watch.expect("ERR_FAILED")
    line = crowd(visited)
    page.route("**/enqueue", lambda route: route.abort())
    page.goto(line.path)
    shows(page, "unavailable")
    page.get_by_role("button", name=texts()["retry"]).click()
    shows(page, "unavailable")
    page.unroute("**/enqueue")
    page.get_by_role("button", name=texts()["retry"]).click()
    at_position(page, 1)


def test_leaving_while_one_joins_leaves_nothing_behind(page: Page, visited: Site) -> None:
    line = crowd(visited)
    page.goto("/")
    left = page.evaluate(
        """async (queue) => {
          const { WaitingRoom } = await import("/wr.js");
          const room = new WaitingRoom({ queue });
          room.join();
          return [await room.leave(), Object.keys(localStorage)];
        }""",
        line.queue_id,
    )
    assert (left, line.waiting) == ([True, []], 0)


def test_joining_twice_is_joining_once(page: Page, visited: Site) -> None:
    line = crowd(visited)
    page.goto("/")
    told = page.evaluate(
        """async (queue) => {
          const { WaitingRoom } = await import("/wr.js");
          const room = new WaitingRoom({ queue });
          const told = [];
          for (const type of ["joined", "connection"]) room.addEventListener(type, () => told.push(type));
          const live = new Promise((done) => room.addEventListener("connection", done));
          await Promise.all([room.join(), room.join()]);
          await live;
          return told;
        }""",
        line.queue_id,
    )
    assert (told, line.waiting) == (["joined", "connection"], 1)


def test_everything_can_be_done_with_the_keyboard(page: Page, visited: Site) -> None:
    line = crowd(visited)
    page.goto(line.path)
    at_position(page, 1)
    for name in ("sound", "notify", "leave"):
        page.keyboard.press("Tab")
        expect(page.locator(f"#{name}")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    expect(page.get_by_role("button", name=texts()["leave.no"])).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#leave")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    shows(page, "left")
    expect(page.locator("#headline")).to_be_focused()


def test_a_place_is_left_once_though_the_browser_tells_late_of_an_earlier_answer(
    page: Page, visited: Site
) -> None:
    line = crowd(visited)
    page.goto(line.path)
    at_position(page, 1)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.method))
    page.evaluate(
        """() => {
          const question = document.getElementById("leaving");
          question.returnValue = "yes";
          for (let told = 0; told < 2; told += 1) question.dispatchEvent(new Event("close"));
        }"""
    )
    shows(page, "left")
    # Whatever else would leave stands in line for the same lock.
    page.evaluate("name => navigator.locks.request(name, () => true)", f"wr:{line.queue_id}")
    assert asked.count("DELETE") == 1


def test_an_expired_place_is_said_and_can_be_taken_anew(page: Page, visited: Site, watch: Watch) -> None:
    for complaint in ("410", "ERR_FAILED"):
        watch.expect(complaint)
    line = crowd(visited, heartbeat_interval_seconds=1, heartbeat_timeout_seconds=2)
    page.add_init_script("window.WebSocket = class { constructor() { throw new Error('blocked'); } };")
    page.route("**/events", lambda route: route.abort())
    page.clock.install()
    page.goto(line.path)
    at_position(page, 1)
    wait_until(page, lambda: len(watch.complaints) == 2, "it has given streams up")
    # A computer that sleeps: nothing runs, and no connection is seen to break.
    page.clock.pause_at(page.evaluate("Date.now()"))
    wait_until(page, lambda: line.waiting == 0, "the place expires")
    page.clock.resume()
    shows(page, "expired")
    screenshot(page, "waiting-expired")
    page.get_by_role("button", name=texts()["again"]).click()
    at_position(page, 1)


def test_a_page_opened_after_its_place_expired_says_that_this_is_a_new_one(
    page: Page, visited: Site, watch: Watch
) -> None:
    watch.expect("410")
    line = crowd(visited, heartbeat_interval_seconds=1, heartbeat_timeout_seconds=2)
    page.goto(line.path)
    at_position(page, 1)
    page.goto("/")
    wait_until(page, lambda: line.waiting == 0, "the place expires")
    page.goto(line.path)
    at_position(page, 1)
    expect(page.locator("#notice")).to_have_text(texts()["fresh"])


@pytest.mark.parametrize(
    ("settings", "state", "status"),
    [
        ({"status": "maintenance"}, "maintenance", 503),
        ({"max_queue_size": 1}, "full", 503),
    ],
)
def test_who_cannot_join_is_told_why_and_joins_as_soon_as_it_is_possible(
    page: Page, visited: Site, watch: Watch, settings: dict[str, object], state: str, status: int
) -> None:
    watch.expect(str(status))
    line = crowd(visited, 0 if state == "maintenance" else 1, **settings)
    page.goto(line.path)
    shows(page, state)
    screenshot(page, f"waiting-{state}")
    line.change(status="paused", max_queue_size=100)
    shows(page, "paused")


def test_an_unknown_line_says_so(page: Page, watch: Watch) -> None:
    watch.expect("404")
    page.goto("/wait/no-such-line")
    shows(page, "unknown")
    screenshot(page, "waiting-unknown")


def test_a_session_that_ended_is_told_apart_from_a_place_that_expired(
    page: Page, visited: Site, target: TargetSite, watch: Watch
) -> None:
    watch.allow(target.url)
    watch.expect("410")
    line = crowd(visited, status="active", target_url=f"{target.url}/", session_timeout_seconds=1)
    page.goto(line.path)
    page.wait_for_url(f"{target.url}/**")
    token = parse_qs(urlsplit(page.url).query)["wr_token"][0]
    session = f"/sessions/{_subject(token)}"
    wait_until(page, lambda: visited.call("GET", session, token).status_code == 410, "the session ends")
    line.change(status="paused")
    page.goto(line.path)
    at_position(page, 1)
    expect(page.locator("#notice")).to_have_text(texts()["fresh"])


@pytest.mark.context(permissions=["notifications"])
@pytest.mark.parametrize("is_wished", [True, False])
def test_a_sound_and_a_notification_come_only_to_those_who_asked(
    page: Page, visited: Site, target: TargetSite, watch: Watch, is_wished: bool
) -> None:
    watch.allow(target.url)
    line = crowd(visited, target_url=f"{target.url}/")
    page.add_init_script(
        """
        window.heard = [];
        const start = OscillatorNode.prototype.start;
        OscillatorNode.prototype.start = function (...when) {
          heard.push("tone");
          return start.apply(this, when);
        };
        window.Notification = class extends Notification {
          constructor(title, options) {
            super(title, options);
            heard.push(`${title}: ${options.body}`);
          }
        };
        """
    )
    page.goto(line.path)
    at_position(page, 1)
    assert page.evaluate("heard") == []
    if is_wished:
        page.get_by_label(texts()["sound"]).check()
        page.get_by_label(texts()["notify"]).check()
        assert page.evaluate("heard") == []
    line.change(status="active", name="The sale")
    shows(page, "admitted")
    everything = ["tone", "tone", f"{texts()['admitted.headline']}: {line.queue_id}"]
    assert page.evaluate("heard") == (everything if is_wished else [])


def test_a_browser_that_allows_no_notifications_is_told_so(page: Page, visited: Site) -> None:
    line = crowd(visited)
    page.goto(line.path)
    at_position(page, 1)
    page.get_by_label(texts()["notify"]).click()
    expect(page.locator("#notify-answer")).to_have_text(texts()["notify.blocked"])
    expect(page.get_by_label(texts()["notify"])).not_to_be_checked()


def test_places_in_two_lines_are_two(page: Page, visited: Site) -> None:
    lines = [crowd(visited, 1), crowd(visited, 3)]
    for line, position in ((lines[0], 2), (lines[1], 4), (lines[0], 2)):
        page.goto(line.path)
        at_position(page, position)


def test_people_in_one_office_have_places_of_their_own(
    open_context: Callable[..., BrowserContext], visited: Site
) -> None:
    line = crowd(visited)
    for position in (1, 2, 3):
        page = open_context().new_page()
        page.goto(line.path)
        at_position(page, position)
