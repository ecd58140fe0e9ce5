"""/wr.js in a page of another site: a few lines, and the line stands there."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.waiting import crowd, refusing
from tests.support.browser import Watch, wait_until
from tests.support.site import BASE, Site
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


def room_of(page: Page, visited: Site, shop: TargetSite, options: str) -> None:
    """Open a page of the shop with a room that is not asked to join yet, and that notes what it tells."""
    shop.pages[
        "/room"
    ] = f"""<!DOCTYPE html><html lang="en"><title>Room</title><link rel="icon" href="data:,">
      <script type="module">
        import {{ WaitingRoom }} from "{visited.url}/wr.js";
        window.told = [];
        window.open_room = () => {{
          const room = new WaitingRoom({{ {options} }});
          for (const type of ["joined", "position", "refused"]) {{
            room.addEventListener(type, ({{ detail }}) => told.push([type, detail]));
          }}
          return room;
        }};
        window.room = open_room();
      </script></html>"""
    page.goto(f"{shop.url}/room")
    wait_until(page, lambda: page.evaluate("'room' in window"), "the module is there")


def told(page: Page, kind: str) -> list[Any]:
    return [detail for each, detail in page.evaluate("told") if each == kind]


def test_a_pass_comes_with_each_join_and_lifts_the_place_that_the_browser_has(
    page: Page, visited: Site, shop: TargetSite
) -> None:
    line = crowd(visited, 2)
    sent: list[dict[str, str]] = []
    page.on("request", lambda request: request.url.endswith("/enqueue") and sent.append(request.headers))
    room_of(page, visited, shop, f'queue: "{line.queue_id}"')
    page.evaluate("room.join()")
    wait_until(page, lambda: told(page, "position"), "it has a place")
    assert told(page, "position")[0]["position"] == 3
    given = line.invite(priority=3)
    room_of(page, visited, shop, f'queue: "{line.queue_id}", pass: "{given}"')
    assert page.evaluate("room.pass") == given
    page.evaluate("room.join()")
    wait_until(page, lambda: told(page, "position"), "it has a place")
    assert told(page, "position")[0]["position"] == 1
    (joined,) = told(page, "joined")
    assert (joined["isNew"], joined["passRefused"]) == (False, None)
    assert [each.get("x-wr-pass") for each in sent] == [None, given]
    assert "authorization" in sent[1]
    assert line.waiting == 3
    assert given not in page.evaluate("JSON.stringify({...localStorage, ...sessionStorage})")


def test_a_place_kept_in_storage_is_given_back_to_its_token_alone(
    page: Page, visited: Site, shop: TargetSite
) -> None:
    line = crowd(visited, unique_by="client")
    options = f'queue: "{line.queue_id}", metadata: {{ user_id: "u-1" }}'
    room_of(page, visited, shop, options)
    page.evaluate("room.join()")
    wait_until(page, lambda: told(page, "joined"), "it has a place")
    headers = {"User-Agent": page.evaluate("navigator.userAgent")}
    body = {"metadata": {"user_id": "u-1"}}
    same = visited.http.post(f"{BASE}/queues/{line.queue_id}/enqueue", json=body, headers=headers)
    assert (same.status_code, "token" in same.text) == (409, False)
    # What is left of the storage is enough, as long as the token is.
    page.evaluate("queue => localStorage.removeItem(`wr:${queue}:place`)", line.queue_id)
    room_of(page, visited, shop, options)
    page.evaluate("room.join()")
    wait_until(page, lambda: told(page, "joined"), "it has a place")
    assert (told(page, "joined")[0]["isNew"], line.waiting) == (False, 1)


def test_two_tabs_that_keep_the_token_in_storage_have_one_place(
    page: Page, visited: Site, shop: TargetSite
) -> None:
    line = crowd(visited)
    room_of(page, visited, shop, f'queue: "{line.queue_id}"')
    places = page.evaluate(
        """async () => {
          const rooms = [room, open_room(), open_room()];
          await Promise.all(rooms.map((each) => each.join()));
          return rooms.map((each) => each.place.position);
        }"""
    )
    assert (places, line.waiting) == ([1, 1, 1], 1)


def test_a_pass_that_does_not_count_leaves_the_place_that_the_browser_has(
    page: Page, visited: Site, shop: TargetSite, watch: Watch
) -> None:
    watch.expect("403")
    line = crowd(visited, 1)
    room_of(page, visited, shop, f'queue: "{line.queue_id}"')
    page.evaluate("room.join()")
    wait_until(page, lambda: told(page, "joined"), "it has a place")
    room_of(page, visited, shop, f'queue: "{line.queue_id}", pass: "none 日本"')
    page.evaluate("room.join()")
    wait_until(page, lambda: told(page, "joined"), "it has a place")
    assert told(page, "joined")[0]["passRefused"] == "invalid"
    assert told(page, "position")[0]["position"] == 2
    assert (told(page, "refused"), line.waiting) == ([], 2)


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        ("identity_taken", 409),
        ("blocked", 403),
        ("pass_required", 403),
        ("pass_invalid", 403),
        ("too_many_places", 429),
    ],
)
def test_a_refusal_is_told_with_what_it_says_and_retried_only_where_that_helps(
    page: Page, visited: Site, shop: TargetSite, watch: Watch, reason: str, status: int
) -> None:
    watch.expect(str(status))
    page.clock.install()
    line = refusing(visited, reason)
    given = "no-pass" if reason == "pass_invalid" else ""
    asked: list[str] = []
    page.on("request", lambda request: request.url.endswith("/enqueue") and asked.append(request.method))
    room_of(page, visited, shop, f'queue: "{line.queue_id}", pass: "{given}"')
    page.evaluate("room.join()")
    wait_until(page, lambda: told(page, "refused"), "it is refused")
    (refusal,) = told(page, "refused")
    blocked_until = refusal.pop("blockedUntil", None)
    assert refusal == {
        "reason": reason,
        "retryAfterSeconds": 30 if reason == "too_many_places" else None,
        **({"passReason": "invalid"} if reason == "pass_invalid" else {}),
    }
    assert (blocked_until is not None) == (reason == "blocked")
    posts = asked.count("POST")
    page.clock.fast_forward(29_000)
    page.wait_for_timeout(100)
    assert asked.count("POST") == posts
    page.clock.fast_forward(40_000)
    if reason == "too_many_places":
        wait_until(page, lambda: asked.count("POST") == posts + 1, "it tries again")
    else:
        page.wait_for_timeout(100)
        assert asked.count("POST") == posts
