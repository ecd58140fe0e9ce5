"""GET /docs: the description of the API, to be tried out."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import pytest
from playwright.sync_api import Locator, Page

from tests.support.browser import Watch, axe, screenshot, wait_until
from tests.support.server import running_server
from tests.support.site import Site
from wr.api.openapi import openapi_document
from wr.web.assets import AssetStore


@dataclass(frozen=True)
class Operation:
    """One operation of the page, by its name."""

    block: Locator

    def open(self) -> None:
        self.block.locator(".opblock-summary-control").click()

    def execute(self, **parameters: str) -> tuple[int, Any]:
        """Try the operation out with these parameters; returns the status and the body of the answer."""
        trial = self.block.locator(".try-out__btn")
        if trial.inner_text().startswith("Try"):
            trial.click()
        for name, value in parameters.items():
            self.block.get_by_placeholder(name).fill(value)
        self.block.get_by_role("button", name="Execute").click()
        answer = self.block.locator(".live-responses-table .response")
        status = int(answer.locator(".response-col_status").inner_text().split()[0])
        return status, json.loads(answer.locator(".highlight-code code").first.inner_text())


def operation(page: Page, tag: str, name: str) -> Operation:
    return Operation(page.locator(f"#operations-{tag}-{name}"))


def open_docs(page: Page, fragment: str = "") -> None:
    page.goto(f"/docs{fragment}")
    page.locator(".opblock").first.wait_for()


def authorize(page: Page, field: str, value: str) -> None:
    page.get_by_role("button", name="Authorize").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label(field).fill(value)
    form = dialog.locator("form", has=page.get_by_label(field))
    form.get_by_role("button", name="Apply credentials").click()
    dialog.get_by_role("button", name="Close", exact=True).last.click()


def test_every_operation_of_the_description_is_on_the_page(page: Page) -> None:
    open_docs(page)
    shown = {str(each.get_attribute("id")) for each in page.locator(".opblock").all()}
    assert shown == {
        f"operations-{described['tags'][0]}-{described['operationId']}"
        for item in openapi_document()["paths"].values()
        for method, described in item.items()
        if method != "servers"
    }
    assert page.title() == "API reference – waiting room server"
    assert page.locator("html").get_attribute("lang") == "en"
    screenshot(page, "docs")


def test_an_operation_without_authorization_is_tried_out_on_the_server_that_shows_the_page(
    page: Page, visited: Site
) -> None:
    open_docs(page)
    health = operation(page, "Service", "health")
    health.open()
    with page.expect_request("**/health") as asked:
        status, body = health.execute()
    assert asked.value.url == f"{visited.url}/api/v1/health"
    assert (status, body["status"]) == (200, "healthy")


def test_who_joins_on_the_page_asks_for_the_status_with_the_token_of_the_answer(page: Page) -> None:
    open_docs(page)
    enqueue, ask = operation(page, "Visitors", "enqueue"), operation(page, "Visitors", "status")
    enqueue.open()
    status, joined = enqueue.execute(queue_id="demo")
    assert status == 201
    authorize(page, "Token", joined["token"])
    ask.open()
    status, told = ask.execute(queue_id="demo")
    assert status == 200
    assert told["position_id"] == joined["position_id"]
    assert told["status"] in ("waiting", "admitted")
    screenshot(page, "docs-tried-out")


def test_an_operator_tries_out_admin_operations_with_the_admin_key(page: Page, visited: Site) -> None:
    open_docs(page)
    authorize(page, "Admin key", visited.admin_key)
    queues = operation(page, "Admin", "list_queues")
    queues.open()
    status, body = queues.execute()
    assert status == 200
    assert [queue["queue"]["id"] for queue in body["queues"]] == ["concert-1", "concert-tickets", "demo"]


def test_an_address_leads_to_its_operation_and_an_open_operation_has_one(page: Page) -> None:
    open_docs(page)
    operation(page, "Visitors", "enqueue").open()
    page.wait_for_url("**/docs#/Visitors/enqueue")
    page.reload()
    page.locator("#operations-Visitors-enqueue.is-open").wait_for()
    assert page.locator(".opblock.is-open").count() == 1


def test_what_never_ends_is_shown_and_cannot_be_tried_out(page: Page) -> None:
    open_docs(page)
    for tag, name in (("Live", "queue_feed"), ("Live", "queue_feed_websocket"), ("Concerts", "concert_feed")):
        feed = operation(page, tag, name)
        feed.open()
        feed.block.locator(".responses-wrapper").wait_for()
        assert feed.block.locator(".try-out__btn").count() == 0


def test_only_the_server_that_shows_the_page_is_offered(page: Page) -> None:
    open_docs(page)
    assert page.get_by_label("Server").locator("option").all_inner_texts() == ["/api/v1 - This server"]


def test_the_page_breaks_no_rule_of_accessibility_at_first_and_while_one_authorizes(page: Page) -> None:
    open_docs(page)
    page.get_by_role("button", name="Authorize").first.click()
    page.get_by_role("dialog").wait_for()
    still(page)
    axe(page)


def test_the_page_breaks_no_rule_of_accessibility_with_an_answer_and_the_schemas(page: Page) -> None:
    open_docs(page)
    enqueue = operation(page, "Visitors", "enqueue")
    enqueue.open()
    enqueue.execute(queue_id="demo")
    page.locator(".models-control").first.click()
    still(page)
    axe(page)


@pytest.mark.context(viewport={"width": 390, "height": 844})
def test_the_page_breaks_no_rule_of_accessibility_on_a_small_screen(page: Page) -> None:
    open_docs(page)
    operation(page, "Admin", "terminate_session").open()
    still(page)
    axe(page)


def still(page: Page) -> None:
    """Wait until nothing fades in or changes its colour: on the way there it is fainter."""
    moving = "document.getAnimations().filter((each) => each.playState !== 'finished').length"
    wait_until(page, lambda: page.evaluate(moving) == 0, "nothing moves")


def test_a_description_that_cannot_be_fetched_is_told_in_words(page: Page, watch: Watch) -> None:
    watch.expect("status of 503")
    page.route("**/openapi.json", lambda route: route.fulfill(status=503, body="{}"))
    page.goto("/docs")
    message = page.get_by_role("status").filter(has_text="could not be shown")
    assert message.inner_text().endswith("/api/v1/openapi.json was answered with 503")


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server for which `./scripts/vendor` has not run."""
    monkeypatch.setattr("wr.server.wiring.own_assets", lambda: AssetStore(files("wr.web") / "static"))
    with running_server(None, data_dir=str(tmp_path_factory.mktemp("bare"))) as ready:
        yield ready.url


def test_without_the_viewer_the_page_says_where_the_description_is_and_how_to_get_the_viewer(
    page: Page, bare: str, watch: Watch
) -> None:
    watch.allow(bare)
    page.goto(f"{bare}/docs")
    assert "./scripts/vendor" in page.locator("main").inner_text()
    axe(page)
    screenshot(page, "docs-without-viewer")
    page.get_by_role("link", name="/api/v1/openapi.json").click()
    page.wait_for_url(f"{bare}/api/v1/openapi.json")
