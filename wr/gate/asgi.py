"""The gate as ASGI middleware, for sites with Starlette, FastAPI or Quart."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from urllib.parse import quote

from wr.gate.commands import COMMAND, settle
from wr.gate.decision import Decision, GateRequest, Session, is_the_gates_own
from wr.gate.middleware import Middleware
from wr.gate.response_commands import Answers

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Found = TypeVar("Found")

_WEBSOCKET = "WEBSOCKET"
_STARTS = ("http.response.start", "websocket.accept", "websocket.http.response.start")
"""Messages with the headers of a response."""


async def _in_thread(work: Callable[[], Found]) -> Found:
    """Run blocking work, such as a request to the waiting room, in a thread, on asyncio or on Trio."""
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_run():
        found: Found = await trio.to_thread.run_sync(work, abandon_on_cancel=True)
        return found
    return await asyncio.to_thread(work)


class AsgiGate(Middleware[App]):
    """Passes requests and WebSockets with a session to `app`, and redirects others to the waiting page.

    `app` finds the session in `scope["wr.session"]` and in the headers `X-WR-Session` and `X-WR-Queue`, as
    behind the gate in a proxy. On one of `open_paths` a session is not required: then it may be None, without
    `X-WR-Session`. With `commands`, the header `X-WR-Command` of a response is executed and removed. Raises
    the same errors as `Middleware`.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the lifespan of the application.

        Raises:
            ValueError: the type of the scope is unknown, so the gate cannot guard it.
        """
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] not in ("http", "websocket"):
            raise ValueError(f"the gate can guard http and websocket, not {scope['type']!r}")
        request = _read_request(scope)
        decision = await self._decide(request)
        if not decision.location:
            session = decision.session
            app_scope = {**scope, "headers": self._headers(scope, session), "wr.session": session}
            await self._app(app_scope, receive, self._executing_commands(session, request, send))
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 4401})
        else:
            await _redirect(decision, send)

    async def _decide(self, request: GateRequest) -> Decision:
        if self._passes.needs_request(request):
            return await _in_thread(lambda: self._passes.decide(request))
        return self._passes.decide(request, may_wait=False)

    def _headers(self, scope: Scope, session: Session | None) -> list[tuple[bytes, bytes]]:
        sent = [header for header in scope["headers"] if not is_the_gates_own(header[0].decode("latin-1"))]
        added = self._passes.named(session)
        return sent + [(name.lower().encode(), value.encode()) for name, value in added]

    def _executing_commands(self, session: Session | None, request: GateRequest, send: Send) -> Send:
        """Return a `send` that executes the commands in a response's headers, and removes them."""
        answers = self._answers
        if answers is None:
            return send

        async def send_on(message: Any) -> None:
            if message["type"] in _STARTS:
                headers = list(message.get("headers", ()))
                kept = [header for header in headers if header[0].lower() != COMMAND.encode()]
                values = [
                    value.decode("latin-1") for name, value in headers if name.lower() == COMMAND.encode()
                ]
                if values and session is not None:
                    cookies = await _execute(answers, session, values, is_https=request.is_https)
                    kept += [(b"set-cookie", cookie.encode()) for cookie in cookies]
                message = {**message, "headers": kept}
            await send(message)

        return send_on


async def _execute(answers: Answers, session: Session, values: list[str], *, is_https: bool) -> list[str]:
    command = settle(values)
    if command is None:
        return []
    if command.extends:
        return await _in_thread(lambda: answers.obey(session, command, is_https=is_https))
    return answers.obey(session, command, is_https=is_https)


async def _redirect(decision: Decision, send: Send) -> None:
    headers = [(b"location", decision.location.encode()), (b"cache-control", b"no-store")]
    if decision.cookie:
        headers.append((b"set-cookie", decision.cookie.encode()))
    headers.append((b"content-length", b"0"))
    await send({"type": "http.response.start", "status": 303, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


def _read_request(scope: Scope) -> GateRequest:
    raw = scope.get("raw_path")
    return GateRequest(
        method=_WEBSOCKET if scope["type"] == "websocket" else scope["method"],
        path=raw.decode("latin-1") if raw else quote(scope["path"]),
        query=scope["query_string"].decode("latin-1"),
        # HTTP/2 may send each cookie in a header of its own (RFC 9113, section 8.2.3).
        cookie="; ".join(_values(scope, b"cookie")),
        authorization=next(iter(_values(scope, b"authorization")), ""),
        is_https=scope.get("scheme") in ("https", "wss"),
    )


def _values(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for header, value in scope["headers"] if header.lower() == name]
