"""A server that sends the same bytes to every client: the first part at once, the rest slowly if wanted."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_DROP_S = 0.05


@contextmanager
def speaking(beginning: bytes, *, drip: bytes = b"") -> Iterator[str]:
    """Run such a server until the block ends; gives its URL."""
    ended = threading.Event()

    def speak(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.recv(65536)
            connection.sendall(beginning)
            while drip and not ended.wait(_DROP_S):
                connection.sendall(drip)

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = server.accept()
                threading.Thread(target=speak, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=accept, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
        finally:
            ended.set()
            server.shutdown(socket.SHUT_RDWR)
