"""How the waiting page looks and sounds to everybody: every language, size, color and way of seeing."""

import base64
from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.waiting import CODES, Crowd, at_position, crowd, shows, texts
from tests.support import plain_http
from tests.support.browser import Watch, axe, screenshot
from tests.support.site import Site

MOST_BYTES = 60_000
WIDE_WORD = "Donaudampfschifffahrtsgesellschaftskapitänskajütenschlüsselanhänger"


def fits(page: Page) -> None:
    """Nothing is wider than the window."""
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("code", CODES)
def test_every_language_is_spoken_throughout(
    open_context: Callable[..., BrowserContext], visited: Site, code: str
) -> None:
    line = crowd(visited, 1, message=WIDE_WORD)
    page = open_context(locale=f"{code}-XX", viewport={"width": 320, "height": 640}).new_page()
    page.goto(line.path)
    shows(page, "paused", code)
    at_position(page, 2)
    words = texts(code)
    html = page.locator("html")
    expect(html).to_have_attribute("lang", "zh-Hans" if code == "zh" else code)
    expect(html).to_have_attribute("dir", words["direction"])
    shown = page.locator("main").inner_text()
    for key in ("position", "ahead", "wait", "wait.unknown", "next", "sound", "notify", "leave", "wishes"):
        assert words[key] in shown, key
    axe(page)
    fits(page)
    screenshot(page, f"waiting-{code}")


def test_the_language_is_chosen_by_a_switch_and_remembered(page: Page, visited: Site) -> None:
    line = crowd(visited)
    page.goto(line.path)
    at_position(page, 1)
    page.get_by_label("Language").select_option("de")
    shows(page, "paused", "de")
    at_position(page, 1)
    page.goto(line.path)
    shows(page, "paused", "de")
    assert line.waiting == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_state_breaks_a_rule_of_accessibility_or_the_window(
    page: Page, visited: Site, watch: Watch, scheme: str
) -> None:
    for status in ("404", "503"):
        watch.expect(status)
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.set_viewport_size({"width": 320, "height": 640})

    def check(state: str) -> None:
        shows(page, state)
        axe(page)
        fits(page)
        screenshot(page, f"waiting-{scheme}-320-{state}")

    line = crowd(visited, 2, message="Doors open at 10.", support_url="mailto:help@example.com")
    page.goto(line.path)
    check("paused")
    line.change(status="maintenance")
    check("held")
    line.change(status="active", max_active_users=1, admission_rate=0.001)
    check("waiting")
    page.get_by_role("button", name=texts()["leave"]).click()
    axe(page)
    screenshot(page, f"waiting-{scheme}-320-leaving")
    page.get_by_role("button", name=texts()["leave.yes"]).click()
    check("left")
    _closed(page, line)
    check("closed")
    page.goto("/wait/no-such-line")
    check("unknown")
    for state, settings in (("maintenance", {"status": "maintenance"}), ("full", {"max_queue_size": 1})):
        page.goto(crowd(visited, 1 if state == "full" else 0, **settings).path)
        check(state)


def _closed(page: Page, line: Crowd) -> None:
    page.get_by_role("button", name=texts()["again"]).click()
    shows(page, "waiting")
    line.site.admin("POST", f"/queues/{line.queue_id}/flush")


@pytest.mark.context(viewport={"width": 640, "height": 400}, device_scale_factor=2)
def test_at_twice_the_size_everything_is_still_there(page: Page, visited: Site) -> None:
    line = crowd(visited, 1, name=WIDE_WORD)
    page.goto(line.path)
    page.evaluate("document.documentElement.style.fontSize = '200%'")
    at_position(page, 2)
    fits(page)
    expect(page.get_by_role("button", name=texts()["leave"])).to_be_visible()
    screenshot(page, "waiting-twice-the-size")


def test_nothing_moves_for_those_who_asked_for_that(page: Page, visited: Site) -> None:
    line = crowd(visited)
    page.goto(line.path)
    at_position(page, 1)
    moving, stilled = page.evaluate(
        """() => {
          const rules = [...document.styleSheets].flatMap((sheet) => [...sheet.cssRules]);
          const moves = ({ style }) => style?.transitionDuration || style?.animationName;
          const reduce = rules.filter((rule) => rule.conditionText === "(prefers-reduced-motion: reduce)");
          return [
            rules.filter(moves).map((rule) => rule.selectorText),
            reduce.flatMap((rule) => [...rule.cssRules]).map((rule) => rule.selectorText),
          ];
        }"""
    )
    assert set(moving) == set(stilled) == {".progress::-webkit-progress-value"}


