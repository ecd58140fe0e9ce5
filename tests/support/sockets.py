"""A WebSocket client for tests: trio-websocket, with messages as objects."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_client_stream
from wsproto.utilities import LocalProtocolError

from tests.support.site import Site


class Socket:
    """One open WebSocket."""

    def __init__(self, connection: WebSocketConnection) -> None:
        self.connection = connection

    async def message(self) -> dict[str, Any]:
        """The next message; fails after 10 seconds."""
        with trio.fail_after(10):
            message: dict[str, Any] = json.loads(await self.connection.get_message())
            return message

    async def close_code(self) -> int:
        """Wait until the connection closes, ignore messages before, and return the close code."""
        with trio.fail_after(10):
            try:
                while True:
                    await self.connection.get_message()
            except ConnectionClosed as closed:
                return int(closed.reason.code)

    async def heartbeat(self) -> None:
        await self.connection.send_message('{"type": "heartbeat", "data": {"timestamp": 1704067260000}}')


@asynccontextmanager
async def websocket(
    site: Site,
    queue_id: str,
    token: str | None = None,
    *,
    query: str = "",
    protocols: list[str] | None = None,
) -> AsyncIterator[Socket]:
    """Open a WebSocket to a queue."""
    headers = [] if token is None else [("Authorization", f"Bearer {token}")]
    host, _, port = site.url.removeprefix("http://").rpartition(":")
    try:
        # Opens the stream itself, because the library does not close one that its peer has closed.
        async with await trio.open_tcp_stream(host, int(port)) as stream, trio.open_nursery() as nursery:
            connection = await wrap_client_stream(
                nursery,
                stream,
                host,
                f"/ws/queues/{queue_id}{query}",
                subprotocols=protocols,
                extra_headers=headers,
            )
            async with connection:
                yield Socket(connection)
    except* LocalProtocolError:
        pass  # A mistake of the library, without effect: it answered a ping while it was closing.
