"""The console's charts: what was, drawn and told, on a server whose time is moved by hand."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.contract.helpers import enter, let_passes_run, open_queue
from tests.support.browser import Watch, screenshot, wait_until
from tests.support.clock import HandClock
from tests.support.console import PATIENCE_MS, shows, sign_in
from tests.support.engines import Engine
from tests.support.server import running_server
from tests.support.site import Site

LIBRARY = "**/wr-assets/lightweight-charts.js"
STEPS = 12
INK = """
(chart) => {
  let inked = 0;
  for (const canvas of chart.querySelectorAll("canvas")) {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    for (let at = 3; at < data.length; at += 4) inked += data[at] > 128;
  }
  return inked;
}
"""


@pytest.fixture(scope="module")
def visited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server whose clock is moved by hand: two minutes of history take no two minutes."""
    data_dir = tmp_path_factory.mktemp("visited")
    clock = HandClock()
    limits = {f"limit_{scope}": "0" for scope in ("enqueue", "status", "admin")}
    settings = {"data_dir": str(data_dir), "admission_interval": "0.02", "grace": "0.2", **limits}
    with running_server(clock, **settings) as ready:
        store = Engine("embedded", f"unix://{data_dir / 'store.sock'}")
        site = Site(ready.url, ready.admin_key, clock, store, "wr")
        with site.http:
            yield site


@pytest.fixture(scope="module")
def past(visited: Site) -> str:
    """A queue in whose line more and more have waited, behind one who was let in: its id."""
    inside = open_queue(visited, heartbeat_timeout_seconds=7200, heartbeat_interval_seconds=3600)
    enter(visited, inside)
    visited.admin("PATCH", f"/queues/{inside}", {"status": "paused"})
    for _ in range(3):
        visited.clock.advance(300)
        let_passes_run(visited)
    for number in range(STEPS):
        for _ in range(number):
            visited.join(inside)
        visited.clock.advance(10)
        let_passes_run(visited)
    return inside


def points_of(site: Site, queue_id: str) -> list[dict[str, Any]]:
    """What the server tells now: each ten seconds there is one more."""
    answer = site.admin("GET", f"/queues/{queue_id}/history", params={"span": "15m"})
    return list(answer.json()["points"])


def test_a_queue_without_a_past_says_so(page: Page, visited: Site) -> None:
    queue_id = visited.make_queue()
    sign_in(page, visited, f"#/queues/{queue_id}")
    shows(page.locator(".chart-note"), "Nothing is recorded yet")


def test_the_past_is_drawn_and_told_in_words(page: Page, visited: Site, past: str) -> None:
    sign_in(page, visited, f"#/queues/{past}")
    people = page.get_by_role("img", name="People, the last 15 minutes.")
    expect(people).to_be_visible(timeout=PATIENCE_MS)

    def tells_the_truth() -> bool:
        line = [point["waiting"] for point in points_of(visited, past)]
        told = f"Waiting: {line[-1]} at the end, between {min(line)} and {max(line)}."
        return len(line) >= STEPS - 2 and told in str(people.get_attribute("aria-label"))

    wait_until(page, tells_the_truth, "the words tell what the server does")
    assert "Inside: 1 at the end, between " in str(people.get_attribute("aria-label"))
    charts = page.locator(".chart")
    assert charts.count() == 3
    wait_until(page, lambda: min(chart.evaluate(INK) for chart in charts.all()) > 200, "all are drawn")
    screenshot(page, "console-charts")


def test_the_same_figures_are_there_as_a_table(page: Page, visited: Site, past: str) -> None:
    sign_in(page, visited, f"#/queues/{past}")
    page.get_by_text("The figures as a table").click()

    def shows_the_truth() -> bool:
        shown = page.locator(".history-table tbody td:nth-of-type(1)").all_inner_texts()
        return shown == [str(point["waiting"]) for point in reversed(points_of(visited, past))]

    assert len(points_of(visited, past)) >= STEPS - 2
    wait_until(page, shows_the_truth, "the table shows what the server tells")
    expect(page.get_by_role("region", name="Figures of the charts")).to_have_attribute("tabindex", "0")


def test_a_day_is_shown_in_steps_of_five_minutes(page: Page, visited: Site, past: str) -> None:
    sign_in(page, visited, f"#/queues/{past}")
    with page.expect_response(lambda answer: "span=24h" in answer.url) as asked:
        page.get_by_role("button", name="24 hours").click()
    assert asked.value.json()["step_seconds"] == 300
    expect(page.get_by_role("button", name="24 hours")).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("button", name="15 minutes")).to_have_attribute("aria-pressed", "false")
    expect(page.get_by_role("img", name="People, the last 24 hours.")).to_be_visible(timeout=PATIENCE_MS)


def test_without_the_chart_library_the_figures_are_there_all_the_same(
    page: Page, visited: Site, past: str, watch: Watch
) -> None:
    # The file is fetched by the set-up; a server that was set up without it answers so.
    page.route(
        LIBRARY, lambda route: route.continue_(url=f"{visited.url}/wr-assets/there-is-no-such-file.js")
    )
    sign_in(page, visited, f"#/queues/{past}")
    shows(page.locator(".chart-note"), "The charts cannot be shown")
    expect(page.locator(".history-table tbody tr").first).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator(".charts")).to_be_hidden()
    watch.expect("status of 404")
    watch.expect("strict MIME type checking")


@pytest.mark.context(color_scheme="dark")
def test_charts_follow_the_colours_of_the_page(page: Page, visited: Site, past: str) -> None:
    colours = """
    (chart) => {
      const seen = new Set();
      for (const canvas of chart.querySelectorAll("canvas")) {
        if (canvas.width === 0 || canvas.height === 0) continue; // Not laid out yet.
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        for (let at = 0; at < data.length; at += 4) {
          if (data[at + 3] === 255) seen.add(`${data[at]},${data[at + 1]},${data[at + 2]}`);
        }
      }
      return [...seen];
    }
    """
    sign_in(page, visited, f"#/queues/{past}")
    chart = page.locator(".chart").first
    wait_until(page, lambda: "133,189,255" in chart.evaluate(colours), "the line is light on dark")
    page.emulate_media(color_scheme="light")
    wait_until(page, lambda: "11,92,173" in chart.evaluate(colours), "the line is dark on light")
