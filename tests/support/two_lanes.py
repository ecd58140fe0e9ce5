"""Runs both lanes on one store and one event loop, and holds the same conversations with each of them.

Time stands still unless a test lets it pass, so that no patience runs out while the machine is slow, and
whoever waits for more is told apart from who is busy.
"""

import json
import queue
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import trio
import trio.testing

from wr.server.lifecycle import Clocks, run
from wr.server.settings import load_settings

ADMIN_KEY = "admin-key-of-the-lanes"
PATIENCE_S = 5.0
PROBE = b"GET /health HTTP/1.1\r\nHost: wr\r\nX-Request-Id: the-probe\r\n\r\n"
_SETTINGS = {
    "bind": "127.0.0.1:0",
    "admin_key": ADMIN_KEY,
    "limit_enqueue": "1000000/60",
    "limit_status": "1000000/60",
    "limit_heartbeat": "1000000/60",
    "limit_activity": "1000000/60",
    "limit_admin": "1000000/60",
    "limit_guess": "1000000/60",
    "head_timeout": str(PATIENCE_S),
    "body_timeout": str(PATIENCE_S),
    "idle_timeout": str(PATIENCE_S),
    "grace": "0.1",
}
_START_S = 120.0
"""Far more than it takes to start or stop: other tests may share the machine."""
_QUIET_S = 0.5
_MOST_PATIENCE = 3
"""Number of timeouts after which the client gives up an open connection."""
_MOST_AT_ONCE = 300
_COMPARED = {
    *("content-type", "cache-control", "x-content-type-options", "allow", "retry-after", "www-authenticate"),
    *("x-ratelimit-limit", "x-request-id", "connection", "upgrade", "x-accel-buffering"),
    *("sec-websocket-accept", "sec-websocket-protocol", "sec-websocket-version", "sec-websocket-extensions"),
}
_VARYING = re.compile(
    r"req-[0-9a-f]{16}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|eyJ[\w-]+\.[\w-]+\.[\w-]+"
    r"|\d{4}-\d\d-\d\dT[\d:.]+Z"
)
_NUMBERS = re.compile(r'("(?:position|queue_length|estimated_wait_seconds|uptime_seconds|total_\w+)":)[\d.]+')


def without_what_varies(text: str) -> str:
    """Replace ids, tokens and times with stars, and counts of visitors with 0."""
    return _NUMBERS.sub(r"\1 0", _VARYING.sub("*", text))


