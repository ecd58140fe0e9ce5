"""A small site to which admitted visitors are sent."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_PAGE = b"""<!DOCTYPE html>
<html lang="en"><head><title>The sale</title><link rel="icon" href="data:,"></head>
<body><main><h1>You are in</h1></main></body></html>"""


@dataclass
class TargetSite:
    """A small web site on its own port."""

    url: str
    visits: list[str] = field(default_factory=list)
    """The path and query of each requested page, in order."""
    pages: dict[str, str] = field(default_factory=dict)
    """Additional pages by path."""


@contextmanager
def running_target_site() -> Iterator[TargetSite]:
    """Run the site in a thread until the block ends. Its host is `localhost`: another site to a browser than
    a server at 127.0.0.1, with cookies of its own."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.visits.append(self.path)
            page = site.pages.get(self.path.partition("?")[0], "").encode() or _PAGE
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Log nothing; `visits` records the requests."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        site = TargetSite(f"http://localhost:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield site
        finally:
            server.shutdown()
            thread.join()
