"""A real nginx with the example's configuration, in front of a small site, with a waiting room beside it."""

import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from tests.support.clock import HandClock
from tests.support.engines import Engine, free_port
from tests.support.server import running_server
from tests.support.site import Site

EXAMPLE = Path(__file__).parents[2] / "scripts" / "examples" / "nginx.conf"
HOW_TO_GET_NGINX = "nginx is not installed: apt-get install nginx"
ORIGIN_KEY = "the-sites-own-secret"


@dataclass
class Shop:
    """The site behind the gate."""

    port: int
    seen: list[tuple[str, str]] = field(default_factory=list)
    """Path, and the session that the gate named, of each request."""
    command: str = ""
    """What it says in `X-WR-Command` from now on."""


@dataclass
class Gated:
    """All three of them."""

    url: str
    """Of nginx."""
    room: Site
    shop: Shop


@contextmanager
def running_shop() -> Iterator[Shop]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            shop.seen.append((self.path, self.headers.get("X-WR-Session", "")))
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


def configuration(folder: Path, port: int, room_port: int, shop_port: int) -> str:
    """The example, with the ports of this test and everything nginx writes in a folder of its own."""
    example = EXAMPLE.read_text("utf-8")
    for given, ours in (
        ("127.0.0.1:8080", f"127.0.0.1:{room_port}"),
        ("127.0.0.1:9000", f"127.0.0.1:{shop_port}"),
        ("listen 8000", f"listen 127.0.0.1:{port}"),
        ("ORIGIN_KEY;", f"{ORIGIN_KEY};"),
    ):
        assert given in example, given
        example = example.replace(given, ours)
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return (
        f"daemon off; pid {folder}/pid; error_log {folder}/errors;\n"
        f"events {{}}\nhttp {{\naccess_log off;\n{temporary}{example}\n}}\n"
    )


@contextmanager
def running_nginx(folder: Path, room_port: int, shop_port: int) -> Iterator[str]:
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if nginx is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(HOW_TO_GET_NGINX)
    port = free_port()
    file = folder / "nginx.conf"
    file.write_text(configuration(folder, port, room_port, shop_port))
    with subprocess.Popen([nginx, "-p", str(folder), "-c", str(file)]) as process:
        try:
            _wait_for(lambda: httpx.get(f"http://127.0.0.1:{port}/wait/demo").status_code < 500)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def _wait_for(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            if condition():
                return
        except httpx.TransportError:
            pass
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def gated(tmp_path: Path) -> Iterator[Gated]:
    """A queue «demo» that lets nobody in, its gate, and the site behind it."""
    settings = {
        "data_dir": str(tmp_path / "data"),
        "demo_queue": "yes",
        "admission_interval": "0.05",
        "grace": "0.2",
        "origin_key": ORIGIN_KEY,
        **{f"limit_{scope}": "0" for scope in ("enqueue", "status", "heartbeat", "admin")},
    }
    with running_shop() as shop, running_server(None, **settings) as ready:
        store = Engine("embedded", f"unix://{tmp_path / 'data' / 'store.sock'}")
        room = Site(ready.url, ready.admin_key, HandClock(), store, "wr")
        (found,) = re.findall(r":(\d+)$", ready.url)
        with running_nginx(tmp_path, int(found), shop.port) as url, room.http:
            yield Gated(url, room, shop)
