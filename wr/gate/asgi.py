"""The gate as ASGI middleware."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

from wr.gate.commands import COMMAND, Commands
from wr.gate.passes import Decision, Passes

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


async def _in_thread(decide: Callable[[], Decision]) -> Decision:
    """Wait for a request to the waiting room without holding up others, on asyncio or on Trio."""
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_run():
        decision: Decision = await trio.to_thread.run_sync(decide)
        return decision
    return await asyncio.to_thread(decide)


class AsgiGate:
    """Lets requests and WebSockets through to `app` that bring a session; sends others to the waiting page.

    The session is in `scope["wr.session"]`. With `commands`, `X-WR-Command` of an answer is told to the
    waiting room and taken from the answer.
    """

    def __init__(
        self,
        app: App,
        *,
        server: str = "",
        queue: str = "",
        passes: Passes | None = None,
        commands: Commands | None = None,
    ) -> None:
        self._app = app
        self._passes = passes or Passes(server, queue)
        self._commands = commands

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the lifespan of the application."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        decision = await self._decide(scope)
        if decision.session is not None:
            session = decision.session
            await self._app({**scope, "wr.session": session}, receive, self._heard(session.session_id, send))
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 4401})
        else:
            headers = [(b"location", decision.location.encode()), (b"cache-control", b"no-store")]
            if decision.cookie:
                headers.append((b"set-cookie", decision.cookie.encode()))
            headers.append((b"content-length", b"0"))
            await send({"type": "http.response.start", "status": 303, "headers": headers})
            await send({"type": "http.response.body", "body": b""})

    async def _decide(self, scope: Scope) -> Decision:
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        cookie, authorization = headers.get(b"cookie", ""), headers.get(b"authorization", "")
        query = scope["query_string"].decode("latin-1")
        raw = scope.get("raw_path")
        path = raw.decode("latin-1") if raw else quote(scope["path"])

        def decide() -> Decision:
            return self._passes.decide(
                method=scope.get("method", "GET"),
                path=path,
                query=query,
                cookie=cookie,
                authorization=authorization,
                is_https=scope.get("scheme") in ("https", "wss"),
            )

        if self._passes.needs_request(self._passes.tokens(cookie, authorization, query)):
            return await _in_thread(decide)
        return decide()

    def _heard(self, session_id: str, send: Send) -> Send:
        commands = self._commands
        if commands is None:
            return send

        async def send_on(message: Any) -> None:
            if message["type"] == "http.response.start":
                kept = []
                for name, value in message.get("headers", []):
                    if name.lower() == COMMAND.encode():
                        commands.tell(session_id, value.decode("latin-1"))
                    else:
                        kept.append((name, value))
                message = {**message, "headers": kept}
            await send(message)

        return send_on
