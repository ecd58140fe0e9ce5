"""/wr.js in a page of another site: a few lines, and the line stands there."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.waiting import crowd
from tests.support.browser import Watch, wait_until
from tests.support.site import Site
from tests.support.target_site import TargetSite

README = Path(__file__).parents[2] / "README.md"


@pytest.fixture(scope="module")
def visited_settings(target: TargetSite) -> dict[str, str]:
    return {"allowed_origins": target.url}


def embedding(line_id: str, server: str) -> str:
    """The example of the README, for this server and queue."""
    (example,) = re.findall(
        r"<!-- example: embed -->\n```html\n(.*?)```", README.read_text("utf-8"), re.DOTALL
    )
    return str(
        example.replace("https://wait.example.com", server).replace('queue: "demo"', f'queue: "{line_id}"')
    )


@pytest.fixture
def shop(target: TargetSite, watch: Watch) -> Iterator[TargetSite]:
    watch.allow(target.url)
    yield target
    target.pages.clear()


def test_the_readmes_example_waits_and_goes_in(page: Page, visited: Site, shop: TargetSite) -> None:
    line = crowd(visited, 2, target_url=f"{shop.url}/inside")
    shop.pages["/line"] = embedding(line.queue_id, visited.url)
    page.goto(f"{shop.url}/line")
    text = page.locator("#line")
    expect(text).to_contain_text("3")
    line.leave(1)
    expect(text).to_contain_text("2")
    page.reload()
    expect(text).to_contain_text("2")
    assert line.waiting == 2
    line.change(status="active")
    page.wait_for_url(f"{shop.url}/inside?wr_token=**")


def test_every_event_comes_with_what_its_types_say(
    page: Page, visited: Site, shop: TargetSite, watch: Watch
) -> None:
    line = crowd(visited, 1)
    shop.pages[
        "/events"
    ] = f"""<!DOCTYPE html><html lang="en"><title>Events</title><link rel="icon" href="data:,">
      <script type="module">
        import {{ WaitingRoom, version }} from "{visited.url}/wr.js";
        window.told = [["version", version]];
        const metadata = {{ campaign: "x" }};
        window.room = new WaitingRoom({{ queue: "{line.queue_id}", keep: "memory", metadata }});
        for (const type of ["joined", "position", "connection", "left", "ended", "refused", "admitted"]) {{
          room.addEventListener(type, ({{ detail }}) => told.push([type, detail]));
        }}
        room.join();
      </script></html>"""
    page.goto(f"{shop.url}/events")

    def told(kind: str) -> list[object]:
        return [detail for each, detail in page.evaluate("window.told ?? []") if each == kind]

    wait_until(page, lambda: told("connection"), "it is live")
    assert re.fullmatch(r"\d+\.\d+\.\d+", str(told("version")[0]))
    (joined,) = told("joined")
    assert isinstance(joined, dict)
    assert (joined["isNew"], joined["hadExpired"]) == (True, False)
    position = told("position")[0]
    assert isinstance(position, dict)
    assert {name: position[name] for name in ("position", "ahead", "queueLength", "heldBecause")} == {
        "position": 2,
        "ahead": 1,
        "queueLength": 2,
        "heldBecause": "paused",
    }
    assert told("connection") == [{"state": "live", "transport": "websocket"}]
    assert page.evaluate("room.leave()") is True
    assert told("left") == [{}]
    assert line.waiting == 1
    assert page.evaluate("room.place") is None
    assert page.evaluate("document.cookie + JSON.stringify(localStorage)") == "{}"
    watch.expect("503")
    line.change(status="maintenance")
    page.evaluate("room.join()")
    wait_until(page, lambda: told("refused"), "it is refused")
    assert told("refused") == [{"reason": "maintenance", "retryAfterSeconds": 2}]
    page.evaluate("room.close()")
