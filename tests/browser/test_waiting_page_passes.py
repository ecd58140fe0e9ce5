"""GET /wait/{queue_id}: invitation links, and what a visitor is told that gets no place."""

import re
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import BrowserContext, Page, Request, expect

from tests.browser.waiting import CODES, Crowd, at_position, crowd, refusing, shows, texts
from tests.support.browser import Watch, axe, screenshot
from tests.support.passes import REFUSED_PASSES, SITE_SECRET, refused_pass
from tests.support.site import Site

_KEPT = "JSON.stringify({...localStorage, ...sessionStorage})"
REFUSALS = ("identity_taken", "too_many_places", "blocked", "pass_required")


@pytest.fixture(scope="module")
def visited_settings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    secret: Path = tmp_path_factory.mktemp("site") / "pass-secret"
    secret.write_text(SITE_SECRET)
    return {"pass_key": str(secret)}


def bad_pass(line: Crowd, reason: str) -> str:
    return refused_pass(line.site, line.queue_id, int(time.time() * 1000), reason)


def requests_of(page: Page) -> list[Request]:
    """Every request of the page from now on."""
    asked: list[Request] = []

    def note(request: Request) -> None:
        asked.append(request)

    page.on("request", note)
    return asked


def says(page: Page, state: str, code: str = "en") -> None:
    """The page says this state; what it says of a time is compared up to the time."""
    explanation = texts(code)[f"{state}.explanation"]
    expect(page.locator("#headline")).to_have_text(texts(code)[f"{state}.headline"])
    expected = re.escape(explanation).replace(r"\{time\}", r"[^{}]*\d\d[^{}]*")
    expect(page.locator("#explanation")).to_have_text(re.compile(f"^{expected}$"))


# ------------------------------------------------------------------ invitation links


def test_an_invitation_link_joins_with_its_priority_and_keeps_the_pass_nowhere(
    page: Page, context: BrowserContext, visited: Site
) -> None:
    line = crowd(visited, 2)
    given = line.invite(priority=3)
    page.goto("/")
    page.goto(f"{line.path}?lang=de&pass={given}&return=%2Fseats")
    at_position(page, 1)
    assert urlsplit(page.url).query == "lang=de&return=%2Fseats"
    assert given not in page.evaluate(_KEPT)
    assert given not in str(context.cookies())
    page.reload()
    at_position(page, 1)
    assert line.waiting == 3
    page.go_back()
    page.go_forward()
    at_position(page, 1)
    assert given not in page.url


def test_an_invitation_link_lifts_the_place_that_a_visitor_has_already(page: Page, visited: Site) -> None:
    line = crowd(visited, 2)
    page.goto(line.path)
    at_position(page, 3)
    page.goto(f"{line.path}?pass={line.invite(priority=3)}")
    at_position(page, 1)
    assert line.waiting == 3


def test_a_pass_that_has_given_no_place_yet_outlives_a_reload_and_another_language(
    page: Page, visited: Site, watch: Watch
) -> None:
    watch.expect("503")
    line = crowd(visited, 1, max_queue_size=1)
    given = line.invite(priority=3)
    page.goto(f"{line.path}?pass={given}")
    shows(page, "full")
    assert "pass=" not in page.url
    page.reload()
    shows(page, "full")
    page.get_by_label("Language").select_option("de")
    shows(page, "full", "de")
    assert "pass=" not in page.url
    line.change(max_queue_size=10)
    page.get_by_role("button", name=texts("de")["retry"]).click()
    at_position(page, 1)
    assert given not in page.evaluate(_KEPT)


def test_no_request_tells_another_address_of_the_pass(page: Page, visited: Site) -> None:
    line = crowd(visited)
    given = line.invite()
    asked = requests_of(page)
    page.goto(f"{line.path}?pass={given}")
    at_position(page, 1)
    page.wait_for_load_state("networkidle")
    first, *others = asked
    assert given in first.url
    assert others
    for request in others:
        headers = request.all_headers()
        assert given not in request.url
        assert given not in headers.get("referer", "")
        assert (headers.get("x-wr-pass") == given) == request.url.endswith("/enqueue")


@pytest.mark.context(java_script_enabled=False)
def test_an_invitation_link_joins_without_scripts_too(
    page: Page, context: BrowserContext, visited: Site
) -> None:
    line = crowd(visited, 2)
    given = line.invite(priority=3)
    asked = requests_of(page)
    page.goto(f"{line.path}?pass={given}&return=%2Fseats")
    at_position(page, 1)
    assert "pass" not in page.url
    assert given not in page.content() + str(context.cookies())
    assert all(given not in request.all_headers().get("referer", "") for request in asked)
    page.reload()
    at_position(page, 1)
    assert line.waiting == 3


