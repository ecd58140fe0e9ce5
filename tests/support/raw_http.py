"""An HTTP/1.1 client byte by byte: sends half requests, and distinguishes how a connection ends."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import h11
import trio


class CutOff(Exception):
    """The connection ended before the answer was complete. The message contains the part that arrived."""


@dataclass
class Response:
    """A whole response."""

    status: int
    headers: dict[str, str]
    body: bytes


class RawConnection:
    """One connection of a client."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self._parser = h11.Connection(h11.CLIENT)
        self._received = b""

    async def start(self, method: str, path: str, **headers: str) -> None:
        """Send the head of a request."""
        named = [("Host", "wr"), *((name.replace("_", "-"), value) for name, value in headers.items())]
        await self._send(h11.Request(method=method, target=path, headers=named))

    async def finish(self, body: bytes = b"") -> Response:
        """Send the rest of the request and read the answer."""
        if body:
            await self._send(h11.Data(data=body))
        await self._send(h11.EndOfMessage())
        head: Any = await self.next_event()
        while not isinstance(head, h11.Response):
            head = await self.next_event()
        content = b""
        while True:
            event = await self.next_event()
            if isinstance(event, h11.EndOfMessage):
                break
            content += event.data
        if self._parser.our_state is h11.DONE:
            self._parser.start_next_cycle()
            self._received = b""
        return Response(
            head.status_code, {name.decode(): value.decode() for name, value in head.headers}, content
        )

    async def request(self, method: str, path: str, body: bytes = b"", **headers: str) -> Response:
        """Send a request and read the answer."""
        length = {"Content_Length": str(len(body))} if body or method == "POST" else {}
        await self.start(method, path, **length, **headers)
        return await self.finish(body)

    async def next_event(self) -> Any:
        """Read the next part of the answer."""
        while True:
            event = self._parser.next_event()
            if event is not h11.NEED_DATA:
                return event
            try:
                data = await self.stream.receive_some()
            except trio.BrokenResourceError as error:
                raise CutOff(f"reset after {self._received!r}") from error
            if not data:
                raise CutOff(f"closed after {self._received!r}")
            self._received += data
            self._parser.receive_data(data)

    async def _send(self, event: Any) -> None:
        data = self._parser.send(event)
        if data:
            try:
                await self.stream.send_all(data)
            except trio.BrokenResourceError as error:
                raise CutOff(f"reset while sending, after {self._received!r}") from error


@asynccontextmanager
async def connected(address: tuple[str, int]) -> AsyncIterator[RawConnection]:
    """Connect. Raises OSError if no server listens."""
    stream = await trio.open_tcp_stream(*address)
    async with stream:
        yield RawConnection(stream)