@dataclass(frozen=True)
class Answer:
    """One answer, without the parts that differ in every answer."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: str | None


@dataclass(frozen=True)
class Outcome:
    """The outcome of a conversation."""

    answers: tuple[Answer, ...]
    ending: str
    """`lives`: a further request was answered; `closed`; `waits`: nothing came, until patience was over;
    `hangs`: nor did anything then."""
    last_words: tuple[Answer, ...] = ()
    """The answers at the end of the timeout."""


def read_answers(data: bytes) -> list[Answer]:
    """Read consecutive answers. An answer without its body is one to HEAD."""
    answers = []
    while data:
        if not data.startswith(b"HTTP/1.1 "):
            answers.append(Answer(0, (), "no HTTP/1.1"))
            break
        head, end, data = data.partition(b"\r\n\r\n")
        assert end, f"half a head: {head!r}"
        line, *lines = head.decode("latin-1").split("\r\n")
        pairs = [(name.lower(), value.strip()) for name, _, value in (each.partition(":") for each in lines)]
        headers = dict(pairs)
        body: bytes | None = None
        if "content-length" in headers and (not data or not data.startswith(b"HTTP/1.1 ")):
            length = int(headers["content-length"])
            body, data = data[:length], data[length:]
            if length and not body:
                body = None
            assert not body or len(body) == length, f"half a body: {body!r}"
        kept = sorted(
            (name, value.lower() if name == "upgrade" else _VARYING.sub("*", value))
            for name, value in pairs
            if name in _COMPARED
        )
        text = None if body is None else without_what_varies(body.decode())
        answers.append(Answer(int(line.split(" ")[1]), tuple(kept), text))
    return answers


class Conversation:
    """Sends a byte stream in pieces and records the answers."""

    def __init__(self, port: int, pieces: Sequence[bytes], probe: bytes = PROBE) -> None:
        self._port = port
        self._pieces = pieces
        self._probe = probe
        self._received = b""
        self._came = trio.Event()
        self._before_the_end: bytes | None = None
        self._is_open = True
        self._patience = trio.CancelScope()
        self._lost_patience = 0

    @property
    def is_over(self) -> bool:
        """Whether the connection is closed, or the probe answered."""
        return not self._is_open or self._probe_is_answered()

    def lose_patience(self) -> None:
        """Record what arrived before a timeout; close the connection after several timeouts."""
        if self._before_the_end is None:
            self._before_the_end = self._received
        self._lost_patience += 1
        if self._lost_patience > _MOST_PATIENCE:
            self._patience.cancel()

    async def hold(self) -> None:
        """Send all pieces, each after the server has read the one before, and read until the end."""
        with self._patience:
            stream = await trio.open_tcp_stream("127.0.0.1", self._port)
            async with stream, trio.open_nursery() as both:
                both.start_soon(self._send, stream)
                await self._read(stream)
                both.cancel_scope.cancel()

    @property
    def outcome(self) -> Outcome:
        """Return the outcome."""
        if self._before_the_end is not None:
            before = read_answers(self._before_the_end)
            after = read_answers(self._received)[len(before) :]
            ending = "hangs" if self._patience.cancel_called else "waits"
            return Outcome(tuple(before), ending, tuple(after))
        answers = read_answers(self._received)
        if self._probe_is_answered():
            return Outcome(tuple(answers[:-1]), "lives")
        return Outcome(tuple(answers), "closed")

    def _probe_is_answered(self) -> bool:
        head, _, body = self._received.rpartition(b"\r\n\r\n")
        *_, last = head.rpartition(b"HTTP/1.1 ")
        return b": the-probe" in last and (
            f"content-length: {len(body)}\r" in last.decode("latin-1").lower() + "\r"
        )

    async def _send(self, stream: trio.SocketStream) -> None:
        try:
            for piece in self._pieces:
                await stream.send_all(piece)
                await trio.testing.wait_all_tasks_blocked()
            await self._first_answer()
            if self._probe:
                await stream.send_all(self._probe)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # The server may close; its answers before that count.

    async def _first_answer(self) -> None:
        """Wait for an answer or a timeout. Sending more too early could change the answer."""
        async with trio.open_nursery() as nursery:

            async def quiet() -> None:
                await trio.testing.wait_all_tasks_blocked(_QUIET_S / 2)
                nursery.cancel_scope.cancel()

            nursery.start_soon(quiet)
            await self._came.wait()
            nursery.cancel_scope.cancel()

    async def _read(self, stream: trio.SocketStream) -> None:
        while not self._probe_is_answered():
            try:
                data = await stream.receive_some()
            except trio.BrokenResourceError:
                data = b""
            self._came.set()
            if not data:
                self._is_open = False
                return
            self._received += data


class TwoLanes:
    """A server with the fast lane and one without."""

    def __init__(self, token: trio.lowlevel.TrioToken, clock: trio.testing.MockClock, ports: list[int]):
        self._token = token
        self._clock = clock
        self.fast, self.general = ports

    @property
    def ports(self) -> tuple[int, int]:
        """Ports of the server with the fast lane, and of the one without."""
        return self.fast, self.general

    def talk(self, port: int, streams: Sequence[Sequence[bytes]], probe: bytes = PROBE) -> list[Outcome]:
        """Hold conversations, many at a time."""
        return trio.from_thread.run(self._talk, port, streams, probe, trio_token=self._token)

    def in_loop(self, function: Any, *arguments: Any) -> Any:
        """Call an async function where the servers run."""
        return trio.from_thread.run(function, *arguments, trio_token=self._token)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Send a valid request to the server with the fast lane; returns the JSON."""
        content = json.dumps(body or {}).encode()
        lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        head = "\r\n".join(
            [f"{method} {path} HTTP/1.1", "Host: wr", f"Content-Length: {len(content)}", *lines]
        )
        return self.in_loop(self._ask, head.encode() + b"\r\nConnection: close\r\n\r\n" + content)

    def listen(self, port: int, request: bytes, said: bytes) -> Callable[[], bytes]:
        """Open a live stream and send data once it is open; returns a function that waits for its content."""
        stream, opening = self.in_loop(self._open, port, request, said)
        return lambda: self.in_loop(self._read_to_the_end, stream, opening)

    async def _open(self, port: int, request: bytes, said: bytes) -> tuple[trio.SocketStream, bytes]:
        stream = await trio.open_tcp_stream("127.0.0.1", port)
        await stream.send_all(request)
        opening = b""
        while b"\r\n\r\n" not in opening.removesuffix(b"\r\n\r\n"):
            data = await stream.receive_some()
            assert data, opening
            opening += data
        if said:
            await stream.send_all(said)
        return stream, opening

    async def _read_to_the_end(self, stream: trio.SocketStream, opening: bytes) -> bytes:
        received, has_ended = opening, False
        async with stream, trio.open_nursery() as nursery:

            async def let_time_pass() -> None:
                for _ in range(20):
                    await trio.testing.wait_all_tasks_blocked(0.05)
                    self._clock.jump(0.5)
                nursery.cancel_scope.cancel()

            nursery.start_soon(let_time_pass)
            async for data in stream:
                received += data
            has_ended = True
            nursery.cancel_scope.cancel()
        assert has_ended, f"the stream does not end: {received!r}"
        return received

    async def _ask(self, request: bytes) -> Any:
        async with await trio.open_tcp_stream("127.0.0.1", self.fast) as stream:
            await stream.send_all(request)
            answer = b"".join([chunk async for chunk in stream])
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.split(b" ")[1][:1] == b"2", answer
        return json.loads(body)

    async def _talk(self, port: int, streams: Sequence[Sequence[bytes]], probe: bytes) -> list[Outcome]:
        conversations = [Conversation(port, pieces, probe) for pieces in streams]
        places = trio.CapacityLimiter(_MOST_AT_ONCE)

        async def hold(conversation: Conversation) -> None:
            async with places:
                await conversation.hold()

        async with trio.open_nursery() as watched:
            watched.start_soon(self._let_time_pass, conversations)
            async with trio.open_nursery() as nursery:
                for conversation in conversations:
                    nursery.start_soon(hold, conversation)
            watched.cancel_scope.cancel()
        return [each.outcome for each in conversations]

    async def _let_time_pass(self, conversations: Sequence[Conversation]) -> None:
        while True:
            await trio.testing.wait_all_tasks_blocked(_QUIET_S)
            for conversation in conversations:
                if not conversation.is_over:
                    conversation.lose_patience()
            self._clock.jump(PATIENCE_S * 2)


