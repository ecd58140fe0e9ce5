"""The ceiling: a bare Trio + httptools server that gives every request the same answer of 600 bytes of JSON.

One task for each connection, plain non-blocking sockets and `trio.lowlevel.wait_readable`. The same with
`trio.SocketStream` was tried and answered half as many requests: that would have been too kind a reference.
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
    """Counts the requests that the parser has seen to their end."""

    def __init__(self) -> None:
        self.complete = 0

    def on_message_complete(self) -> None:
        """Count one; the name is httptools' own."""
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
                    # Some hundred bytes into a buffer that is empty, as no client here has two requests out.
                    connection.send(ANSWER * requests.complete)
                    requests.complete = 0
        except OSError:
            return  # The load generator has gone.


async def serve(listener: socket.socket) -> None:
    """Answer every connection of `listener`, for ever."""
    async with trio.open_nursery() as nursery:
        while True:
            await trio.lowlevel.wait_readable(listener)
            try:
                connection, _ = listener.accept()
            except OSError:
                continue  # Gone before it was taken.
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            nursery.start_soon(_answer, connection)


def main() -> None:
    """Listen on a free port of loopback and say where."""
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
