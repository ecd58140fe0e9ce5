"""A receiver of webhooks: a real HTTP server that records requests and answers as configured."""

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.support.engines import free_port


@dataclass(frozen=True)
class Delivered:
    """One received request and its answer."""

    headers: dict[str, str]
    body: bytes
    status: int

    @property
    def event(self) -> dict[str, Any]:
        event: dict[str, Any] = json.loads(self.body)
        return event

    @property
    def whose(self) -> str:
        return str(self.event["data"].get("position_id", ""))


@dataclass
class Receiver:
    """The receiver's URL and all received deliveries, including failed ones."""

    url: str
    answer: Callable[[dict[str, Any]], int] = lambda _event: 204
    came: list[Delivered] = field(default_factory=list)
    connections: list[Any] = field(default_factory=list)
    """The sockets of all connections, including closed ones."""

    def hang_up(self) -> None:
        """Close all connections, as a receiver does with idle ones."""
        for connection in self.connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def taken(self) -> list[Delivered]:
        """The acknowledged deliveries, in order of arrival."""
        return [each for each in self.came if each.status < 300]

    def types(self) -> list[str]:
        return [each.event["type"] for each in self.taken()]


@contextmanager
def receiving(port: int = 0, certificate: tuple[Path, Path] | None = None) -> Iterator[Receiver]:
    """Run a receiver until the block ends; with TLS if a certificate and its key are given."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            receiver.connections.append(self.connection)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status = receiver.answer(json.loads(body))
            receiver.came.append(Delivered(dict(self.headers.items()), body, status))
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", f"{receiver.url}/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """Log nothing about clients that disconnect: some tests cause that."""

    server = Server(("127.0.0.1", port), Handler)
    scheme = "http"
    if certificate is not None:
        scheme = "https"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    receiver = Receiver(f"{scheme}://127.0.0.1:{server.server_address[1]}/events?key=of-the-receiver")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def receiving_later() -> Iterator[tuple[str, Callable[[], Receiver]]]:
    """Give a URL at which no server listens, and a function that starts one there."""
    port = free_port()
    opened = []

    def begin() -> Receiver:
        opened.append(receiving(port))
        return opened[0].__enter__()

    try:
        yield f"http://127.0.0.1:{port}/events?key=of-the-receiver", begin
    finally:
        for context in opened:
            context.__exit__(None, None, None)