@contextmanager
def two_lanes(store_url: str, data_dir: str) -> Iterator[TwoLanes]:
    """Run both servers on one store until the block ends."""
    outbox: queue.Queue[TwoLanes | BaseException] = queue.Queue()
    clock = trio.testing.MockClock(rate=1)
    stop: list[trio.Event] = []

    async def main() -> None:
        stop.append(trio.Event())
        async with trio.open_nursery() as nursery:
            urls = []
            for lane in ("on", "off"):
                settings = {**_SETTINGS, "store_url": store_url, "data_dir": data_dir, "fast_lane": lane}

                async def serve(
                    task_status: trio.TaskStatus[Any], settings: dict[str, str] = settings
                ) -> None:
                    loaded = load_settings(settings, {})
                    await run(loaded, stop=stop[0], clocks=Clocks(), task_status=task_status)

                urls.append((await nursery.start(serve)).url)
            clock.rate = 0
            ports = [int(url.rpartition(":")[2]) for url in urls]
            outbox.put(TwoLanes(trio.lowlevel.current_trio_token(), clock, ports))

    def guarded() -> None:
        try:
            trio.run(main, clock=clock)
        except BaseException as error:  # noqa: BLE001 - whatever it was, the test must hear of it
            outbox.put(error)

    thread = threading.Thread(target=guarded, daemon=True)
    thread.start()
    lanes = outbox.get(timeout=_START_S)
    if isinstance(lanes, BaseException):
        raise lanes
    try:
        yield lanes
    finally:

        async def end() -> None:
            clock.rate = 1
            stop[0].set()

        lanes.in_loop(end)
        thread.join(timeout=_START_S)
        assert not thread.is_alive(), "the servers did not stop"
