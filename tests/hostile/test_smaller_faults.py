"""Smaller faults, each seen from outside."""

import os
import pty
import re
import secrets
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.conftest import TEST_SETTINGS
from tests.contract.gate import with_session
from tests.contract.helpers import enter, fresh_minute, open_queue, wait_until
from tests.support.clock import HandClock
from tests.support.engines import Engine
from tests.support.scrape import scrape
from tests.support.server import running_server
from tests.support.site import BASE, Site, new_address


@pytest.fixture
def rare_passes(engine: Engine, prefix: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server that runs a pass only every ten seconds, unless one is asked for."""
    settings = {
        **TEST_SETTINGS,
        "store_url": engine.url,
        "store_prefix": f"{prefix}-rare",
        "data_dir": str(tmp_path_factory.mktemp("rare")),
        "fast_lane": engine.fast_lane,
        "admission_interval": "10",
        "grace": "0.2",
    }
    with running_server(None, **settings) as ready:
        site = Site(ready.url, ready.admin_key, HandClock(), engine, f"{prefix}-rare")
        yield site
        site.http.close()


@pytest.fixture
def limited_joins(engine: Engine, prefix: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server that lets each address join twice in a minute."""
    clock = HandClock()
    fresh_minute(clock)
    settings = {
        **TEST_SETTINGS,
        "store_url": engine.url,
        "store_prefix": f"{prefix}-{secrets.token_hex(4)}",
        "data_dir": str(tmp_path_factory.mktemp("limited")),
        "fast_lane": engine.fast_lane,
        "limit_enqueue": "2/60",
        "grace": "0.2",
    }
    with running_server(clock, **settings) as ready:
        site = Site(ready.url, ready.admin_key, clock, engine, settings["store_prefix"])
        yield site
        site.http.close()


def page_views(site: Site, session_id: str) -> int:
    return int(site.admin("GET", f"/sessions/{session_id}").json()["page_views"])


def test_a_page_view_that_comes_while_a_report_is_under_way_counts_once(site: Site) -> None:
    visit = enter(site, open_queue(site))

    def view() -> None:
        assert with_session(site, visit, "/", **{"Sec-Fetch-Dest": "document"}).status_code == 204

    for _ in range(4):
        view()
    with site.engine.client() as store:
        store.client_pause(2000, all=True)
    # Then the report of three views waits for the store, and what the gate knows of the session is too old.
    time.sleep(1.3)
    late = threading.Thread(target=view)
    late.start()
    late.join()
    wait_until(lambda: page_views(site, visit.session_id) >= 5)
    view()
    wait_until(lambda: page_views(site, visit.session_id) >= 6)
    assert page_views(site, visit.session_id) == 6


def test_a_crowd_that_walks_in_at_once_costs_few_passes_of_the_queue(rare_passes: Site) -> None:
    queue_id = open_queue(rare_passes)

    def passes_so_far() -> int:
        return int(scrape(rare_passes.http).total("wr_store_round_trips_total", script="admit"))

    def walk_in(visitor: httpx.Client) -> str:
        headers = {"X-Forwarded-Uri": "/a", "X-Forwarded-Method": "GET", "X-Forwarded-For": new_address()}
        return str(visitor.get(f"{BASE}/gate/{queue_id}", headers=headers).headers["Location"])

    before = passes_so_far()
    with ExitStack() as stack, ThreadPoolExecutor(40) as pool:
        visitors = [
            stack.enter_context(httpx.Client(base_url=rare_passes.url, timeout=10, verify=False))
            for _ in range(40)
        ]
        with rare_passes.engine.client() as store:
            # All of them have asked to join when the store answers the first.
            store.client_pause(2000, all=True)
        assert list(pool.map(walk_in, visitors)) == ["/a"] * 40
    # The first joins alone, most others while it is on its way; one pass of the loop counts too.
    assert passes_so_far() - before <= 10


def test_a_queue_that_a_server_left_unlisted_lets_in_whoever_comes_to_it(site: Site) -> None:
    queue_id = open_queue(site)
    with site.engine.client() as store:
        store.srem(f"{site.prefix}:{{*}}:queues", queue_id)
    enter(site, queue_id)

    def is_listed() -> bool:
        listed = site.admin("GET", "/queues").json()["queues"]
        return queue_id in [each["queue"]["id"] for each in listed]

    # A pass that had read the list before lets the visitor in; the next two restore the list.
    wait_until(is_listed)


PRIVATE_ONES = {"lock", "store.lock", "store.log", "store.sock", "admin-key", "appendonlydir"}


def open_to_others(folder: Path) -> set[str]:
    """What in the folder another user could read or write, going by modes."""
    return {file.name for file in folder.iterdir() if stat.S_IMODE(file.stat().st_mode) & 0o077}


def test_no_other_user_can_read_what_is_in_a_data_folder_that_is_open_to_all(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    folder.chmod(0o755)
    settings = {"data_dir": str(folder), "grace": "0.2"}
    with running_server(None, **settings):
        assert {file.name for file in folder.iterdir()} == PRIVATE_ONES
        assert open_to_others(folder) == set()
    # As an earlier version left them, and with something of the operator's beside them.
    for file in folder.iterdir():
        file.chmod(0o755 if file.is_dir() else 0o644)
    (folder / "notes.txt").touch(mode=0o644)
    with running_server(None, **settings) as again:
        assert open_to_others(folder) == {"notes.txt"}
        assert (folder / "admin-key").read_text().strip() == again.admin_key


def serve_until_greeted(folder: Path, output: int, read: Callable[[], bytes], *flags: str) -> str:
    """Start a server on a data folder of its own and stop it once it has said where its admin key is."""
    command = [
        sys.executable,
        "-m",
        "wr",
        "serve",
        "--bind",
        "127.0.0.1:0",
        "--data-dir",
        str(folder),
        *flags,
    ]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.DEVNULL)
    said = b""
    try:
        while not re.search(rb"admin key .*\n", said):
            said += read()
    finally:
        process.terminate()
        process.wait(30)
    return said.decode()


@pytest.mark.parametrize("flags", [(), ("--show-admin-key",)], ids=["first start", "asked for"])
def test_the_admin_key_is_told_to_a_terminal_and_to_no_log(tmp_path: Path, flags: tuple[str, ...]) -> None:
    folder = tmp_path / "data"
    reading, writing = os.pipe()
    said = serve_until_greeted(folder, writing, lambda: os.read(reading, 4096), *flags)
    key = (folder / "admin-key").read_text().strip()
    assert key not in said
    assert str(folder / "admin-key") in said
    for end in (reading, writing):
        os.close(end)
    (folder / "admin-key").unlink()
    ours, theirs = pty.openpty()
    said = serve_until_greeted(folder, theirs, lambda: os.read(ours, 4096), *flags)
    for end in (ours, theirs):
        os.close(end)
    # At the second start a key is old, and shown only where that is asked for.
    assert (key in said) == bool(flags)


def test_the_admin_key_of_a_first_start_is_told_to_a_terminal(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    said = serve_until_greeted(tmp_path / "data", theirs, lambda: os.read(ours, 4096))
    for end in (ours, theirs):
        os.close(end)
    assert (tmp_path / "data" / "admin-key").read_text().strip() in said


@pytest.mark.parametrize(
    ("one", "other"),
    [("203.0.113.{}:51000", "203.0.113.{}:443"), ("[2001:db8:{}::1]:443", "[2001:db8:{}::2]")],
    ids=["IPv4", "IPv6"],
)
def test_a_crowd_behind_a_proxy_that_writes_ports_is_no_single_client(
    limited_joins: Site, one: str, other: str
) -> None:
    queue_id = limited_joins.make_queue(status="paused", unique_by="none")
    visitors = [spelled.format(number) for number in range(1, 6) for spelled in (one, other)]
    joined = [limited_joins.join(queue_id, address=visitor).status_code for visitor in visitors]
    assert joined == [201] * 10
    # Each of them counts as itself, whatever port it comes from.
    assert limited_joins.join(queue_id, address=visitors[0]).status_code == 429


def test_a_flood_of_invented_hosts_has_few_qr_codes_drawn_and_takes_none_from_others(site: Site) -> None:
    queue_id = site.make_queue()

    def ask_for_picture(host: str) -> httpx.Response:
        return site.http.get(f"/wait/{queue_id}/qr.svg", headers={"Host": host})

    def is_drawn() -> bool:
        return ask_for_picture("wait.example").status_code == 200

    wait_until(is_drawn)
    began = time.monotonic()
    flood = [ask_for_picture(f"host-{number}.example") for number in range(400)]
    lasted_s = time.monotonic() - began
    refused = [answer for answer in flood if answer.status_code == 429]
    assert len(flood) - len(refused) <= 10 + 10 * lasted_s + 1
    assert all(answer.headers["Retry-After"] == "2" for answer in refused)
    assert is_drawn(), "what was drawn before is there all the same"
    assert ask_for_picture("wait.example").text != flood[0].text
