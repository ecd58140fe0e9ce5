"""GET /wait/{queue_id} with an invitation, and for visitors that get no place, as it goes over the wire."""

import secrets
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from tests.conftest import TEST_SETTINGS
from tests.contract.conftest import running_site
from tests.contract.helpers import MINUTE_MS, claims_of, fresh_minute, let_passes_run, stats_of, waiting
from tests.support import plain_http
from tests.support.passes import REFUSED_PASSES, SITE_SECRET, refused_pass, site_pass
from tests.support.site import Site, new_address

STRICT = "strict-origin-when-cross-origin"


@pytest.fixture(scope="module")
def keyed(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server on the store of the usual one that knows the site's key for passes."""
    secret: Path = tmp_path_factory.mktemp("site-key") / "pass-secret"
    secret.write_text(SITE_SECRET)
    settings = {**TEST_SETTINGS, "pass_key": str(secret), "limit_guess": "10/60"}
    with running_site(site.engine, site.prefix, site.clock, tmp_path_factory, **settings) as running:
        yield running


@pytest.fixture
def browser(keyed: Site) -> Iterator[httpx.Client]:
    """A browser without scripts, at an address of its own."""
    with plain_http.client(base_url=keyed.url, headers={"X-Forwarded-For": new_address()}) as client:
        yield client


def held_line(site: Site, people: int = 1, **settings: object) -> str:
    queue_id = site.make_queue(**{"status": "paused", "unique_by": "none", **settings})
    for _ in range(people):
        waiting(site, queue_id)
    return queue_id


def issued(site: Site, queue_id: str, **wish: object) -> str:
    response = site.admin("POST", f"/queues/{queue_id}/passes", wish)
    return str(response.json()["passes"][0]["pass"])


# ------------------------------------------------------------------ invitation links


def test_a_pass_in_the_address_joins_and_leaves_the_address(keyed: Site, browser: httpx.Client) -> None:
    queue_id = held_line(keyed, 2)
    given = issued(keyed, queue_id, priority=3)
    joined = browser.get(f"/wait/{queue_id}?plain=1&lang=de&pass={given}&return=%2Fa%3Fb%3D1%26c")
    assert joined.status_code == 303
    assert joined.headers["Location"] == f"/wait/{queue_id}?plain=1&lang=de&return=%2Fa%3Fb%3D1%26c"
    assert claims_of(browser.cookies[f"wr-{queue_id}"])["priority"] == 3
    assert given not in str(joined.headers)
    shown = browser.get(joined.headers["Location"])
    assert (shown.status_code, 'id="position">1<' in shown.text) == (200, True)
    assert given not in shown.text + str(shown.headers)
    assert stats_of(keyed, queue_id)["current_waiting"] == 3


def test_a_pass_lifts_the_place_of_the_cookie(keyed: Site, browser: httpx.Client) -> None:
    queue_id = held_line(keyed, 2)
    assert 'id="position">3<' in browser.get(f"/wait/{queue_id}?plain=1").text
    link = f"/wait/{queue_id}?plain=1&pass={issued(keyed, queue_id, priority=3)}"
    assert 'id="position">1<' in browser.get(link, follow_redirects=True).text
    assert stats_of(keyed, queue_id)["current_waiting"] == 3


def test_a_visitor_that_is_let_in_already_goes_on_to_the_site(keyed: Site, browser: httpx.Client) -> None:
    queue_id = keyed.make_queue(admission_rate=1000)
    link = f"/wait/{queue_id}?plain=1&pass={issued(keyed, queue_id)}"
    browser.get(link)
    keyed.admitted(queue_id, browser.cookies[f"wr-{queue_id}"])
    location = browser.get(link).headers["Location"]
    assert location.startswith("https://shop.example/checkout?wr_token=")


@pytest.mark.parametrize("is_plain", [True, False])
def test_only_a_page_with_a_pass_in_its_address_is_kept_from_referrers_and_caches(
    keyed: Site, is_plain: bool
) -> None:
    queue_id = held_line(keyed)
    queue = f"/wait/{queue_id}?{'plain=1&' if is_plain else ''}"
    usual = keyed.http.get(queue)
    invited = keyed.http.get(f"{queue}pass=none")
    assert usual.headers["Referrer-Policy"] == STRICT
    assert invited.headers["Referrer-Policy"] == "no-referrer"
    assert invited.headers["Cache-Control"] == "no-store"
    lost = keyed.http.get("/wait/no-such-queue?pass=none")
    assert (lost.status_code, lost.headers["Referrer-Policy"]) == (404, "no-referrer")


def test_a_browser_without_scripts_is_sent_on_with_its_own_pass(keyed: Site) -> None:
    queue_id = held_line(keyed)
    for given in ("e30.e30.c2ln", '"><script>alert(1)</script>', "日本 &lang=xx"):
        page = keyed.http.get(f"/wait/{queue_id}?pass={quote(given, safe='')}").text
        address = f"/wait/{queue_id}?plain=1&amp;lang=en&amp;pass={quote(given, safe='')}"
        assert f'<noscript><meta http-equiv="refresh" content="0; url={address}"></noscript>' in page
        assert "<script>alert" not in page
    assert "pass=" not in keyed.http.get(f"/wait/{queue_id}").text


@pytest.mark.parametrize(
    ("method", "query", "headers"),
    [
        ("GET", "", {}),
        ("HEAD", "plain=1&", {}),
        ("GET", "plain=1&", {"Purpose": "prefetch"}),
        ("GET", "plain=1&left=1&", {}),
    ],
)
def test_a_look_at_an_invitation_link_uses_no_pass(
    keyed: Site, browser: httpx.Client, method: str, query: str, headers: dict[str, str]
) -> None:
    queue_id = held_line(keyed)
    given = issued(keyed, queue_id, uses=1)
    looked = browser.request(method, f"/wait/{queue_id}?{query}pass={given}", headers=headers)
    assert looked.status_code == 200
    assert stats_of(keyed, queue_id)["current_waiting"] == 1
    assert browser.get(f"/wait/{queue_id}?plain=1&pass={given}").status_code == 303


def test_a_pass_waits_in_the_address_while_the_line_is_full(keyed: Site, browser: httpx.Client) -> None:
    queue_id = held_line(keyed, 1, max_queue_size=1)
    given = issued(keyed, queue_id, priority=3)
    link = f"/wait/{queue_id}?plain=1&pass={given}"
    full = browser.get(link)
    assert (full.status_code, "Location" in full.headers) == (503, False)
    # The browser asks for the same address again; the form for another language brings the pass along.
    assert full.headers["Refresh"].isdigit()
    assert f'<input type="hidden" name="pass" value="{given}">' in full.text
    keyed.admin("PATCH", f"/queues/{queue_id}", {"max_queue_size": 10})
    assert 'id="position">1<' in browser.get(link, follow_redirects=True).text


def test_a_pass_that_is_guessed_too_often_is_a_page_that_tries_again(
    keyed: Site, browser: httpx.Client
) -> None:
    queue_id = held_line(keyed)
    fresh_minute(keyed.clock)
    answers = [browser.get(f"/wait/{queue_id}?plain=1&pass=none") for _ in range(12)]
    assert {answer.status_code for answer in answers} == {403, 429}
    assert answers[-1].status_code == 429
    assert {"Refresh", "Retry-After"} <= {name.title() for name in answers[-1].headers}


# ------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("settings", "status", "headline", "refreshes"),
    [
        ({"unique_by": "ip"}, 409, "You may already be in line", False),
        ({"max_places_per_address": 1}, 429, "Many people on your network are waiting", True),
        ({"entry": "pass"}, 403, "This line is for invited visitors", False),
    ],
)
def test_a_refused_visitor_is_told_why_and_refreshes_only_where_that_helps(
    keyed: Site,
    browser: httpx.Client,
    settings: dict[str, object],
    status: int,
    headline: str,
    refreshes: bool,
) -> None:
    queue_id = held_line(keyed, 0, **settings)
    if "entry" not in settings:
        keyed.join(queue_id, address=browser.headers["X-Forwarded-For"])
    page = browser.get(f"/wait/{queue_id}?plain=1")
    assert (page.status_code, f">{headline}</h1>" in page.text) == (status, True)
    assert ("Refresh" in page.headers) == refreshes
    assert ("Retry-After" in page.headers) == (status == 429)
    if refreshes:
        assert int(page.headers["Retry-After"]) <= int(page.headers["Refresh"]) <= 60
    assert ("Try again now" in page.text) == (status == 409)
    assert f"wr-{queue_id}" not in browser.cookies


