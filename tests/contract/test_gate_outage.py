"""The gate while the store is away: who is in stays in, and the queue's policy decides on others."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from http.cookies import SimpleCookie

import jwt
import pytest

from tests.contract.conftest import Stranded, running_site
from tests.contract.gate import ask, with_session
from tests.contract.helpers import enter, open_queue, wait_until
from tests.support import plain_http
from tests.support.clock import HandClock
from tests.support.engines import running_engine
from tests.support.site import BASE, Site


def test_while_the_store_is_away_who_has_a_session_stays_in_and_nobody_else_gets_in(
    stranded: Stranded,
) -> None:
    site = stranded.site
    assert with_session(site, stranded.visit).status_code == 204
    wait_until(lambda: ask(site, stranded.queue_id).status_code == 503)
    shut = ask(site, stranded.queue_id)
    assert (shut.status_code, shut.headers["Content-Type"]) == (503, "text/html; charset=utf-8")
    nginx = ask(site, stranded.queue_id, query="?refuse=401")
    assert (nginx.status_code, nginx.headers["X-WR-Outage"]) == (403, "closed")


@pytest.fixture
def leaving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, ExitStack]]:
    """A server, and what ends its store when it is closed."""
    with ExitStack() as stack:
        store = stack.enter_context(ExitStack())
        engine = store.enter_context(running_engine("valkey", tmp_path_factory.mktemp("leaving")))
        site = stack.enter_context(
            running_site(
                engine, "wr", HandClock(), tmp_path_factory, admission_interval="0.2", limit_admin="0"
            )
        )
        yield site, store


def test_on_a_budget_a_visitor_is_let_in_with_all_that_belongs_to_the_page(
    leaving: tuple[Site, ExitStack],
) -> None:
    site, store = leaving
    shop, other = (
        open_queue(site, outage_policy="budget", outage_grace_seconds=0, outage_rate=0.001) for _ in range(2)
    )
    store.close()
    wait_until(lambda: ask(site, shop, "/a.png", **{"Sec-Fetch-Dest": "image"}).status_code == 503)
    page = ask(site, shop, "/tickets?row=1", **{"X-Forwarded-Proto": "https"})
    assert (page.status_code, page.headers["Location"]) == (303, "/tickets?row=1")
    (cookie,) = SimpleCookie(page.headers["Set-Cookie"]).values()
    assert (cookie["samesite"], cookie["secure"], cookie["httponly"]) == ("None", True, True)
    carried = {"Cookie": f"{cookie.key}={cookie.value}"}
    for path in ("/tickets?row=1", "/a.css", "/b.js"):
        passed = ask(site, shop, path, **carried, **{"Sec-Fetch-Dest": "image"})
        assert (passed.status_code, passed.headers["X-WR-Outage"]) == (204, "budget")
    # The budget is spent, and a pass is for its queue, unspoilt, and for a while.
    assert ask(site, shop, "/").status_code == 503
    elsewhere = {"Cookie": f"wr_outage-{other}={cookie.value}", "Sec-Fetch-Dest": "image"}
    assert ask(site, other, "/", **elsewhere).status_code == 503
    spoilt = {"Cookie": f"{cookie.key}={cookie.value[:-4]}AAAA"}
    assert ask(site, shop, "/", **spoilt).status_code == 503
    site.clock.advance(3601)
    assert ask(site, shop, "/", **carried).status_code == 503


def test_who_is_past_the_end_of_a_session_is_not_in_any_more_though_nobody_can_ask(
    leaving: tuple[Site, ExitStack],
) -> None:
    site, store = leaving
    queue_id = open_queue(site, session_timeout_seconds=60)
    seen, unseen = enter(site, queue_id), enter(site, queue_id)
    assert with_session(site, seen).status_code == 204
    store.close()
    wait_until(lambda: ask(site, queue_id).status_code == 503)
    assert [with_session(site, visit).status_code for visit in (seen, unseen)] == [204, 204]
    site.clock.advance(61)
    assert [with_session(site, visit).status_code for visit in (seen, unseen)] == [503, 503]


def test_who_was_ended_by_the_site_is_out_though_the_store_goes_away_that_moment(
    leaving: tuple[Site, ExitStack],
) -> None:
    site, store = leaving
    visit = enter(site, open_queue(site))
    assert with_session(site, visit).status_code == 204
    ended = plain_http.post(
        f"{site.url}{BASE}/sessions/{visit.session_id}/commands",
        headers={"X-Admin-Key": site.admin_key},
        json={"command": "end"},
    )
    assert ended.status_code == 200
    store.close()
    for _ in range(3):
        assert with_session(site, visit).status_code in (303, 503)


def test_a_token_of_nobody_knows_whom_does_not_keep_the_policy_from_deciding(
    leaving: tuple[Site, ExitStack],
) -> None:
    site, store = leaving
    queue_id = open_queue(site, outage_policy="open", outage_grace_seconds=0)
    store.close()
    foreign = jwt.encode({"sub": "x"}, "k" * 32, algorithm="HS256", headers={"kid": "session-000000000000"})
    wait_until(lambda: ask(site, queue_id, "/").status_code == 204)
    began = time.monotonic()
    assert ask(site, queue_id, f"/?wr_token={foreign}").status_code == 204
    assert ask(site, queue_id, "/", Authorization=f"Bearer {foreign}").status_code == 204
    assert time.monotonic() - began < 10
