"""Live streams over ASGI: a feed as a WebSocket or as server-sent events."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import structlog
import trio

from wr.api.calls import HttpRequest, HttpResponse
from wr.api.dispatch import Api
from wr.api.feeds import NORMAL_CLOSURE, Event, Feed, Goodbye
from wr.api.messages import ClientHeartbeat
from wr.api.routes import WEBSOCKET
from wr.model.refusals import RateLimited, Refusal, Unavailable
from wr.serve.hypercorn_websocket import PING

log = structlog.get_logger("wr.streams")

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

KEEP_ALIVE_S = 15.0
"""Seconds of silence after which a server-sent stream shows that it lives."""
_LAST_WORDS_S = 5.0

UNSUPPORTED_DATA = 1003
INVALID_PAYLOAD = 1007
POLICY_VIOLATION = 1008
_heartbeats = msgspec.json.Decoder(ClientHeartbeat)


def read_request(scope: Any, method: str) -> HttpRequest:
    """Read what an ASGI scope says of a request that has no body."""
    headers: dict[str, str] = {}
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


async def serve_events(api: Api, scope: Any, receive: Receive, send: Send) -> None:
    """Carry a feed as server-sent events until it ends or its reader goes."""
    async with api.follow(read_request(scope, "GET")) as feed:
        if isinstance(feed, HttpResponse):
            await _send_response(feed, send, "http")
            return
        headers = [("Content-Type", "text/event-stream"), ("Cache-Control", "no-store"), *feed.headers]
        # A proxy that buffers would keep the news to itself.
        headers.append(("X-Accel-Buffering", "no"))
        await send({"type": "http.response.start", "status": 200, "headers": _encoded(headers)})
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_until_gone, receive, nursery.cancel_scope)
            await _send_events(feed, send)
            nursery.cancel_scope.cancel()
        with trio.move_on_after(_LAST_WORDS_S, shield=True):
            await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _send_events(feed: Feed, send: Send) -> None:
    number = 0

    async def put(event: Event | None) -> bool:
        nonlocal number
        number += event is not None
        body = feed.as_server_sent(event, number)
        await send({"type": "http.response.body", "body": body, "more_body": True})
        return event is not None and event.is_last

    for event in feed.opening():
        if await put(event):
            return
    while True:
        news = await feed.next(KEEP_ALIVE_S)
        if isinstance(news, Goodbye) or await put(news):
            return


async def _until_gone(receive: Receive, scope: trio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


async def serve_websocket(api: Api, scope: Any, receive: Receive, send: Send, *, ping_s: float) -> None:
    """Carry a feed as a WebSocket until it ends or its peer goes; pings it every `ping_s` seconds."""
    await receive()  # websocket.connect
    request = read_request(scope, WEBSOCKET)
    subprotocol = None
    offered = scope.get("subprotocols") or []
    if len(offered) >= 2 and offered[0].lower() == "bearer" and "authorization" not in request.headers:
        # Browsers can set no header, so the token comes as if it were a protocol beside this one.
        request.headers["authorization"] = f"Bearer {offered[1]}"
        subprotocol = offered[0]
    async with api.follow(request) as feed:
        if isinstance(feed, HttpResponse):
            if scope["http_version"].startswith("1"):
                # Hypercorn has made the connection a WebSocket's and reads no further request on it.
                feed.headers.append(("Connection", "close"))
            await _send_response(feed, send, "websocket.http")
            return
        accept = {"type": "websocket.accept", "subprotocol": subprotocol, "headers": _encoded(feed.headers)}
        await send(accept)
        await _Conversation(feed, receive, send, ping_s).run()


class _Conversation:
    """One open WebSocket: a task that sends, a task that listens, and an end they agree on."""

    def __init__(self, feed: Feed, receive: Receive, send: Send, ping_s: float) -> None:
        self._feed = feed
        self._receive = receive
        self._send = send
        self._ping_s = ping_s
        self._heard_at = trio.current_time()
        self._pinged_at = self._heard_at

    async def run(self) -> None:
        """Talk until the feed or the peer ends it."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._listen, nursery.cancel_scope)
            code = await self._tell()
            await self._close(code)
            nursery.cancel_scope.cancel()

    async def _tell(self) -> int:
        for event in self._feed.opening():
            await self._send_text(event.data)
            if event.is_last:
                return NORMAL_CLOSURE
        while True:
            now = trio.current_time()
            if now >= self._pinged_at + self._ping_s:
                if self._heard_at < self._pinged_at - self._ping_s:
                    return POLICY_VIOLATION  # Two pings unanswered: nobody is there.
                # One unanswered ping ends no stream, but no longer keeps a place.
                self._feed.stream.is_alive = self._heard_at >= self._pinged_at
                self._pinged_at = now
                await self._send(dict(PING))
            news = await self._feed.next(self._pinged_at + self._ping_s - now)
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
            self._heard_at = trio.current_time()
            self._feed.stream.is_alive = True
            if message["type"] == "websocket.receive":
                refused = await self._take(message)
                if refused is not None:
                    await self._close(*refused)
                    scope.cancel()
                    return

    async def _take(self, message: Any) -> tuple[int, str] | None:
        """Take in what the client says; a code and the reason when the conversation ends with it."""
        text = message.get("text")
        if text is None:
            return UNSUPPORTED_DATA, "send text"
        try:
            _heartbeats.decode(text)
        except msgspec.ValidationError:
            return POLICY_VIOLATION, "not a message of this API"
        except (msgspec.DecodeError, RecursionError):
            return INVALID_PAYLOAD, "not JSON"
        try:
            await self._feed.heartbeat()
        except RateLimited:
            return POLICY_VIOLATION, "too many messages"
        except Unavailable:
            log.debug("a heartbeat waits for the store")
        except Refusal:
            log.debug("a heartbeat of somebody whose place is over")
        return None

    async def _send_text(self, data: bytes) -> None:
        await self._send({"type": "websocket.send", "text": data.decode(), "bytes": None})

    async def _close(self, code: int, reason: str = "") -> None:
        with trio.move_on_after(_LAST_WORDS_S, shield=True):
            await self._send({"type": "websocket.close", "code": code, "reason": reason})


async def _send_response(response: HttpResponse, send: Send, kind: str) -> None:
    headers = [*response.headers, ("Content-Length", str(len(response.body)))]
    await send({"type": f"{kind}.response.start", "status": response.status, "headers": _encoded(headers)})
    await send({"type": f"{kind}.response.body", "body": response.body, "more_body": False})


def _encoded(headers: list[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
