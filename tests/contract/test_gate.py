"""GET /api/v1/gate/{queue_id}: what a proxy is told about each request to the site."""

import re
import time
from collections.abc import Iterator
from http.cookies import SimpleCookie
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pytest

from tests.conftest import TEST_SETTINGS
from tests.contract.conftest import running_site
from tests.contract.gate import ask, busy_queue, with_session
from tests.contract.helpers import (
    Visit,
    claims_of,
    enter,
    open_queue,
    seconds_of,
    session_call,
    terminate,
    wait_until,
    waiting,
)
from tests.support import plain_http
from tests.support.site import BASE, Site

ORIGIN_KEY = "the-sites-own-secret"


@pytest.fixture
def visit(site: Site) -> Visit:
    """Somebody who is in."""
    return enter(site, open_queue(site))


def test_who_has_a_session_passes_and_the_site_learns_which(site: Site, visit: Visit) -> None:
    for headers in (
        {"Cookie": f"a=b; wr_session-{visit.queue_id}={visit.session_token}"},
        {"Authorization": f"Bearer {visit.session_token}"},
        {"Cookie": f"wr_session-{visit.queue_id}=stale", "Authorization": f"bearer {visit.session_token}"},
    ):
        response = ask(site, visit.queue_id, **headers)
        assert (response.status_code, response.content) == (204, b"")
        assert response.headers["X-WR-Session"] == visit.session_id
        assert response.headers["X-WR-Queue"] == visit.queue_id


def test_who_has_none_is_sent_to_the_waiting_page_with_the_way_back(site: Site) -> None:
    queue_id = busy_queue(site)
    response = ask(site, queue_id, "/tickets?row=1&seat=2 3")
    assert response.status_code == 303
    parts = urlsplit(response.headers["Location"])
    assert (parts.netloc, parts.path) == ("", f"/wait/{queue_id}")
    assert parse_qs(parts.query) == {"return": ["/tickets?row=1&seat=2%203"]}


def test_a_proxy_that_knows_no_redirects_gets_401_and_the_address_beside_it(site: Site) -> None:
    queue_id = busy_queue(site)
    response = ask(site, queue_id, "/a", query="?refuse=401")
    assert (response.status_code, "Location" in response.headers) == (401, False)
    assert response.headers["X-WR-Location"] == f"/wait/{queue_id}?return=%2Fa"


def test_what_was_not_looked_at_but_sent_is_no_way_back(site: Site) -> None:
    queue_id = busy_queue(site)
    for headers in (
        {"X-Forwarded-Method": "POST"},
        {"X-Forwarded-Method": "HEAD"},
        {"Sec-Fetch-Dest": "image"},
        {"X-Original-Method": "POST"},
    ):
        response = ask(site, queue_id, "/buy", **headers)
        assert response.headers["Location"] == f"/wait/{queue_id}", headers


@pytest.mark.parametrize("token", ["", "nonsense", "eyJhbGciOiJub25lIn0.e30."])
def test_a_false_token_opens_nothing(site: Site, token: str) -> None:
    queue_id = busy_queue(site)
    for headers in (
        {"Cookie": f"wr_session-{queue_id}={token}"},
        {"Authorization": f"Bearer {token or 'x'}"},
    ):
        assert ask(site, queue_id, f"/?wr_token={token}", **headers).status_code == 303


def test_a_place_in_line_and_the_session_of_another_queue_open_nothing(site: Site, visit: Visit) -> None:
    queue_id = busy_queue(site)
    for token in (visit.session_token, waiting(site, queue_id)):
        response = ask(site, queue_id, **{"Cookie": f"wr_session-{queue_id}={token}"})
        assert response.status_code == 303


def test_who_arrives_with_a_token_gets_it_as_a_cookie_and_an_address_without_it(
    site: Site, visit: Visit
) -> None:
    response = ask(site, visit.queue_id, f"/tickets?a=1&wr_token={visit.session_token}&b=2")
    assert response.status_code == 303
    assert response.headers["Location"] == "/tickets?a=1&b=2"
    (cookie,) = SimpleCookie(response.headers["Set-Cookie"]).values()
    assert (cookie.key, cookie.value) == (f"wr_session-{visit.queue_id}", visit.session_token)
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", "/")
    # Not the session's own end, which may be put off: the gate says when it is over.
    assert int(cookie["max-age"]) == 7 * 24 * 3600
    assert with_session(site, visit, "/tickets?a=1&b=2").status_code == 204