def test_a_pass_that_does_not_count_leaves_the_place_and_the_page_says_so(
    page: Page, visited: Site, watch: Watch
) -> None:
    watch.expect("403")
    line = crowd(visited, 1)
    page.goto(line.path)
    at_position(page, 2)
    page.goto(f"{line.path}?pass={bad_pass(line, 'expired')}")
    at_position(page, 2)
    expect(page.locator("#notice")).to_contain_text(texts()["pass_expired.headline"])
    expect(page.locator("#notice")).to_contain_text(texts()["kept"])
    assert line.waiting == 2


def test_a_place_is_kept_alive_while_its_visitor_cannot_show_a_pass(
    page: Page, visited: Site, watch: Watch
) -> None:
    watch.expect("503")
    line = crowd(visited, 1)
    page.goto(line.path)
    at_position(page, 2)
    asked = requests_of(page)
    page.route("**/enqueue", lambda route: route.fulfill(status=503, json={"error": {"code": "X"}}))
    page.goto(f"{line.path}?pass={line.invite(priority=3)}")
    shows(page, "unavailable")
    heartbeats = [each for each in asked if each.url.endswith("/heartbeat")]
    assert len(heartbeats) == 1
    page.unroute("**/enqueue")
    page.get_by_role("button", name=texts()["retry"]).click()
    at_position(page, 1)


@pytest.mark.parametrize("is_scripted", [True, False])
def test_a_visitor_whose_pass_does_not_count_may_join_an_open_queue_without_it(
    open_context: Callable[..., BrowserContext], visited: Site, watch: Watch, is_scripted: bool
) -> None:
    watch.expect("403")
    line = crowd(visited, 1)
    page = open_context(java_script_enabled=is_scripted).new_page()
    page.goto(f"{line.path}?pass={bad_pass(line, 'expired')}")
    shows(page, "pass_expired")
    assert line.waiting == 1
    page.get_by_role("button" if is_scripted else "link", name=texts()["without"]).click()
    at_position(page, 2)
    assert "pass=" not in page.url
    page.reload()
    at_position(page, 2)


# ------------------------------------------------------------------ states


@pytest.mark.parametrize("reason", [*REFUSALS, *(f"pass_{reason}" for reason in REFUSED_PASSES)])
def test_each_refusal_is_told_by_the_page_and_by_the_page_without_scripts(
    page: Page, visited: Site, watch: Watch, reason: str
) -> None:
    status = {"identity_taken": 409, "too_many_places": 429}.get(reason, 403)
    watch.expect(str(status))
    page.set_viewport_size({"width": 320, "height": 640})
    line = refusing(visited, reason)
    query = f"pass={bad_pass(line, reason.removeprefix('pass_'))}" if reason not in REFUSALS else ""
    page.goto(f"{line.path}?plain=1&{query}")
    says(page, reason)
    axe(page)
    page.goto(f"{line.path}?{query}")
    says(page, reason)
    expect(page.locator("#announcement")).to_contain_text(texts()[f"{reason}.headline"])
    axe(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    screenshot(page, f"waiting-320-{reason}")
    shown = {each.get_attribute("id") for each in page.locator("main button:visible").all()}
    expected = {
        "identity_taken": {"retry"},
        "too_many_places": {"retry"},
        "blocked": set(),
        "pass_required": set(),
        "pass_not_yet": {"retry", "without"},
    }
    assert shown == expected.get(reason, {"without"})
    expect(page.locator("#place")).to_be_hidden()


@pytest.mark.parametrize("code", CODES)
def test_a_blocked_visitor_is_told_until_when_in_every_language(
    open_context: Callable[..., BrowserContext], visited: Site, watch: Watch, code: str
) -> None:
    watch.expect("403")
    line = refusing(visited, "blocked")
    page = open_context(locale=f"{code}-XX").new_page()
    for query in ("", "?plain=1"):
        page.goto(f"{line.path}{query}")
        says(page, "blocked", code)


def test_a_queue_for_invited_visitors_offers_no_way_without_an_invitation(
    page: Page, visited: Site, watch: Watch
) -> None:
    watch.expect("403")
    line = crowd(visited, entry="pass")
    query = f"pass={bad_pass(line, 'expired')}"
    for path in (f"{line.path}?{query}", f"{line.path}?plain=1&{query}"):
        page.goto(path)
        shows(page, "pass_expired")
        expect(page.get_by_text(texts()["without"])).to_be_hidden()
    page.goto(f"{line.path}?pass={line.invite()}")
    at_position(page, 1)


def test_a_visitor_whose_identity_is_taken_joins_once_that_place_is_given_up(
    page: Page, visited: Site, watch: Watch
) -> None:
    watch.expect("409")
    line = crowd(visited, unique_by="ip")
    line.tokens.append(visited.join(line.queue_id, address="127.0.0.1").json()["token"])
    page.goto(line.path)
    shows(page, "identity_taken")
    line.leave(1)
    page.get_by_role("button", name=texts()["retry"]).click()
    at_position(page, 1)
