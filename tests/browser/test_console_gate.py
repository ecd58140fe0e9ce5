"""The console's settings of the gate: what is open without a session, and who gets in during an outage."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.support.browser import Watch, axe, screenshot, wait_until
from tests.support.console import (
    PATIENCE_MS,
    field_error,
    fits,
    focused,
    has_gone,
    open_queue,
    said,
    setting,
    settings_of,
    shows,
    sign_in,
)
from tests.support.site import Site

POLICY = "Who gets in while the store is unreachable"
GRACE = "Time in an outage before the gate opens"
RATE = "Rate in an outage"
SCREENS: dict[str, dict[str, Any]] = {
    "wide": {"viewport": {"width": 1600, "height": 900}},
    "phone": {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True},
    "phone-dark": {"viewport": {"width": 360, "height": 740}, "color_scheme": "dark"},
}


def save(page: Page) -> None:
    page.get_by_role("button", name="Save changes").click()


def effect(page: Page, label: str) -> Locator:
    return setting(page, label).locator(".effect")


def come_back(page: Page, site: Site, queue_id: str) -> None:
    """Load the page anew: the key is forgotten, and nothing that was typed is left."""
    page.reload()
    sign_in(page, site, f"#/queues/{queue_id}")
    expect(page.get_by_label("Template of the page")).to_be_visible(timeout=PATIENCE_MS)


@pytest.mark.parametrize(
    ("label", "name", "typed", "kept"),
    [
        ("Open paths", "open_paths", "/robots.txt /assets/*", "/robots.txt /assets/*"),
        ("Open addresses", "open_addresses", " 10.0.0.0/8\n2001:db8::7 \n", "10.0.0.0/8 2001:db8::7"),
        ("Open user agents", "open_agents", "kube-probe/", "kube-probe/"),
        (GRACE, "outage_grace_seconds", "0", 0),
        (RATE, "outage_rate", "2.5", 2.5),
        (RATE, "outage_rate", "0", 0),
    ],
)
def test_what_is_typed_about_the_gate_is_kept(
    page: Page, visited: Site, label: str, name: str, typed: str, kept: str | float
) -> None:
    queue_id = visited.make_queue()
    before = settings_of(visited, queue_id)
    open_queue(page, visited, queue_id)
    page.get_by_label(label).fill(typed)
    save(page)
    shows(said(page), f"Saved. {label} is now")
    has_gone(page.locator(".save-bar"))
    after = settings_of(visited, queue_id)
    assert after[name] == kept
    assert {each for each in after if after[each] != before[each]} <= {name, "updated_at"}
    come_back(page, visited, queue_id)
    expect(page.get_by_label(label)).to_have_value(str(kept), timeout=PATIENCE_MS)


@pytest.mark.parametrize("policy", ["open", "budget"])
def test_the_policy_that_is_chosen_is_kept(page: Page, visited: Site, policy: str) -> None:
    queue_id = visited.make_queue()
    open_queue(page, visited, queue_id)
    expect(page.get_by_label(POLICY)).to_have_value("closed", timeout=PATIENCE_MS)
    page.get_by_label(POLICY).select_option(policy)
    save(page)
    shows(said(page), f"Saved. {POLICY} is now")
    assert settings_of(visited, queue_id)["outage_policy"] == policy
    come_back(page, visited, queue_id)
    expect(page.get_by_label(POLICY)).to_have_value(policy, timeout=PATIENCE_MS)


def test_what_a_session_is_bound_to_is_said_before_it_is_kept(page: Page, visited: Site) -> None:
    queue_id = visited.make_queue()
    open_queue(page, visited, queue_id)
    label = "What a session is bound to"
    expect(page.get_by_label(label)).to_have_value("none", timeout=PATIENCE_MS)
    page.get_by_label(label).select_option("network")
    shows(effect(page, label), "A session opens the gate from at most 4 networks in an hour")
    save(page)
    shows(said(page), f"Saved. {label} is now networks.")
    assert settings_of(visited, queue_id)["session_binding"] == "network"


def test_what_is_open_can_be_shut_again(page: Page, visited: Site) -> None:
    queue_id = visited.make_queue(open_paths="/robots.txt", open_addresses="10.0.0.0/8")
    open_queue(page, visited, queue_id)
    page.get_by_label("Open paths").fill("")
    page.get_by_label("Open addresses").fill("")
    shows(effect(page, "Open paths"), "No path is open: visitors without a session wait")
    save(page)
    shows(said(page), "Saved. Open paths is now nothing; Open addresses is now nothing.")
    saved = settings_of(visited, queue_id)
    assert (saved["open_paths"], saved["open_addresses"]) == ("", "")


@pytest.mark.parametrize(
    ("label", "typed", "message"),
    [
        ("Open addresses", "10.0.0.0/8 192.0.2.0/33", "'192.0.2.0/33' does not appear to be"),
        ("Open paths", "/assets/* robots.txt", "each of open_paths must begin with a slash"),
        (GRACE, "86401", "86400"),
        (RATE, "1000001", "1000000"),
    ],
)
def test_what_the_server_refuses_about_the_gate_stands_at_its_field(
    page: Page, visited: Site, watch: Watch, label: str, typed: str, message: str
) -> None:
    queue_id = visited.make_queue()
    before = settings_of(visited, queue_id)
    open_queue(page, visited, queue_id)
    page.get_by_label("Admission rate").fill("7")
    page.get_by_label(label).fill(typed)
    save(page)
    shows(field_error(page, label), message)
    expect(page.get_by_label(label)).to_be_focused()
    assert page.get_by_label(label).get_attribute("aria-invalid") == "true"
    assert page.get_by_label(label).input_value() == typed, "what is wrong can be mended where it stands"
    assert settings_of(visited, queue_id) == before, "all changes are saved together, or none"
    watch.expect("status of 400")


@pytest.mark.parametrize(
    ("label", "typed", "message"),
    [
        (RATE, "-1", "It must be at least 0."),
        (RATE, "few", "Enter a number"),
        (GRACE, "1.5", "Enter a whole number."),
        ("Admission rate", "0", "It must be above 0. To stop letting visitors in, pause the queue."),
    ],
)
def test_what_cannot_be_is_said_before_the_server_is_asked(
    page: Page, visited: Site, label: str, typed: str, message: str
) -> None:
    queue_id = visited.make_queue()
    open_queue(page, visited, queue_id)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.method))
    page.get_by_label(label).fill(typed)
    save(page)
    shows(field_error(page, label), message)
    assert "PATCH" not in asked


def test_the_effect_of_an_outage_changes_with_what_is_chosen(page: Page, visited: Site) -> None:
    queue_id = visited.make_queue()
    open_queue(page, visited, queue_id)
    told = effect(page, POLICY)
    policy, grace, rate = (page.get_by_label(label) for label in (POLICY, GRACE, RATE))

    def tells(sentence: str) -> None:
        expect(told).to_have_text(f"While the store is unreachable, {sentence}", timeout=PATIENCE_MS)

    tells("visitors with a session stay in, and no other visitor gets in.")
    shows(effect(page, GRACE), "No effect")
    shows(effect(page, RATE), "No effect")
    policy.select_option("open")
    tells("every visitor gets in after the first 30\u00a0s.")
    shows(effect(page, GRACE), "In an outage shorter than 30\u00a0s, no new visitor gets in.")
    grace.fill("0")
    tells("every visitor gets in at once.")
    shows(effect(page, GRACE), "The gate opens as soon as the store is unreachable.")
    policy.select_option("budget")
    tells("each server lets in up to 1 a second at once.")
    grace.fill("90")
    rate.fill("2.5")
    tells("each server lets in up to 2.5 a second after the first 90\u00a0s.")
    shows(effect(page, RATE), "Each server counts separately: two servers let in up to 5 a second.")
    rate.fill("0")
    tells("no new visitor gets in: the rate is 0.")
    shows(effect(page, GRACE), "No effect")
    assert settings_of(visited, queue_id)["outage_policy"] == "closed", "nothing is saved before it is said"


@pytest.mark.parametrize(
    ("label", "typed", "told"),
    [
        ("Open paths", "/robots.txt", "1 path is open to every visitor, without a session."),
        ("Open paths", "/robots.txt\n/assets/*", "2 paths are open to every visitor, without a session."),
        ("Open paths", "/robots.txt /*", "/* opens the whole site: no visitor has to wait."),
        ("Open addresses", "10.0.0.0/8", "Visitors from these addresses never wait."),
        ("Open addresses", "10.0.0.0/8 0.0.0.0/0", "0.0.0.0/0 lets in every visitor with an IPv4 address."),
        ("Open addresses", "::/0", "::/0 lets in every visitor with an IPv6 address."),
        (
            "Open user agents",
            "kube-probe/",
            "Any client that claims such a user agent sees the whole site, from any address.",
        ),
    ],
)
def test_what_is_opened_is_said(page: Page, visited: Site, label: str, typed: str, told: str) -> None:
    queue_id = visited.make_queue()
    open_queue(page, visited, queue_id)
    page.get_by_label(label).fill(typed)
    expect(effect(page, label)).to_have_text(told, timeout=PATIENCE_MS)


def test_who_opens_a_user_agent_is_warned_that_anybody_can_claim_it(page: Page, visited: Site) -> None:
    queue_id = visited.make_queue()
    open_queue(page, visited, queue_id)
    hint = setting(page, "Open user agents").locator(".hint")
    shows(hint, "Any client can claim a user agent")
    shows(hint, "addresses")
    described = page.get_by_label("Open user agents").get_attribute("aria-describedby") or ""
    assert hint.get_attribute("id") in described.split(), "it is read out too"


def test_the_record_names_the_settings_of_the_gate(page: Page, visited: Site) -> None:
    queue_id = visited.make_queue()
    open_queue(page, visited, queue_id)
    page.get_by_label("Open paths").fill("/robots.txt")
    page.get_by_label("Open addresses").fill("10.0.0.0/8")
    page.get_by_label("Open user agents").fill("kube-probe/")
    page.get_by_label(POLICY).select_option("budget")
    page.get_by_label(GRACE).fill("60")
    page.get_by_label(RATE).fill("0")
    save(page)
    changed = page.locator(".trail > li").first.locator(".changes > li")
    expect(changed).to_have_count(6, timeout=PATIENCE_MS)
    assert set(changed.all_inner_texts()) == {
        "Open paths: nothing → /robots.txt",
        "Open addresses: nothing → 10.0.0.0/8",
        "Open user agents: nothing → kube-probe/",
        f"{POLICY}: no new visitor → a limited number a second",
        f"{GRACE}: 30 s → 60 s",
        f"{RATE}: 1 → 0",
    }


@pytest.mark.parametrize("screen", SCREENS)
def test_the_settings_of_the_gate_keep_the_rules_and_fit_every_screen(
    open_context: Callable[..., BrowserContext], visited: Site, watch: Watch, screen: str
) -> None:
    page = open_context(**SCREENS[screen]).new_page()
    queue_id = visited.make_queue(open_agents="ELB-HealthChecker/", open_paths="/" + "a" * 200)
    open_queue(page, visited, queue_id)
    page.get_by_label(POLICY).select_option("budget")
    page.get_by_label(RATE).fill("-1")
    page.get_by_label("Open paths").fill("/" + "b" * 200)
    page.get_by_label("Open addresses").fill("192.0.2.0/33")
    page.keyboard.press("Tab")
    shows(field_error(page, RATE), "at least 0")
    axe(page)
    page.get_by_label(RATE).fill("0")
    save(page)
    shows(field_error(page, "Open addresses"), "192.0.2.0/33")
    axe(page)
    assert fits(page), "nobody has to scroll sideways"
    screenshot(page, f"console-gate-{screen}")
    watch.expect("status of 400")


def test_the_gate_is_set_with_the_keyboard_alone(page: Page, visited: Site) -> None:
    queue_id = visited.make_queue()
    open_queue(page, visited, queue_id)
    page.get_by_label("Open paths").focus()
    page.keyboard.type("/robots.txt")
    for name, typed in (
        ("open_addresses", "10.0.0.0/8"),
        ("open_agents", "kube-probe/"),
        ("outage_policy", "a"),
        ("outage_grace_seconds", "45"),
        ("outage_rate", "3"),
    ):
        page.keyboard.press("Tab")
        assert focused(page) == name
        # The tab selects what a number was; of a choice, its first letters choose it.
        page.keyboard.type(typed)
    page.keyboard.press("Enter")
    wait_until(page, lambda: settings_of(visited, queue_id)["outage_rate"] == 3, "all of it is saved")
    saved = settings_of(visited, queue_id)
    assert [saved[name] for name in ("open_paths", "open_addresses", "open_agents")] == [
        "/robots.txt",
        "10.0.0.0/8",
        "kube-probe/",
    ]
    assert (saved["outage_policy"], saved["outage_grace_seconds"]) == ("budget", 45)
