"""The reference: a bare Trio + httptools server that gives every request the same 600 bytes of JSON.

One task for each connection, plain non-blocking sockets and `trio.lowlevel.wait_readable`. The same with
`trio.SocketStream` was tried and answered half as many requests, which would make ratios too good.
"""

import socket
import sys

import httptools
import trio

BODY = b'{"answer":"' + b"x" * (600 - 13) + b'"}'
ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY)
) + BODY
_CHUNK = 65_536


class _Requests:
    """Counts the complete requests that the parser has read."""

    def __init__(self) -> None:
        self.complete = 0

    def on_message_complete(self) -> None:
        """Count one request; httptools defines the name."""
        self.complete += 1


async def _answer(connection: socket.socket) -> None:
    requests = _Requests()
    parser = httptools.HttpRequestParser(requests)
    with connection:
        try:
            while True:
                await trio.lowlevel.wait_readable(connection)
                data = connection.recv(_CHUNK)
                if not data:
                    return
                parser.feed_data(data)
                if requests.complete:
                    # The buffer is empty, because no client here sends a request before the last answer.
                    connection.send(ANSWER * requests.complete)
                    requests.complete = 0
        except OSError:
            return  # The load generator has gone.


async def serve(listener: socket.socket) -> None:
    """Answer every connection of `listener` until cancelled."""
    async with trio.open_nursery() as nursery:
        while True:
            await trio.lowlevel.wait_readable(listener)
            try:
                connection, _ = listener.accept()
            except OSError:
                continue  # The client closed it before it was accepted.
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            nursery.start_soon(_answer, connection)


def main() -> None:
    """Listen on a free port of loopback and print the URL."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        listener.setblocking(False)
        sys.stdout.write(f"bare serves at http://127.0.0.1:{listener.getsockname()[1]}\n")
        sys.stdout.flush()
        try:
            trio.run(serve, listener)
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