def test_over_https_the_cookie_comes_along_when_a_payment_provider_has_the_buyer_post(
    site: Site, visit: Visit
) -> None:
    response = ask(
        site, visit.queue_id, f"/?wr_token={visit.session_token}", **{"X-Forwarded-Proto": "https"}
    )
    (cookie,) = SimpleCookie(response.headers["Set-Cookie"]).values()
    assert (cookie["samesite"], cookie["secure"], cookie["httponly"]) == ("None", True, True)


def test_an_old_token_in_the_address_takes_the_place_of_no_session(site: Site, visit: Visit) -> None:
    old, other = enter(site, visit.queue_id), enter(site, visit.queue_id)
    terminate(site, old.session_id)
    for arriving in (old, other):
        response = with_session(site, visit, f"/t?wr_token={arriving.session_token}")
        assert (response.status_code, response.headers["Location"]) == (303, "/t")
        assert "Set-Cookie" not in response.headers
    alone = ask(site, visit.queue_id, f"/t?wr_token={old.session_token}")
    assert (alone.headers["Location"], "Set-Cookie" in alone.headers) == ("/t", False)


def test_what_is_posted_with_a_token_in_its_address_arrives(site: Site, visit: Visit) -> None:
    target = f"/paid?wr_token={visit.session_token}"
    posted = ask(site, visit.queue_id, target, **{"X-Forwarded-Method": "POST"})
    assert (posted.status_code, posted.headers["X-WR-Session"]) == (204, visit.session_id)


def test_a_token_of_the_sites_own_is_not_looked_for_among_ours(site: Site) -> None:
    own = jwt.encode({"sub": "me"}, "k" * 32, algorithm="HS256", headers={"kid": "the-sites-own"})
    queue_id = busy_queue(site)
    began = time.monotonic()
    # To look for the key would take a pause of one second from the second request on.
    for _ in range(12):
        assert ask(site, queue_id, "/", Authorization=f"Bearer {own}").status_code == 303
    assert time.monotonic() - began < 8


def test_open_paths_addresses_and_health_checkers_pass_without_a_session(site: Site) -> None:
    queue_id = busy_queue(
        site,
        open_paths="/robots.txt /assets/*",
        open_addresses="192.0.2.0/24 2001:db8::7",
        open_agents="kube-probe/ ELB-HealthChecker/",
    )
    for uri in ("/robots.txt", "/robots.txt?x", "/assets/", "/assets/a/b.css?v=1"):
        assert ask(site, queue_id, uri).status_code == 204, uri
    for uri in (
        "/robots.txt2",
        "/assets",
        "/assets/../secret",
        "/assets/%2e%2e/secret",
        "/assets/..%2fx",
        "/assets/..;/secret",
        "//assets/secret",
        "/assets//secret",
        "/assets/./secret",
        "/assets/x#/../../secret",
        "/robots.txt#/../secret",
        "robots.txt",
        # What comes late in an address counts as well.
        f"/assets/{'a' * 4100}/../../secret",
        f"/assets/{'a' * 4100}",
        "/",
    ):
        assert ask(site, queue_id, uri).status_code == 303, uri
    for address, status in (("192.0.2.9", 204), ("2001:db8::7", 204), ("198.51.100.1", 303)):
        assert ask(site, queue_id, **{"X-Forwarded-For": address}).status_code == status, address
    for agent, status in (("kube-probe/1.30", 204), ("Mozilla/5.0 kube-probe/", 303)):
        assert ask(site, queue_id, **{"User-Agent": agent}).status_code == status, agent
    posts = {"User-Agent": "kube-probe/1.30", "X-Forwarded-Method": "POST"}
    assert ask(site, queue_id, **posts).status_code == 303
    assert ask(site, queue_id, **posts, **{"X-Original-Method": "GET"}).status_code == 303


@pytest.mark.parametrize(
    ("field", "value"),
    [("open_paths", "robots.txt"), ("open_addresses", "192.0.2.0/33"), ("open_addresses", "example.com")],
)
def test_what_the_gate_could_not_go_by_is_refused_when_it_is_set(site: Site, field: str, value: str) -> None:
    response = site.admin("PATCH", f"/queues/{site.make_queue()}", {field: value})
    assert (response.status_code, response.json()["error"]["details"]) == (400, {"field": field})


def test_page_views_and_activity_are_counted_without_asking_the_store_each_time(
    site: Site, visit: Visit
) -> None:
    for _ in range(5):
        with_session(site, visit, "/page", **{"Sec-Fetch-Dest": "document"})
        with_session(site, visit, "/a.css", **{"Sec-Fetch-Dest": "style"})
        with_session(site, visit, "/old-browser", Accept="text/html,*/*")
    state = f"/sessions/{visit.session_id}"
    site.wait_for(
        lambda: site.call("GET", state, visit.session_token), lambda r: r.json()["page_views"] == 10
    )


