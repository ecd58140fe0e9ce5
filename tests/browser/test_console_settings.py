"""The console's settings: each is changed where it stands, and says before what it would do."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import Watch
from tests.support.console import (
    PATIENCE_MS,
    field_error,
    focused,
    has_gone,
    open_queue,
    said,
    setting,
    settings_of,
    shows,
)
from tests.support.site import Site
from wr.model.queue_settings import QueueConfig
from wr.model.wait_estimate import Pace, forecast

SET_ELSEWHERE = {"status": "the buttons above the figures pause, resume and begin maintenance"}
"""What PATCH takes and no field sets, and why."""


def settings_of_the_api(site: Site) -> dict[str, dict[str, Any]]:
    """The settings that the API lets an operator change, by name, as its description has them."""
    document = site.http.get("/api/v1/openapi.json").json()

    def found(schema: dict[str, Any]) -> dict[str, Any]:
        if "$ref" not in schema:
            return schema
        named: dict[str, Any] = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return named

    (patch,) = [
        methods["patch"]
        for methods in document["paths"].values()
        if methods.get("patch", {}).get("operationId") == "update_queue"
    ]
    changes = found(patch["requestBody"]["content"]["application/json"]["schema"])
    return {name: found(schema) for name, schema in changes["properties"].items()}


def test_the_console_has_a_field_for_every_setting_of_the_api(page: Page, visited: Site) -> None:
    open_queue(page, visited, visited.make_queue())
    shown = page.locator(".setting [name]").evaluate_all("inputs => inputs.map(({ name }) => name)")
    assert len(shown) == len(set(shown))
    assert set(shown) | set(SET_ELSEWHERE) == set(settings_of_the_api(visited))
    assert not set(shown) & set(SET_ELSEWHERE), "set here after all"


def test_the_fields_take_what_the_api_takes(page: Page, visited: Site) -> None:
    queue_id = visited.make_queue()
    page.goto("/admin")
    fields = page.evaluate(
        """async () => {
          const { src } = document.querySelector("script[type=module]");
          return (await import(new URL("admin-fields.js", src).href)).FIELDS;
        }"""
    )
    api, usual = settings_of_the_api(visited), settings_of(visited, queue_id)
    for field in fields:
        name, schema = field["name"], api[field["name"]]
        assert sorted(value for value, _ in field.get("choices", [])) == sorted(schema.get("enum", [])), name
        # A number without a least one has to be above 0.
        least = None if schema.get("exclusiveMinimum") else schema.get("minimum")
        assert field.get("least") == least, name
        if "usual" in field:
            assert field["usual"] == usual[name], name


def test_a_new_rate_says_when_the_line_clears_and_saves_nothing_else(page: Page, visited: Site) -> None:
    queue_id = visited.make_queue(status="paused", admission_rate=10)
    for _ in range(30):
        visited.join(queue_id)
    before = settings_of(visited, queue_id)
    open_queue(page, visited, queue_id)
    rate = setting(page, "Admission rate")
    shows(rate, "At 10/s the line of 30 clears in about 3 s, once it is resumed.")
    page.get_by_label("Admission rate").fill("0.5")
    shows(rate, "At 0.5/s the line of 30 clears in about 60 s, once it is resumed.")
    shows(rate, "Now 10")
    shows(page.locator(".save-bar"), "1 change: Admission rate 10 → 0.5")
    assert settings_of(visited, queue_id) == before, "nothing is saved before it is said"
    page.get_by_role("button", name="Save changes").click()
    shows(said(page), "Saved. Admission rate is now 0.5.")
    after = settings_of(visited, queue_id)
    assert after["admission_rate"] == 0.5
    assert {name for name in after if after[name] != before[name]} <= {"admission_rate", "updated_at"}
    has_gone(page.locator(".save-bar"))


@pytest.mark.parametrize(
    ("label", "typed", "effect"),
    [
        ("Maximum people inside", "250", "Room for 250 more at once; a full room lets in at least 0.07/s."),
        ("Maximum people in line", "0", "The line may grow without limit."),
        ("Maximum people in line", "1", "2 are already waiting. They keep their places, and more can"),
        ("Time inside", "5400", "People who get in from now on have 1 h 30 min. People already inside keep"),
        ("Heartbeat every", "4", "a heartbeat every 4 s; 2 people in line send up to 0.5/s in total."),
        (
            "Silence before a place is lost",
            "30",
            "People who send no heartbeat for 30 s lose their place. Heartbeats are now 10 s apart.",
        ),
        ("Silence before a place is lost", "10", "Too short: it must be longer than the 10 s between"),
        ("Where people go when they are let in", "https://a.example:81/x", "sent to a.example:81."),
    ],
)
def test_each_setting_says_what_it_would_do(
    page: Page, visited: Site, label: str, typed: str, effect: str
) -> None:
    queue_id = visited.make_queue(status="paused")
    for _ in range(2):
        visited.join(queue_id)
    open_queue(page, visited, queue_id)
    page.get_by_label(label).fill(typed)
    shows(setting(page, label).locator(".effect"), effect)


def test_what_cannot_be_is_said_at_the_field_by_the_console_or_the_server(
    page: Page, visited: Site, watch: Watch
) -> None:
    queue_id = visited.make_queue()
    before = settings_of(visited, queue_id)
    open_queue(page, visited, queue_id)
    page.get_by_label("Admission rate").fill("fast")
    page.keyboard.press("Enter")
    shows(field_error(page, "Admission rate"), "Enter a number")
    assert focused(page) == "admission_rate"
    page.get_by_role("button", name="Discard").click()
    has_gone(page.locator(".save-bar"))
    assert page.get_by_label("Admission rate").input_value() == "10"
    page.get_by_label("Admission rate").fill("7")
    page.get_by_label("Where people go when they are let in").fill("mailto:me")
    page.get_by_role("button", name="Save changes").click()
    error = field_error(page, "Where people go when they are let in")
    shows(error, "target_url must be an http or https URL")
    assert focused(page) == "target_url"
    assert settings_of(visited, queue_id) == before, "all changes are saved together, or none"
    watch.expect("status of 400")


def test_what_others_change_is_seen_and_what_was_typed_is_kept(page: Page, visited: Site) -> None:
    queue_id = visited.make_queue()
    open_queue(page, visited, queue_id)
    page.get_by_label("Admission rate").fill("33")
    visited.admin("PATCH", f"/queues/{queue_id}", {"max_active_users": 77, "admission_rate": 5})
    expect(page.get_by_label("Maximum people inside")).to_have_value("77", timeout=PATIENCE_MS)
    shows(setting(page, "Admission rate"), "Now 5")
    assert page.get_by_label("Admission rate").input_value() == "33"
    page.get_by_role("link", name="Changes", exact=True).click()
    page.go_back()
    expect(page.get_by_label("Admission rate")).to_have_value("33", timeout=PATIENCE_MS)


def test_the_look_of_the_waiting_page_is_set_here_too(page: Page, visited: Site) -> None:
    queue_id = visited.make_queue(page_template="{{ head }}<p>{{ queue.name }}</p>{{ room }}")
    open_queue(page, visited, queue_id)
    assert (
        page.get_by_label("Template of the page").input_value()
        == "{{ head }}<p>{{ queue.name }}</p>{{ room }}"
    )
    page.get_by_label("Message").fill("Doors open at 10.\nBring a ticket.")
    page.get_by_label("Accent colour").fill("blue")
    page.get_by_role("button", name="Save changes").click()
    shows(field_error(page, "Accent colour"), "Enter # and six digits")
    page.get_by_label("Accent colour").fill("#0b5cad")
    page.get_by_role("button", name="Save changes").click()
    shows(said(page), "Saved.")
    saved = settings_of(visited, queue_id)
    assert saved["message"] == "Doors open at 10.\nBring a ticket."
    assert (saved["accent_color"], saved["page_template"]) == (
        "#0b5cad",
        "{{ head }}<p>{{ queue.name }}</p>{{ room }}",
    )


CASES = [
    {"rate": 10.0, "room": 1000, "lasts": 3600, "active": 0, "ending": 0.0, "waiting": 500},
    {"rate": 10.0, "room": 100, "lasts": 3600, "active": 100, "ending": 0.0, "waiting": 500},
    {"rate": 10.0, "room": 100, "lasts": 3600, "active": 40, "ending": 0.01, "waiting": 5000},
    {"rate": 0.5, "room": 100, "lasts": 60, "active": 99, "ending": 0.2, "waiting": 12},
    {"rate": 5.0, "room": 1000, "lasts": 3600, "active": 0, "ending": 0.001, "waiting": 1500},
    {"rate": 50.0, "room": 200, "lasts": 300, "active": 250, "ending": 0.05, "waiting": 1523},
]


@pytest.mark.parametrize("case", CASES)
def test_the_console_foresees_what_the_server_does(page: Page, visited: Site, case: dict[str, Any]) -> None:
    def server(rate: float) -> int:
        config = QueueConfig(
            id="a",
            name="a",
            target_url="https://a.example",
            admission_rate=rate,
            max_active_users=case["room"],
            session_timeout_seconds=case["lasts"],
        )
        pace = Pace(ending_per_s=case["ending"])
        return forecast(config, case["active"], pace).wait_s(case["waiting"])

    page.goto("/admin")
    foreseen = page.evaluate(
        """async ([{ rate, room, lasts, active, waiting }, told]) => {
          const { endingPace, waitSeconds } = await import("/wr-assets/admin-forecast.js");
          const settings = { admission_rate: rate, max_active_users: room, session_timeout_seconds: lasts };
          const ending = endingPace(settings, { current_waiting: waiting, current_active: active }, told);
          const wait = (at) => waitSeconds({ ...settings, admission_rate: at }, active, ending, waiting);
          return ending === null ? null : [rate, rate * 2, rate / 2].map(wait);
        }""",
        [case, server(case["rate"])],
    )
    if foreseen is None:
        assert server(case["rate"]) <= case["waiting"] / case["rate"] * 1.1 + 1, "the rate alone decides"
    else:
        rates = [case["rate"], case["rate"] * 2, case["rate"] / 2]
        assert foreseen == pytest.approx([server(rate) for rate in rates], rel=0.02, abs=1.5)


def test_a_shorter_silence_that_may_cost_places_is_asked_about(page: Page, visited: Site) -> None:
    queue_id = visited.make_queue(
        status="paused", heartbeat_timeout_seconds=600, heartbeat_interval_seconds=1
    )
    for _ in range(3):
        assert visited.heartbeat(queue_id, visited.join(queue_id).json()["token"]).status_code == 200
    visited.wait_for(
        lambda: visited.admin("GET", f"/queues/{queue_id}/silent?timeout_seconds=2"),
        lambda answer: answer.json()["silent"] == 3,
    )
    open_queue(page, visited, queue_id)
    page.get_by_label("Silence before a place is lost").fill("2")
    page.get_by_role("button", name="Save changes").click()
    dialog = page.get_by_role("dialog")
    shows(dialog, "3 of 3 people in line have been silent for that long.")
    dialog.get_by_role("button", name="Cancel").click()
    has_gone(dialog)
    assert settings_of(visited, queue_id)["heartbeat_timeout_seconds"] == 600
    page.get_by_role("button", name="Save changes").click()
    dialog.get_by_role("button", name="Save changes").click()
    shows(said(page), "Silence before a place is lost is now 2")
    assert settings_of(visited, queue_id)["heartbeat_timeout_seconds"] == 2
