"""The tests' own watch: what a page may not do does not pass unseen."""

from collections.abc import Callable
from functools import partial

import pytest
from playwright.sync_api import BrowserContext, Page

from tests.support.browser import Watch, axe, axe_violations, wait_until
from tests.support.site import Site
from tests.support.target_site import TargetSite

STRICT = "default-src 'none'; style-src 'self'; script-src 'self' 'unsafe-inline'; connect-src *"


def show(page: Page, body: str, policy: str = STRICT) -> None:
    """Show a page of the server's origin that the server does not have."""
    html = f"<!DOCTYPE html><html lang=en><title>A page</title><main><h1>A page</h1>{body}</main>"
    page.route(
        "**/made-up",
        lambda route: route.fulfill(
            body=html, content_type="text/html", headers={"Content-Security-Policy": policy}
        ),
    )
    page.goto("/made-up")


def has_come(watch: Watch, text: str) -> bool:
    return any(text in complaint for complaint in watch.complaints)


@pytest.mark.parametrize(
    ("body", "complaints"),
    [
        ("<script>console.error('a bad thing')</script>", ["console: a bad thing"]),
        ("<script>setTimeout(() => nothing.at.all)</script>", ["uncaught: nothing is not defined"]),
        ("<script>Promise.reject(new Error('unheard'))</script>", ["uncaught: unheard"]),
        ("<p style='color: red'>red</p>", ["Content Security Policy"]),
        ("<script>fetch('/nowhere')</script>", ["status of 404"]),
        (
            "<script>fetch('http://elsewhere.example/').catch(() => 0)</script>",
            ["request to elsewhere: http://elsewhere.example/", "ERR_NAME_NOT_RESOLVED"],
        ),
        (
            "<script>new WebSocket('ws://elsewhere.example/')</script>",
            ["request to elsewhere: ws://elsewhere.example/", "ERR_NAME_NOT_RESOLVED"],
        ),
    ],
)
def test_what_a_page_may_not_do_is_complained_of(
    page: Page, watch: Watch, body: str, complaints: list[str]
) -> None:
    show(page, body)
    for complaint in complaints:
        wait_until(page, partial(has_come, watch, complaint), complaint)
    assert len(watch.verdict()) == len(complaints)
    for complaint in complaints:
        watch.expect(complaint)


def test_an_expected_complaint_that_does_not_come_is_one_itself() -> None:
    watch = Watch(set())
    watch.expect("status of 404")
    assert watch.verdict() == ["expected and never came: status of 404"]


def test_going_to_a_site_that_was_not_allowed_is_complained_of(
    page: Page, watch: Watch, target: TargetSite
) -> None:
    page.goto(target.url)
    watch.expect(f"request to elsewhere: {target.url}/")


def test_going_to_the_target_site_is_fine_once_it_is_allowed(
    page: Page, watch: Watch, target: TargetSite
) -> None:
    watch.allow(target.url)
    page.goto(f"{target.url}/checkout?a=b")
    assert page.get_by_role("heading").inner_text() == "You are in"
    assert target.visits[-1] == "/checkout?a=b"


def test_what_breaks_a_rule_of_accessibility_is_told_with_its_place_under_a_strict_policy(page: Page) -> None:
    show(page, "<img id=lonely>", "default-src 'none'")
    assert list(axe_violations(page)) == ["image-alt"]
    assert "#lonely" in axe_violations(page)["image-alt"]
    axe(page, {"image-alt": "this test shows it"})
    with pytest.raises(AssertionError, match="image-alt"):
        axe(page)
    with pytest.raises(AssertionError, match=r"broken no longer: \['region'\]"):
        axe(page, {"image-alt": "this test shows it", "region": "not any more"})


@pytest.mark.context(locale="de-DE", viewport={"width": 390, "height": 844})
def test_a_test_chooses_its_language_and_its_screen(page: Page) -> None:
    show(page, "")
    assert page.evaluate(
        "[navigator.language, innerWidth, matchMedia('(prefers-reduced-motion)').matches]"
    ) == [
        "de-DE",
        390,
        True,
    ]


@pytest.mark.context(java_script_enabled=False)
def test_a_test_can_do_without_scripts(page: Page) -> None:
    show(page, "<p>before</p><script>document.querySelector('p').textContent = 'after'</script>")
    assert page.locator("p").inner_text() == "before"


def test_two_contexts_are_two_people(open_context: Callable[..., BrowserContext], visited: Site) -> None:
    one, other = open_context(), open_context()
    one.add_cookies([{"name": "who", "value": "one", "url": visited.url}])
    assert other.cookies() == []