def test_a_blocked_visitor_is_told_until_when(keyed: Site, browser: httpx.Client) -> None:
    queue_id = held_line(keyed)
    keyed.clock.advance((MINUTE_MS - keyed.clock() % MINUTE_MS) / 1000)
    block = {"address": browser.headers["X-Forwarded-For"], "block_for": 3600}
    ends = keyed.admin("POST", f"/queues/{queue_id}/blocks", block).json()["blocks"][0]["blocked_until"]
    page = browser.get(f"/wait/{queue_id}?plain=1&lang=de")
    assert (page.status_code, "Refresh" in page.headers) == (403, False)
    year, month, day = ends[:10].split("-")
    assert f"{day}.{month}.{year}, {ends[11:19]} UTC" in page.text


@pytest.mark.parametrize("entry", ["open", "pass"])
@pytest.mark.parametrize("reason", REFUSED_PASSES)
def test_a_pass_that_does_not_count_is_told_by_its_reason(
    keyed: Site, browser: httpx.Client, reason: str, entry: str
) -> None:
    queue_id = held_line(keyed, 0, entry=entry)
    given = refused_pass(keyed, queue_id, keyed.clock(), reason)
    page = browser.get(f"/wait/{queue_id}?plain=1&lang=en&pass={given}")
    assert page.status_code == 403
    assert f'data-state="pass_{reason}"' in page.text
    assert "Refresh" not in page.headers
    assert (f'href="/wait/{queue_id}?plain=1">Join without the invitation<' in page.text) == (entry == "open")
    assert f"wr-{queue_id}" not in browser.cookies
    assert stats_of(keyed, queue_id)["current_waiting"] == 0


