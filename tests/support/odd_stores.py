"""Faulty stores: small TCP servers that answer every command with a given reply."""

import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Answer = Callable[[bytes], bytes | None]
"""Given what was received: the bytes to send, b"" to keep silent, or None to close the connection."""


@contextmanager
def odd_store(answer: Answer) -> Iterator[str]:
    """Run a store that answers that way; gives its URL."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            while received := self.request.recv(65536):
                reply = answer(received)
                if reply is None:
                    return
                self.request.sendall(reply)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01], daemon=True)
        thread.start()
        try:
            yield f"redis://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def speaks_http(_received: bytes) -> bytes:
    return b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"


def wants_a_password(_received: bytes) -> bytes:
    return b"-NOAUTH Authentication required.\r\n"


def says_nothing(_received: bytes) -> bytes:
    return b""


def hangs_up(_received: bytes) -> None:
    return None


def goes_away(received: bytes) -> bytes | None:
    return b"+PONG\r\n" if b"PING" in received else None


def knows_no_commands(received: bytes) -> bytes:
    return b"+PONG\r\n" if b"PING" in received else b"-ERR unknown command\r\n"