def test_a_terminated_session_is_shut_out_within_two_seconds(site: Site, visit: Visit) -> None:
    assert with_session(site, visit).status_code == 204
    terminate(site, visit.session_id)
    wait_until(lambda: with_session(site, visit).status_code != 204, seconds=2)


def test_an_expired_session_is_shut_out(site: Site) -> None:
    visit = enter(site, open_queue(site, session_timeout_seconds=60))
    assert with_session(site, visit).status_code == 204
    site.clock.advance(61)
    wait_until(lambda: with_session(site, visit).status_code != 204, seconds=2)


def test_envoy_asks_with_the_visitors_own_method_and_path(site: Site, visit: Visit) -> None:
    queue_id = busy_queue(site)
    url = f"{site.url}{BASE}/gate/{queue_id}/tickets/a?b=c"
    for method in ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        response = plain_http.request(method, url)
        assert response.status_code == 303, method
        back = "?return=%2Ftickets%2Fa%3Fb%3Dc" if method == "GET" else ""
        assert response.headers["Location"] == f"/wait/{queue_id}{back}"
    passed = plain_http.post(
        f"{site.url}{BASE}/gate/{visit.queue_id}/buy",
        headers={"Cookie": f"wr_session-{visit.queue_id}={visit.session_token}"},
    )
    # It takes nothing else for a yes, not even 204.
    assert (passed.status_code, passed.content) == (200, b"")
    assert passed.headers["X-WR-Session"] == visit.session_id
    # It comes decoded, and is another page when it is decoded twice.
    twice = plain_http.get(f"{site.url}{BASE}/gate/{queue_id}/a%2541b")
    assert twice.headers["Location"] == f"/wait/{queue_id}?return=%2Fa%252541b"
    odd = plain_http.get(f"{site.url}{BASE}/gate/{queue_id}/a?refuse=401")
    assert (odd.status_code, odd.headers["Location"]) == (303, f"/wait/{queue_id}?return=%2Fa%3Frefuse%3D401")


def test_where_two_headers_name_two_paths_neither_is_open(site: Site) -> None:
    queue_id = busy_queue(site, open_paths="/robots.txt")
    for one, other, status in (
        ("/robots.txt", "/tickets", 303),
        ("/tickets", "/robots.txt", 303),
        ("/robots.txt", "/robots.txt", 204),
    ):
        asked = ask(site, queue_id, one, **{"X-Original-URI": other})
        assert asked.status_code == status, (one, other)
    appended = plain_http.get(
        f"{site.url}{BASE}/gate/{queue_id}/tickets",
        headers={"X-Original-URI": "/robots.txt", "X-Forwarded-Uri": "/robots.txt"},
    )
    assert appended.status_code == 303


def test_who_passes_without_a_session_is_said_to_have_none(site: Site) -> None:
    queue_id = busy_queue(site, open_paths="/robots.txt")
    passed = ask(site, queue_id, "/robots.txt", **{"X-WR-Session": "forged"})
    assert (passed.status_code, passed.headers["X-WR-Session"]) == (204, "")


@pytest.mark.parametrize(
    "uri", ["//evil.example/", "/\\evil.example", "/\\/evil.example", "https://evil.example/", "/a b#c"]
)
def test_no_redirect_of_the_gate_ever_leads_to_another_site(site: Site, visit: Visit, uri: str) -> None:
    queue_id = busy_queue(site)
    waits = ask(site, queue_id, uri).headers["Location"]
    (back,) = parse_qs(urlsplit(waits).query)["return"]
    arrives = ask(site, visit.queue_id, f"{uri}?wr_token={visit.session_token}").headers["Location"]
    walks_in = ask(site, open_queue(site), uri).headers["Location"]
    for location in (back, arrives, walks_in):
        assert re.match(r"/([^/\\\\]|$)", location), location


