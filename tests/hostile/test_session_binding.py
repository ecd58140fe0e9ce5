"""One session shared by a crowd: how far it opens the site, and what an operator sees of it."""

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.conftest import TEST_SETTINGS
from tests.contract.gate import ask
from tests.contract.helpers import Visit, claims_of, enter, open_queue, wait_until
from tests.support.scrape import scrape
from tests.support.server import running_server
from tests.support.site import BASE, Site

PAGE = {"Sec-Fetch-Dest": "document"}


@pytest.fixture(scope="module")
def other_server(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A second server on the store of the usual one."""
    settings = {
        **TEST_SETTINGS,
        "store_url": site.engine.url,
        "store_prefix": site.prefix,
        "data_dir": str(tmp_path_factory.mktemp("other")),
        "fast_lane": site.engine.fast_lane,
        "grace": "0.2",
    }
    with running_server(site.clock, **settings) as ready:
        running = Site(ready.url, ready.admin_key, site.clock, site.engine, site.prefix)
        yield running
        running.http.close()


def come(site: Site, visit: Visit, address: str, uri: str = "/", **headers: str) -> httpx.Response:
    """Ask for a page with the session's cookie, from that address."""
    cookie = f"wr_session-{visit.queue_id}={visit.session_token}"
    return ask(site, visit.queue_id, uri, **{"Cookie": cookie, "X-Forwarded-For": address, **PAGE, **headers})


def bound_visit(site: Site, binding: str, **settings: object) -> Visit:
    """The only session that a queue has room for."""
    queue_id = open_queue(site, session_binding=binding, max_active_users=1, **settings)
    visit = enter(site, queue_id)
    # Until the room is seen to be full, visitors walk in.
    wait_until(lambda: site.admin("GET", f"/queues/{queue_id}/stats").json()["current_active"] == 1)
    return visit


def facts_of(site: Site, visit: Visit) -> dict[str, object]:
    return dict(site.admin("GET", f"/sessions/{visit.session_id}").json())


def test_one_session_opens_the_site_to_four_networks_and_to_no_crowd(site: Site, other_server: Site) -> None:
    visit = bound_visit(site, "network")
    passed = [
        come((site, other_server)[number % 2], visit, f"203.0.{number}.9").status_code == 204
        for number in range(40)
    ]
    assert passed == [number < 4 for number in range(40)]
    refused = come(site, visit, "203.0.39.9")
    assert urlsplit(refused.headers["Location"]).path == f"/wait/{visit.queue_id}"


def test_without_a_binding_a_session_opens_the_site_to_whoever_brings_it_and_that_is_seen(
    site: Site,
) -> None:
    visit = bound_visit(site, "none")
    assert all(come(site, visit, f"203.0.{number}.9").status_code == 204 for number in range(40))
    wait_until(lambda: facts_of(site, visit)["addresses"] == 32)
    samples = scrape(site.http)
    assert samples.value("wr_queue_sessions_shared_total", queue=visit.queue_id) == 1
    assert samples.value("wr_queue_session_callers_refused_total", queue=visit.queue_id) == 0


def test_a_phone_that_moves_keeps_its_session_and_what_it_did_is_counted(site: Site) -> None:
    visit = bound_visit(site, "network")
    way = ["203.0.113.5", "198.51.100.7", "203.0.113.99", "2001:db8:1:200::5", "2001:db8:1:2ff::9"]
    for address in [*way, *way, "192.0.2.1", *way]:
        assert come(site, visit, address).status_code == 204, address
    wait_until(lambda: facts_of(site, visit)["page_views"] == 16)
    assert facts_of(site, visit)["addresses"] == 6


def test_a_browser_is_known_by_its_user_agent_wherever_it_is(site: Site) -> None:
    visit = bound_visit(site, "browser")
    passed = [
        come(site, visit, f"203.0.{number}.9", **{"User-Agent": f"browser {number % 3}"}).status_code == 204
        for number in range(9)
    ]
    assert passed == [number % 3 < 2 for number in range(9)]


def test_a_stranger_network_leaves_no_page_view_and_is_counted_for_the_operator(site: Site) -> None:
    visit = bound_visit(site, "network")
    for number in range(20):
        come(site, visit, f"203.0.{number}.9")
    wait_until(lambda: facts_of(site, visit)["page_views"] == 4)
    assert facts_of(site, visit)["addresses"] == 20
    refused = scrape(site.http).value("wr_queue_session_callers_refused_total", queue=visit.queue_id)
    assert refused == 16


def test_whoever_is_refused_joins_anew_and_is_not_sent_round_in_a_circle(site: Site) -> None:
    visit = bound_visit(site, "network")
    for number in range(4):
        come(site, visit, f"203.0.{number}.9")
    # With the cookie of the place, too, which became this very session, and with the token in the address.
    for uri in ("/tickets", f"/tickets?wr_token={visit.session_token}"):
        answer = come(site, visit, "203.0.99.9", uri)
        assert "Set-Cookie" not in answer.headers
        parts = urlsplit(answer.headers["Location"])
        assert parts.path == f"/wait/{visit.queue_id}"
        assert parse_qs(parts.query)["return"] == ["/tickets"]
    page = site.http.get(answer.headers["Location"], headers={"Cookie": f"wr-{visit.queue_id}={visit.token}"})
    assert any(
        each.startswith(f"wr-{visit.queue_id}=; Max-Age=0") for each in page.headers.get_list("set-cookie")
    )
    plain = site.http.get(
        f"{answer.headers['Location']}&plain=1",
        headers={"Cookie": f"wr-{visit.queue_id}={visit.token}", "X-Forwarded-For": "203.0.99.9"},
    )
    assert plain.status_code == 200, plain.headers
    (cookie,) = [each for each in plain.headers.get_list("set-cookie") if each.startswith("wr-")]
    new_place = claims_of(cookie.partition("=")[2].partition(";")[0])["sub"]
    assert new_place != claims_of(visit.token)["sub"]


def test_an_address_that_somebody_spreads_costs_no_visitor_a_place(site: Site) -> None:
    visit, victim = bound_visit(site, "network"), enter(site, open_queue(site))
    for number in range(5):
        answer = come(site, visit, f"203.0.{number}.9")
    (note,) = parse_qs(urlsplit(answer.headers["Location"]).query)["wr_refused"]
    for said in (note, f"{note}x", "nonsense", note.replace(".", ".A", 1), victim.token, ""):
        page = site.http.get(
            f"/wait/{victim.queue_id}?wr_refused={said}",
            headers={"Cookie": f"wr-{victim.queue_id}={victim.token}"},
        )
        assert (page.status_code, "Set-Cookie" in page.headers) == (200, False), said


def test_where_the_binding_is_the_address_one_who_is_refused_gets_no_session_in_a_circle(
    site: Site,
) -> None:
    queue_id = open_queue(site, session_binding="browser", unique_by="ip")
    visit = enter(site, queue_id)
    address = "203.0.113.200"
    for number in range(2):
        assert come(site, visit, address, **{"User-Agent": f"browser {number}"}).status_code == 204
    answer = come(site, visit, address, **{"User-Agent": "another"})
    assert answer.status_code == 303


def test_an_operator_sees_a_queues_binding_and_changes_it_at_once(site: Site) -> None:
    visit = bound_visit(site, "none")
    for number in range(10):
        assert come(site, visit, f"203.0.{number}.9").status_code == 204
    changed = site.admin("PATCH", f"/queues/{visit.queue_id}", {"session_binding": "network"})
    assert changed.json()["session_binding"] == "network"
    wait_until(lambda: come(site, visit, "203.0.0.9").status_code == 204)
    # The setting is known everywhere within an admission interval; then four networks pass.
    wait_until(
        lambda: sum(come(site, visit, f"203.0.{number}.9").status_code == 204 for number in range(10)) == 4
    )
    wrong = site.admin("PATCH", f"/queues/{visit.queue_id}", {"session_binding": "planet"})
    assert wrong.status_code == 400
    assert site.call("GET", f"/queues/{visit.queue_id}").status_code == 200
    assert site.http.get(f"{BASE}/health").status_code == 200
