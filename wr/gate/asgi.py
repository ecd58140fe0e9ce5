"""The gate as ASGI middleware."""

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
"""Messages that bring the headers of an answer."""


async def _in_thread(work: Callable[[], Found]) -> Found:
    """Wait for a request to the waiting room without holding up others, on asyncio or on Trio."""
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_run():
        found: Found = await trio.to_thread.run_sync(work, abandon_on_cancel=True)
        return found
    return await asyncio.to_thread(work)


class AsgiGate(Middleware[App]):
    """Lets requests and WebSockets through to `app` that bring a session; sends others to the waiting page.

    The session is in `scope["wr.session"]`, and named in the headers `X-WR-Session` and `X-WR-Queue` as the
    gate in a proxy names it; None and not named where nobody needs one, on one of `open_paths`. With
    `commands`, `X-WR-Command` of an answer is carried out and taken from the answer. Raises as `Middleware`.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the lifespan of the application.

        Raises:
            ValueError: a scope that nobody here knows how to guard.
        """
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] not in ("http", "websocket"):
            raise ValueError(f"the gate guards http and websocket, not {scope['type']!r}")
        asked = _read_asked(scope)
        decision = await self._decide(asked)
        if not decision.location:
            session = decision.session
            sent_on = {**scope, "headers": self._headers(scope, session), "wr.session": session}
            await self._app(sent_on, receive, self._heard(session, asked, send))
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 4401})
        else:
            await _elsewhere(decision, send)

    async def _decide(self, asked: GateRequest) -> Decision:
        if self._passes.needs_request(asked):
            return await _in_thread(lambda: self._passes.decide(asked))
        return self._passes.decide(asked, may_wait=False)

    def _headers(self, scope: Scope, session: Session | None) -> list[tuple[bytes, bytes]]:
        visitors = [each for each in scope["headers"] if not is_the_gates_own(each[0].decode("latin-1"))]
        named = self._passes.named(session)
        return visitors + [(name.lower().encode(), value.encode()) for name, value in named]

    def _heard(self, session: Session | None, asked: GateRequest, send: Send) -> Send:
        answers = self._answers
        if answers is None:
            return send

        async def send_on(message: Any) -> None:
            if message["type"] in _STARTS:
                headers = list(message.get("headers", ()))
                kept = [each for each in headers if each[0].lower() != COMMAND.encode()]
                said = [
                    value.decode("latin-1") for name, value in headers if name.lower() == COMMAND.encode()
                ]
                if said and session is not None:
                    cookies = await _obey(answers, session, said, is_https=asked.is_https)
                    kept += [(b"set-cookie", cookie.encode()) for cookie in cookies]
                message = {**message, "headers": kept}
            await send(message)

        return send_on


async def _obey(answers: Answers, session: Session, said: list[str], *, is_https: bool) -> list[str]:
    command = settle(said)
    if command is None:
        return []
    if command.extends:
        return await _in_thread(lambda: answers.obey(session, command, is_https=is_https))
    return answers.obey(session, command, is_https=is_https)


async def _elsewhere(decision: Decision, send: Send) -> None:
    headers = [(b"location", decision.location.encode()), (b"cache-control", b"no-store")]
    if decision.cookie:
        headers.append((b"set-cookie", decision.cookie.encode()))
    headers.append((b"content-length", b"0"))
    await send({"type": "http.response.start", "status": 303, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


def _read_asked(scope: Scope) -> GateRequest:
    raw = scope.get("raw_path")
    return GateRequest(
        method=_WEBSOCKET if scope["type"] == "websocket" else scope["method"],
        path=raw.decode("latin-1") if raw else quote(scope["path"]),
        query=scope["query_string"].decode("latin-1"),
        # HTTP/2 may send each cookie in a header of its own (RFC 9113, 8.2.3).
        cookie="; ".join(_values(scope, b"cookie")),
        authorization=next(iter(_values(scope, b"authorization")), ""),
        is_https=scope.get("scheme") in ("https", "wss"),
    )


def _values(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for each, value in scope["headers"] if each.lower() == name]