@pytest.fixture(scope="module")
def keyed(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server with a key for the site behind it."""
    settings = {**TEST_SETTINGS, "origin_key": ORIGIN_KEY}
    with running_site(site.engine, site.prefix, site.clock, tmp_path_factory, **settings) as running:
        yield running


def command(site: Site, visit: Visit, spelled: str, key: str = ORIGIN_KEY) -> httpx.Response:
    return plain_http.post(
        f"{site.url}{BASE}/gate-commands/{visit.queue_id}",
        headers={
            "X-WR-Origin-Key": key,
            "X-WR-Command": spelled,
            "Cookie": f"wr_session-{visit.queue_id}={visit.session_token}",
        },
    )


@pytest.mark.parametrize("spelled", ["end", "revoke"])
def test_the_site_ends_a_session_and_the_next_in_line_gets_in(keyed: Site, spelled: str) -> None:
    queue_id = open_queue(keyed, max_active_users=1)
    visit = enter(keyed, queue_id)
    assert with_session(keyed, visit).status_code == 204
    token = waiting(keyed, queue_id)
    assert command(keyed, visit, spelled).status_code == 204
    assert with_session(keyed, visit).status_code == 303
    keyed.admitted(queue_id, token)


def test_the_site_gives_a_session_more_time_than_its_token_says(keyed: Site) -> None:
    visit = enter(keyed, open_queue(keyed, session_timeout_seconds=60))
    assert command(keyed, visit, "extend=600").status_code == 204
    keyed.clock.advance(300)
    assert with_session(keyed, visit).status_code == 204
    arrives = ask(keyed, visit.queue_id, f"/?wr_token={visit.session_token}")
    (cookie,) = SimpleCookie(arrives.headers["Set-Cookie"]).values()
    assert int(cookie["max-age"]) > 600
    keyed.clock.advance(301)
    wait_until(lambda: with_session(keyed, visit).status_code == 303, seconds=3)


@pytest.mark.parametrize(
    ("spelled", "key", "status"),
    [
        ("end", "wrong", 403),
        ("extend=600", "", 403),
        ("extend", ORIGIN_KEY, 400),
        ("extend=0", ORIGIN_KEY, 400),
        ("extend=-5", ORIGIN_KEY, 400),
        ("extend=604801", ORIGIN_KEY, 400),
        ("explode", ORIGIN_KEY, 400),
        ("", ORIGIN_KEY, 204),
    ],
)
def test_nobody_else_commands_and_nothing_else_is_a_command(
    keyed: Site, spelled: str, key: str, status: int
) -> None:
    visit = enter(keyed, open_queue(keyed))
    assert command(keyed, visit, spelled, key).status_code == status
    assert with_session(keyed, visit).status_code == 204


def test_a_command_is_for_the_session_that_opens_the_gate(keyed: Site) -> None:
    queue_id = open_queue(keyed)
    old, new = enter(keyed, queue_id), enter(keyed, queue_id)
    terminate(keyed, old.session_id)
    both = {"Authorization": f"Bearer {new.session_token}"}
    assert with_session(keyed, old, **both).headers["X-WR-Session"] == new.session_id
    ended = plain_http.post(
        f"{keyed.url}{BASE}/gate-commands/{queue_id}",
        headers={
            **both,
            "Cookie": f"wr_session-{queue_id}={old.session_token}",
            "X-WR-Origin-Key": ORIGIN_KEY,
            "X-WR-Command": "end",
        },
    )
    assert ended.status_code == 204
    assert with_session(keyed, new).status_code == 303


def test_a_command_may_name_its_session(keyed: Site) -> None:
    visit = enter(keyed, open_queue(keyed))
    url = f"{keyed.url}{BASE}/sessions/{visit.session_id}/commands"
    headers = {"X-WR-Origin-Key": ORIGIN_KEY}
    assert (
        plain_http.post(url, headers=headers, json={"command": "extend", "seconds": 7200}).status_code == 200
    )
    ended = plain_http.post(url, headers=headers, json={"command": "end"})
    assert (ended.status_code, ended.json()["command"]) == (200, "end")
    again = plain_http.post(url, headers=headers, json={"command": "end"})
    assert (again.status_code, again.json()["error"]["code"]) == (410, "SESSION_EXPIRED")


def test_an_extension_brings_a_token_that_says_the_new_end(keyed: Site) -> None:
    visit = enter(keyed, open_queue(keyed))
    url = f"{keyed.url}{BASE}/sessions/{visit.session_id}/commands"
    headers = {"X-WR-Origin-Key": ORIGIN_KEY}
    said = plain_http.post(url, headers=headers, json={"command": "extend", "seconds": 7200}).json()
    before, after = claims_of(visit.session_token), claims_of(said["session_token"])
    # A token says whole seconds, and never ends before its session.
    assert 0 <= after["exp"] - seconds_of(said["expires_at"]) <= 1
    assert after["exp"] > before["exp"]
    assert {**after, "exp": 0} == {**before, "exp": 0}
    assert session_call(keyed, visit, token=said["session_token"]).status_code == 200
    ended = plain_http.post(url, headers=headers, json={"command": "end"})
    assert "session_token" not in ended.json()


def test_an_unknown_queue_lets_nobody_pass(site: Site) -> None:
    assert ask(site, "no-such-queue").status_code == 404
