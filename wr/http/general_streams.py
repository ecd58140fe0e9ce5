"""Live streams over ASGI: sends a feed as a WebSocket or as server-sent events, for the general lane."""

from collections.abc import Awaitable, Callable

import trio
from hypercorn.typing import (
    ASGIReceiveCallable,
    ASGISendCallable,
    ASGISendEvent,
    HTTPScope,
    WebsocketScope,
    WWWScope,
)

from wr.api.dispatch import Api
from wr.api.http_messages import WEBSOCKET, Headers, HttpRequest, HttpResponse
from wr.api.live_feed import KEEP_ALIVE_S, NORMAL_CLOSURE, Event, Feed, Goodbye, event_stream_headers, next_of
from wr.http.hypercorn_websocket import PING, PingEvent
from wr.http.websocket_rules import BINARY_MESSAGE, POLICY_VIOLATION, Pulse, take_in, take_token

SendToWebSocket = Callable[[ASGISendEvent | PingEvent], Awaitable[None]]
"""Sends what ASGI knows, and pings."""
SendBytes = Callable[[bytes], Awaitable[None]]
"""Sends a part of the body of a response."""

_LAST_SEND_S = 5.0


def read_request(scope: WWWScope, method: str) -> HttpRequest:
    """Turn an ASGI scope into a request of the API, with an empty body."""
    headers: dict[str, str] = {}
    # Repeated headers are joined, because each proxy may have added its own line to X-Forwarded-For.
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    client = scope.get("client")
    return HttpRequest(
        method=method,
        path=scope["path"],
        query=scope["query_string"].decode("latin-1"),
        headers=headers,
        body=b"",
        peer=client[0] if client else "",
    )


async def serve_events(
    api: Api, scope: HTTPScope, receive: ASGIReceiveCallable, send: ASGISendCallable
) -> None:
    """Send a feed as server-sent events, until the feed ends or the client goes."""
    async with api.follow(read_request(scope, "GET")) as feed:
        if isinstance(feed, HttpResponse):
            headers = _encoded(_with_length(feed))
            await send({"type": "http.response.start", "status": feed.status, "headers": headers})
            await send({"type": "http.response.body", "body": feed.body, "more_body": False})
            return

        async def send_bytes(data: bytes) -> None:
            await send({"type": "http.response.body", "body": data, "more_body": True})

        more = [("Connection", "close")] if scope["http_version"].startswith("1") else []
        headers = _encoded([*event_stream_headers(feed), *more])
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_until_gone, receive, nursery.cancel_scope)
            await send_events(feed, send_bytes)
            nursery.cancel_scope.cancel()
        with trio.move_on_after(_LAST_SEND_S, shield=True):
            await send({"type": "http.response.body", "body": b"", "more_body": False})


async def send_events(feed: Feed, send: SendBytes) -> None:
    """Send the events of a feed, each as a part of a response body, until the feed ends."""
    number = 0

    async def put(event: Event | None) -> bool:
        nonlocal number
        number += event is not None
        await send(feed.as_server_sent(event, number))
        return event is not None and event.is_last

    for event in feed.opening():
        if await put(event):
            return
    while True:
        news = await next_of(feed, KEEP_ALIVE_S)
        if isinstance(news, Goodbye) or await put(news):
            return


async def _until_gone(receive: ASGIReceiveCallable, scope: trio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


async def serve_websocket(
    api: Api, scope: WebsocketScope, receive: ASGIReceiveCallable, send: SendToWebSocket, *, ping_s: float
) -> None:
    """Send a feed over a WebSocket, until the feed ends or the client goes. Pings every `ping_s` seconds."""
    await receive()  # websocket.connect
    request = read_request(scope, WEBSOCKET)
    subprotocol = take_token(list(scope.get("subprotocols") or []), request)
    async with api.follow(request) as feed:
        if isinstance(feed, HttpResponse):
            if scope["http_version"].startswith("1"):
                # Hypercorn treats the connection as a WebSocket and reads no further request from it.
                feed.extra_headers.append(("Connection", "close"))
            headers = _encoded(_with_length(feed))
            await send({"type": "websocket.http.response.start", "status": feed.status, "headers": headers})
            await send({"type": "websocket.http.response.body", "body": feed.body, "more_body": False})
            return
        headers = _encoded(feed.headers)
        await send({"type": "websocket.accept", "subprotocol": subprotocol, "headers": headers})
        await _OpenWebSocket(feed, receive, send, ping_s).run()


class _OpenWebSocket:
    """One open WebSocket: a task that sends and a task that receives. Either can end both."""

    def __init__(
        self, feed: Feed, receive: ASGIReceiveCallable, send: SendToWebSocket, ping_s: float
    ) -> None:
        self._feed = feed
        self._receive = receive
        self._send = send
        self._pulse = Pulse(ping_s, trio.current_time())

    async def run(self) -> None:
        """Send and receive until the feed or the client ends the WebSocket."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._listen, nursery.cancel_scope)
            code = await self._send_events()
            await self._close(code)
            nursery.cancel_scope.cancel()

    async def _send_events(self) -> int:
        """Send events and pings. Returns the close code when the stream is over."""
        for event in self._feed.opening():
            await self._send_text(event.data)
            if event.is_last:
                return NORMAL_CLOSURE
        while True:
            now = trio.current_time()
            if now >= self._pulse.due:
                if not self._pulse.ping(self._feed.stream, now):
                    return POLICY_VIOLATION
                await self._send(PING)
            news = await next_of(self._feed, self._pulse.due - now)
            if isinstance(news, Goodbye):
                return news.close_code
            if news is not None:
                await self._send_text(news.data)
                if news.is_last:
                    return NORMAL_CLOSURE

    async def _listen(self, scope: trio.CancelScope) -> None:
        while True:
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                scope.cancel()
                return
            self._pulse.hear(self._feed.stream, trio.current_time())
            if message["type"] == "websocket.receive":
                text = message.get("text")
                refused = BINARY_MESSAGE if text is None else await take_in(self._feed, text)
                if refused is not None:
                    await self._close(*refused)
                    scope.cancel()
                    return

    async def _send_text(self, data: bytes) -> None:
        await self._send({"type": "websocket.send", "text": data.decode(), "bytes": None})

    async def _close(self, code: int, reason: str = "") -> None:
        with trio.move_on_after(_LAST_SEND_S, shield=True):
            await self._send({"type": "websocket.close", "code": code, "reason": reason})


def _with_length(response: HttpResponse) -> Headers:
    return [*response.headers, ("Content-Length", str(len(response.body)))]


def _encoded(headers: Headers) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
