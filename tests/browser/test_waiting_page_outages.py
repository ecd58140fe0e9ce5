"""The waiting page while the waiting room is interrupted: a server that is stopped, a store that hangs."""

import re
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Page, WebSocket, expect

from tests.browser.waiting import at_position, crowd, texts
from tests.support.browser import Watch, screenshot, wait_until
from tests.support.engines import free_port
from tests.support.processes import ServerProcess, running_server_process
from tests.support.site import Site

SOON = "Math.random = () => 0.3;"
"""Pauses are short, and longer than a server takes to stop."""


class RunningRoom:
    """A server that can be stopped and started again at the same address."""

    def __init__(self, data_dir: Path, running: ExitStack) -> None:
        self._data_dir = data_dir
        self._running = running
        self._settings = {"bind": f"127.0.0.1:{free_port()}", "grace": "0.2", "live_interval": "0.1"}
        self.server = self._started()

    def stop(self) -> None:
        self.server.send(signal.SIGTERM)
        self.server.ended()

    def start(self) -> None:
        self.server = self._started()

    def _started(self) -> ServerProcess:
        return self._running.enter_context(running_server_process(self._data_dir, **self._settings))


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningRoom]:
    with ExitStack() as running:
        yield RunningRoom(tmp_path_factory.mktemp("room"), running)


@pytest.fixture(scope="module")
def visited(room: RunningRoom) -> Iterator[Site]:
    with room.server.site() as site:
        yield site


def test_a_server_that_is_stopped_and_started_again_keeps_the_place_and_the_page_says_so(
    page: Page, visited: Site, room: RunningRoom, watch: Watch
) -> None:
    watch.expect("ERR_CONNECTION_REFUSED")
    page.add_init_script(SOON)
    line = crowd(visited, 1)
    page.goto(line.path)
    at_position(page, 2)
    room.stop()
    notice = page.locator("#notice")
    form = re.escape(texts()["still.seconds"]["other"]).replace(r"\{n\}", r"\d+")
    expect(notice).to_have_text(re.compile(f"^{re.escape(texts()['unreachable'])}\\s+{form}$"))
    expect(page.locator("#position")).to_have_text("2")
    screenshot(page, "waiting-unreachable")
    room.start()
    expect(notice).to_have_text(texts()["back"])
    at_position(page, 2)
    assert line.waiting == 2


def test_while_the_store_is_away_the_page_says_that_it_is_not_the_visitors_connection(
    page: Page, visited: Site, room: RunningRoom, watch: Watch
) -> None:
    watch.expect("503")
    page.add_init_script(SOON)
    page.clock.install()
    streams: list[WebSocket] = []
    heard: list[bytes | str] = []

    def follow(socket: WebSocket) -> None:
        streams.append(socket)
        socket.on("framereceived", hear)

    def hear(frame: bytes | str) -> None:
        heard.append(frame)

    page.on("websocket", follow)
    line = crowd(visited, 1)
    page.goto(line.path)
    at_position(page, 2)
    wait_until(page, lambda: heard, "it is live")
    room.server.freeze_store()
    page.clock.fast_forward(16_000)
    expect(page.locator("#notice")).to_have_text(texts()["outage"])
    screenshot(page, "waiting-outage")
    # Nobody is dropped until the waiting room works again, whenever that is.
    page.clock.fast_forward(70_000)
    expect(page.locator("#notice")).to_have_text(texts()["outage"])
    room.server.thaw_store()
    expect(page.locator("#notice")).to_have_text(texts()["back"])
    at_position(page, 2)
    # A crowd that opened all its streams again would be the next outage.
    assert len(streams) == 1
