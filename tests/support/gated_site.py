"""A site with a gate, correct or faulty, for the tests of `wr doctor --origin`."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import time
from urllib.parse import parse_qs, urlsplit

import jwt

from tests.support import plain_http

_COOKIE = "wr_session-demo"
_A_VISITOR = "198.18.0.1"


@dataclass
class GatedSite:
    """A site whose gate verifies session tokens itself, with the published keys."""

    room: str
    url: str = ""
    entrance: str = ""
    """Address at which visitors reach the waiting room; empty means `room`."""
    is_open: bool = False
    """Whether there is no gate."""
    is_deaf: bool = False
    """Whether the gate also refuses visitors with a token."""
    drops_cookies: bool = False
    redirects: bool = True
    """Whether visitors without a token are redirected to the waiting page, not only refused."""
    ahead_s: float = 0.0
    """Seconds by which its clock is ahead."""

    def lets_in(self, token: str) -> bool:
        """Whether a session token opens the gate."""
        keys = {key.key_id: key for key in self._keys()}
        try:
            kid = jwt.get_unverified_header(token)["kid"]
            jwt.decode(token, keys[kid], algorithms=["RS256"], audience="wr:session", issuer="wr")
        except (jwt.PyJWTError, KeyError):
            return False
        return not self.is_deaf

    def _keys(self) -> list[jwt.PyJWK]:
        return jwt.PyJWKSet.from_dict(plain_http.get(f"{self.room}/.well-known/jwks.json").json()).keys


@contextmanager
def running_narrow_proxy(room: str) -> Iterator[str]:
    """Run a proxy that forwards only the visitors' part of a waiting room; gives its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if not self.path.startswith(("/api/v1/queues/", "/wait/")):
                self.send_response(303)
                self.send_header("Location", "/wait/demo")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            given = {name: value for name, value in self.headers.items() if name.lower() != "host"}
            given["X-Forwarded-For"] = _A_VISITOR
            answer = plain_http.request(self.command, f"{room}{self.path}", headers=given, content=body)
            self.send_response_only(answer.status_code)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.content)

        do_POST = do_DELETE = do_GET  # noqa: N815 - the library's names

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def running_gated_site(room: str, **how: bool | float | str) -> Iterator[GatedSite]:
    """Run the site in a thread until the block ends."""
    site = GatedSite(room, **how)  # type: ignore[arg-type]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            (arriving,) = parse_qs(parts.query).get("wr_token", [""])
            cookies = dict(
                each.strip().partition("=")[::2] for each in self.headers.get("Cookie", "").split(";")
            )
            if site.is_open or (not site.drops_cookies and site.lets_in(cookies.get(_COOKIE, ""))):
                self.answer(200)
            elif arriving and site.lets_in(arriving):
                self.answer(303, {"Location": parts.path, "Set-Cookie": f"{_COOKIE}={arriving}; HttpOnly"})
            elif site.redirects:
                self.answer(303, {"Location": f"{site.entrance or room}/wait/demo?return=%2F"})
            else:
                self.answer(401)

        def answer(self, status: int, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def date_time_string(self, timestamp: float | None = None) -> str:
            return formatdate((timestamp or time()) + site.ahead_s, usegmt=True)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        site.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield site
        finally:
            server.shutdown()
            thread.join()