@pytest.mark.parametrize(
    ("accent", "background"),
    [("#ffcc00", "#1b0b3b"), ("#777777", ""), ("", "#808080"), ("#eeeeee", "#ffffff")],
)
def test_a_queues_own_colors_are_readable_whatever_they_are(
    page: Page, visited: Site, accent: str, background: str
) -> None:
    line = crowd(visited, 1, accent_color=accent, background_color=background, message="Welcome")
    page.goto(line.path)
    at_position(page, 2)
    page.get_by_role("button", name=texts()["leave"]).click()
    axe(page)
    page.get_by_role("button", name=texts()["leave.no"]).click()
    axe(page)
    if background:
        red, green, blue = (int(background[at : at + 2], 16) for at in (1, 3, 5))
        assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == (
            f"rgb({red}, {green}, {blue})"
        )
    screenshot(page, f"waiting-colors-{accent.lstrip('#')}-{background.lstrip('#')}")


def test_a_queue_has_its_own_name_logo_message_and_help(page: Page, visited: Site) -> None:
    picture = f"{visited.url}/wr-assets/icon.svg"
    line = crowd(
        visited,
        name="Große Premiere",
        logo_url=picture,
        message="Doors open at 10.\nBring your pass. <b>Now</b>",
        support_url="https://help.example/line",
    )
    page.goto(line.path)
    at_position(page, 1)
    logo = page.get_by_alt_text("Große Premiere")
    assert logo.evaluate("logo => logo.naturalWidth") > 0
    expect(page.locator("#message")).to_have_text("Doors open at 10. Bring your pass. <b>Now</b>")
    expect(page.get_by_role("link", name=texts()["support"])).to_have_attribute(
        "href", "https://help.example/line"
    )
    axe(page)


def test_an_operators_own_template_is_shown_and_works(page: Page, visited: Site) -> None:
    template = """<!doctype html><html lang="{{ language.tag }}">
      <head><title>{{ queue.name }}</title>{{ head }}
      <style>h2 { color: rgb(1, 2, 3) }</style></head>
      <body><h2>Welcome to {{ queue.name }}</h2>{{ room }}{{ switch }}</body></html>"""
    line = crowd(visited, 1, name="Our sale", page_template=template)
    page.goto(line.path)
    at_position(page, 2)
    heading = page.get_by_role("heading", name="Welcome to Our sale")
    assert heading.evaluate("heading => getComputedStyle(heading).color") == "rgb(1, 2, 3)"
    line.leave(1)
    at_position(page, 1)


def test_the_first_load_is_small(visited: Site) -> None:
    line = crowd(visited)
    loaded = 0
    with plain_http.client(base_url=visited.url, headers={"Accept-Encoding": "gzip"}) as client:
        for path in (
            line.path,
            "/wr-assets/waiting.css",
            "/wr-assets/waiting.js",
            "/wr-assets/waiting-away.js",
            "/wr-assets/waiting-words.js",
            "/wr-assets/waiting-wishes.js",
            "/wr.js",
        ):
            with client.stream("GET", path) as response:
                assert response.headers["Content-Encoding"] == "gzip"
                loaded += sum(len(part) for part in response.iter_raw())
    assert loaded < MOST_BYTES
    assert loaded < 20_000  # What it takes today is a third of that; more would be worth a thought.


def test_nothing_but_these_files_is_loaded(page: Page, visited: Site) -> None:
    line = crowd(visited)
    loaded: set[str] = set()
    page.on("request", lambda request: loaded.add(request.url.removeprefix(visited.url).partition("?")[0]))
    page.goto(line.path)
    at_position(page, 1)
    page.wait_for_load_state("networkidle")
    assert loaded - {f"/api/v1/queues/{line.queue_id}/enqueue"} == {
        line.path,
        "/wr-assets/waiting.css",
        "/wr-assets/waiting.js",
        "/wr-assets/waiting-away.js",
        "/wr-assets/waiting-words.js",
        "/wr-assets/waiting-wishes.js",
        "/wr.js",
    } | ({"data:,"} & loaded)


def test_the_qr_code_is_a_picture_of_the_address(page: Page, visited: Site) -> None:
    line = crowd(visited)
    drawn = plain_http.get(f"{visited.url}{line.path}/qr.svg").text
    page.goto("/")
    page.set_viewport_size({"width": 320, "height": 320})
    page.set_content(
        f'<img alt="" src="data:image/svg+xml;base64,{base64.b64encode(drawn.encode()).decode()}">'
    )
    assert page.locator("img").evaluate("picture => picture.naturalWidth") > 100
