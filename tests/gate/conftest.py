"""A real proxy with its example's configuration, in front of a small site, with a waiting room beside it."""

import itertools
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.contract.helpers import wait_until
from tests.gate.proxies import ORIGIN_KEY, running_proxy
from tests.support.clock import HandClock
from tests.support.engines import Engine
from tests.support.server import running_server
from tests.support.site import Site

_visitors = itertools.count(1)


@dataclass
class Shop:
    """The site behind the gate."""

    port: int
    seen: list[tuple[str, str]] = field(default_factory=list)
    """Path, and the session that the gate named, of each request."""
    upgrades: list[str] = field(default_factory=list)
    """What each request wanted to upgrade to; empty where it wanted nothing."""
    command: str = ""
    """What it says in `X-WR-Command` from now on."""


@dataclass
class Gated:
    """All three of them."""

    url: str
    """Of the proxy."""
    room: Site
    shop: Shop
    data_dir: Path
    """Where the waiting room keeps its data."""
    visitor: str = "127.0.0.2"
    """The address that visitors come from: the proxy itself is at 127.0.0.1."""

    def begin_anew(self) -> None:
        """Put a new queue «demo» in the place of the one there is, and forget what the shop has seen.

        Visitors come from another address, because a visitor that walked in is not let in again at once.
        """
        found = self.room.admin("GET", "/queues/demo").json()
        settings = {name: found[name] for name in ("id", "name", "target_url", "admission_rate")}
        assert self.room.admin("DELETE", "/queues/demo").status_code == 200
        assert self.room.admin("POST", "/queues", settings).status_code == 201
        self.shop.seen.clear()
        self.shop.upgrades.clear()
        self.shop.command = ""
        self.visitor = f"127.0.1.{next(_visitors)}"
        wait_until(lambda: self.room.call("GET", "/queues/demo").json()["queue_length"] == 0)


@contextmanager
def running_shop() -> Iterator[Shop]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            # Not `path`, which is mended.
            target = self.requestline.split()[1]
            shop.seen.append((target, self.headers.get("X-WR-Session", "")))
            shop.upgrades.append(self.headers.get("Upgrade", ""))
            body = b"<!doctype html><title>Shop</title><h1>The shop</h1>"
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            if shop.command:
                self.send_header("X-WR-Command", shop.command)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Say nothing: `seen` tells."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        shop = Shop(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield shop
        finally:
            server.shutdown()


@pytest.fixture
def proxy() -> str:
    """The proxy that stands in front, by name."""
    return "nginx"


@contextmanager
def running_gated(folder: Path, proxy: str) -> Iterator[Gated]:
    """Run a waiting room with the queue «demo», its gate in this proxy, and the site behind it."""
    settings = {
        "data_dir": str(folder / "data"),
        "demo_queue": "yes",
        "admission_interval": "0.05",
        "grace": "0.2",
        # Where the proxy is. Visitors come from 127.0.0.2 where that matters.
        "trusted_proxies": "127.0.0.1/32",
        "origin_key": ORIGIN_KEY,
        **{f"limit_{scope}": "0" for scope in ("enqueue", "status", "heartbeat", "admin")},
    }
    with running_shop() as shop, running_server(None, **settings) as ready:
        store = Engine("embedded", f"unix://{folder / 'data' / 'store.sock'}")
        room = Site(ready.url, ready.admin_key, HandClock(), store, "wr")
        (found,) = re.findall(r":(\d+)$", ready.url)
        with running_proxy(proxy, folder, int(found), shop.port) as url, room.http:
            yield Gated(url, room, shop, folder / "data")


@pytest.fixture
def gated(tmp_path: Path, proxy: str) -> Iterator[Gated]:
    """A gate of the test's own."""
    with running_gated(tmp_path, proxy) as running:
        yield running
