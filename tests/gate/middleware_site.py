"""What tests of the middleware have: tokens of their own, one request to a gate, a scripted waiting room."""

import asyncio
import re
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import jwt
import trio
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from wr.gate import AsgiGate, PublishedKeys
from wr.gate.decision import Passes

NOW_S = 1_800_000_000
QUEUE = "demo"
COOKIE = f"wr_session-{QUEUE}"
SERVER = "https://wait.example.com"
KEY = ec.generate_private_key(ec.SECP256R1())
PUBLISHED = {"keys": [{**ECAlgorithm.to_jwk(KEY.public_key(), as_dict=True), "kid": "k1", "alg": "ES256"}]}


def token(session_id: str = "s1", *, kid: str | None = "k1", **changes: Any) -> str:
    """Sign a session token as the waiting room does; one hour long, unless said otherwise."""
    said = {"iss": "wr", "aud": "wr:session", "sub": session_id, "queue_id": QUEUE}
    said |= {"iat": NOW_S, "exp": NOW_S + 3600, **changes}
    return jwt.encode(said, KEY, algorithm="ES256", headers={} if kid is None else {"kid": kid})


def passes(
    fetch: Callable[[str], dict[str, Any]] = lambda _: PUBLISHED,
    *,
    now: list[float] | None = None,
    open_paths: str = "",
) -> Passes:
    """Make the rules of a site whose clock is `now`, in seconds since 1970."""
    clock = now or [NOW_S]
    keys = PublishedKeys("", fetch=fetch, clock_s=lambda: clock[0])
    return Passes(SERVER, QUEUE, keys, open_paths=open_paths, now_s=lambda: clock[0])


@dataclass
class Told:
    """What a gate answered."""

    messages: list[dict[str, Any]] = field(default_factory=list)

    @property
    def status(self) -> int:
        """Of the answer; of a WebSocket that was closed, its code."""
        first = self.messages[0]
        return int(first.get("status") or first.get("code") or 0)

    def all(self, name: str) -> list[str]:
        """List the values of one header."""
        return [v.decode() for n, v in self.messages[0].get("headers", ()) if n.decode().lower() == name]


def ask(
    gate: AsgiGate,
    target: str = "/",
    *headers: tuple[str, str],
    method: str = "GET",
    kind: str = "http",
    on_trio: bool = False,
) -> Told:
    """Ask an ASGI application once."""
    path, _, query = target.partition("?")
    scope = {
        "type": kind,
        "scheme": "https",
        "path": path,
        "raw_path": path.encode("latin-1"),
        "query_string": query.encode("latin-1"),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers],
    }
    if kind == "http":
        scope["method"] = method
    told = Told()

    async def receive() -> dict[str, Any]:
        return {"type": f"{kind}.request"}

    async def send(message: dict[str, Any]) -> None:
        told.messages.append(message)

    async def run() -> None:
        await gate(scope, receive, send)

    if on_trio:
        trio.run(run)
    else:
        asyncio.run(run())
    return told


def holding(token: str) -> tuple[str, str]:
    """Spell the header of a browser that keeps a session."""
    return "cookie", f"{COOKIE}={token}"


def saying(*commands: str) -> Callable[[dict[str, Any], Any, Any], Awaitable[None]]:
    """Make a site that says these commands in every answer, a header each."""

    async def site(scope: dict[str, Any], receive: Any, send: Any) -> None:
        headers = [(b"x-wr-command", command.encode()) for command in commands]
        start = "websocket.accept" if scope["type"] == "websocket" else "http.response.start"
        await send({"type": start, "status": 200, "headers": headers})

    return site


@dataclass
class ScriptedRoom:
    """A waiting room that answers every request with the same bytes, whatever they are."""

    url: str
    heard: list[bytes] = field(default_factory=list)


@contextmanager
def scripted_room(answer: bytes | None) -> Iterator[ScriptedRoom]:
    """Answer so for as long as the block lasts; with None, take requests and never answer."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        room = ScriptedRoom(f"http://127.0.0.1:{listener.getsockname()[1]}")
        kept: list[socket.socket] = []

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                kept.append(connection)
                connection.settimeout(10)
                try:
                    room.heard.append(_request(connection))
                    if answer is not None:
                        connection.sendall(answer)
                        connection.close()
                except OSError:
                    continue  # It has heard enough and is gone.

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield room
        finally:
            # Whoever is still waited for by is let go, or the tests would end with its patience.
            for connection in kept:
                connection.close()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(10)


def _request(connection: socket.socket) -> bytes:
    """Read a request, with the body that its head announces."""
    with connection.makefile("rb") as stream:
        head = b"".join(iter(stream.readline, b"\r\n"))
        announced = re.search(rb"(?i)content-length: (\d+)", head)
        return head + b"\r\n" + stream.read(int(announced[1]) if announced else 0)


def answer(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    """Spell an answer of HTTP/1.1."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode() + body