def test_a_visitor_with_a_place_goes_on_without_a_pass_that_does_not_count(
    keyed: Site, browser: httpx.Client
) -> None:
    queue_id = held_line(keyed, 0, entry="pass")
    browser.get(f"/wait/{queue_id}?plain=1&pass={issued(keyed, queue_id)}")
    page = browser.get(
        f"/wait/{queue_id}?plain=1&pass={refused_pass(keyed, queue_id, keyed.clock(), 'expired')}"
    )
    assert (page.status_code, "Join without the invitation" in page.text) == (403, True)
    assert 'id="position">1<' in browser.get(f"/wait/{queue_id}?plain=1").text


def test_a_place_does_not_lapse_while_its_visitor_shows_passes_that_do_not_count(
    keyed: Site, browser: httpx.Client
) -> None:
    queue_id = held_line(keyed, 0, heartbeat_timeout_seconds=60)
    given = refused_pass(keyed, queue_id, keyed.clock(), "expired")
    browser.get(f"/wait/{queue_id}?plain=1")
    for _ in range(3):
        keyed.clock.advance(40)
        let_passes_run(keyed)
        assert browser.get(f"/wait/{queue_id}?plain=1&pass={given}").status_code == 403
    assert 'id="position">1<' in browser.get(f"/wait/{queue_id}?plain=1").text


def test_the_site_may_sign_passes_for_whomever_it_invites(keyed: Site, browser: httpx.Client) -> None:
    queue_id = held_line(keyed, 0, entry="pass")
    given = site_pass(keyed.clock(), queue_id, f"user-{secrets.token_hex(4)}", priority=1)
    assert browser.get(f"/wait/{queue_id}?plain=1&pass={given}").status_code == 303
