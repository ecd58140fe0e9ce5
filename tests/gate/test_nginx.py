"""The example for nginx, run for real: who gets to the site, and who to the waiting page."""

import os
import signal
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from tests.contract.helpers import terminate, wait_until
from tests.gate.conftest import Gated


def hold(gated: Gated) -> None:
    """Have somebody stand in line, so that nobody walks in."""
    gated.room.admin("PATCH", "/queues/demo", {"status": "paused", "unique_by": "none"})
    gated.room.join("demo")
    wait_until(lambda: gated.room.call("GET", "/queues/demo").json()["queue_length"] == 1)


def let_in(gated: Gated, browser: httpx.Client, path: str = "/tickets?row=1") -> None:
    """Walk in: an empty line, a free room."""
    response = browser.get(path)
    assert (response.status_code, response.headers["Location"]) == (303, path)
    arrived = browser.get(path)
    assert (arrived.status_code, "The shop" in arrived.text) == (200, True)


def session_of(gated: Gated) -> str:
    """The session that the site saw last."""
    return gated.shop.seen[-1][1]


def test_who_is_not_let_in_sees_the_waiting_page_and_never_the_site(gated: Gated) -> None:
    hold(gated)
    with httpx.Client(base_url=gated.url) as browser:
        response = browser.get("/tickets?row=1", headers={"Accept": "text/html"})
        assert response.status_code == 303
        assert response.headers["Location"] == "/wait/demo?return=%2Ftickets%3Frow%3D1"
        page = browser.get(response.headers["Location"])
        assert (page.status_code, "You are" in page.text) == (200, True)
    assert gated.shop.seen == []


def test_who_waited_comes_back_to_what_was_asked_for_and_the_token_leaves_the_address(gated: Gated) -> None:
    hold(gated)
    gated.room.admin("PATCH", "/queues/demo", {"target_url": f"{gated.url}/"})
    with httpx.Client(base_url=gated.url) as browser:
        waits = browser.get("/tickets?row=1").headers["Location"]
        joined = browser.get(f"{waits}&plain=1")
        assert "Refresh" in joined.headers
        gated.room.admin("PATCH", "/queues/demo", {"status": "active"})
        wait_until(lambda: browser.get("/wait/demo?plain=1").status_code == 303)
        entered = browser.get("/wait/demo?plain=1").headers["Location"]
        assert entered.startswith(f"{gated.url}/tickets?row=1&wr_token=")
        arrives = browser.get(entered)
        assert (arrives.status_code, arrives.headers["Location"]) == (303, "/tickets?row=1")
        assert "The shop" in browser.get("/tickets?row=1").text
    assert [path for path, _ in gated.shop.seen] == ["/tickets?row=1"]
    assert "wr_token" not in str(gated.shop.seen)


def test_while_nobody_waits_a_visitor_walks_in_and_is_known_to_the_site(gated: Gated) -> None:
    with httpx.Client(base_url=gated.url) as browser:
        let_in(gated, browser)
        for _ in range(20):
            assert browser.get("/more").status_code == 200
    sessions = {session for _, session in gated.shop.seen}
    assert len(gated.shop.seen) == 21
    assert len(sessions) == 1
    assert "" not in sessions


def test_a_session_that_is_terminated_is_back_in_line_within_two_seconds(gated: Gated) -> None:
    with httpx.Client(base_url=gated.url) as browser:
        let_in(gated, browser)
        hold(gated)
        terminate(gated.room, session_of(gated))
        wait_until(lambda: browser.get("/tickets").status_code == 303, seconds=2)
        assert urlsplit(browser.get("/tickets").headers["Location"]).path == "/wait/demo"


def test_the_site_ends_a_session_with_a_header_of_its_answer(gated: Gated) -> None:
    with httpx.Client(base_url=gated.url) as browser:
        let_in(gated, browser)
        hold(gated)
        gated.shop.command = "end"
        assert browser.get("/thanks").status_code == 200
        wait_until(lambda: browser.get("/tickets").status_code == 303, seconds=3)


def kill_store(tmp_path: Path) -> None:
    """Freeze the embedded store: killed, it would be started again."""
    (pid,) = [
        int(each.name)
        for each in Path("/proc").iterdir()
        if each.name.isdecimal() and str(tmp_path / "data" / "store.sock") in _command(each)
    ]
    os.kill(pid, signal.SIGSTOP)


def _command(process: Path) -> str:
    try:
        return (process / "cmdline").read_text()
    except OSError:
        return ""


def test_while_the_store_is_away_who_is_in_stays_in_and_the_policy_decides_on_others(
    gated: Gated, tmp_path: Path
) -> None:
    policies = {"outage_policy": "budget", "outage_grace_seconds": 0, "outage_rate": 0.001}
    gated.room.admin("PATCH", "/queues/demo", policies)
    with httpx.Client(base_url=gated.url, timeout=20) as inside, httpx.Client(timeout=20) as stranger:
        let_in(gated, inside)
        hold(gated)
        kill_store(tmp_path)
        wait_until(lambda: stranger.get(f"{gated.url}/a").status_code != 303, seconds=20)
        assert inside.get("/tickets").status_code == 200
        # One passed on the budget of this server, if not the look before; the next has to wait for a while.
        wait_until(lambda: stranger.get(f"{gated.url}/b").status_code == 503, seconds=20)
        away = stranger.get(f"{gated.url}/b")
        assert "Just a moment" in away.text
        assert away.headers["Retry-After"] == "10"
        assert inside.get("/tickets").status_code == 200
