"""A process that holds the live streams of many visitors; the benchmark starts several of them.

Reads a line of JSON from its standard input (`Orders`), opens the streams, prints `open <n>` meanwhile and
`opened <n>` in the end. The line `watch` then starts noting when updates come; `stop` ends it with one line
of JSON (`Heard`).
"""

import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import trio

from bench.compare.punctuality import Diary, Gap
from bench.servers import raise_file_limit
from wr.rehearse.websocket import Refused, WebSocket, upgrade
from wr.server.lifecycle import collect_rarely

_OPENERS = 16
_TELL_EVERY = 50


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """The streams to hold: `count` of them, with the tokens from `first` on."""

    url: str
    queue_id: str
    tokens: str
    first: int
    count: int
    source: str
    """The loopback address to connect from: each has its own ephemeral ports."""


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """The result of the streams."""

    opened: int
    refused: int
    dropped: int
    """Streams that ended too early."""
    updates: int
    gaps: list[Gap]


class Crowd:
    """All streams of this process."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._diaries: list[Diary] = []
        self._gaps: list[Gap] = []
        self._opened = self._refused = self._dropped = self._updates = 0
        self._since: float | None = None

    async def listen(self) -> None:
        """Open and hold all streams until `stop`."""
        async with trio.open_nursery() as nursery:
            await self._open_all(nursery)
            _say(f"opened {self._opened}")
            while (await trio.to_thread.run_sync(sys.stdin.readline)).strip() == "watch":
                self._since = trio.current_time()
            _say(msgspec.json.encode(self._heard()).decode())
            nursery.cancel_scope.cancel()

    async def _open_all(self, nursery: trio.Nursery) -> None:
        with Path(self._orders.tokens).open() as lines:  # noqa: ASYNC230 - before anything is measured
            tokens = [
                line.strip()
                for line in islice(lines, self._orders.first, self._orders.first + self._orders.count)
            ]
        waiting = iter(tokens)
        async with trio.open_nursery() as openers:
            for _ in range(_OPENERS):
                openers.start_soon(self._open_some, waiting, nursery)

    async def _open_some(self, waiting: Iterator[str], nursery: trio.Nursery) -> None:
        target = urlsplit(self._orders.url)
        path = f"/ws/queues/{self._orders.queue_id}".encode()
        for token in waiting:
            try:
                stream = await trio.open_tcp_stream(
                    str(target.hostname), target.port or 80, local_address=self._orders.source
                )
                headers = [(b"Authorization", b"Bearer " + token.encode())]
                listener = await upgrade(nursery, stream, target.netloc.encode(), path, headers)
            except (OSError, Refused):
                self._refused += 1
                continue
            self._opened += 1
            nursery.start_soon(self._follow, listener)
            if self._opened % _TELL_EVERY == 0:
                _say(f"open {self._opened}")

    async def _follow(self, listener: WebSocket) -> None:
        diary = Diary()
        self._diaries.append(diary)
        while (message := await listener.message()) is not None:
            if message["type"] == "position_update":
                self._updates += 1
                gap = diary.told(message["data"]["position"], trio.current_time(), self._since)
                if gap is not None:
                    self._gaps.append(gap)
        self._dropped += 1
        await listener.aclose()

    def _heard(self) -> Heard:
        now = trio.current_time()
        since = now if self._since is None else self._since
        overdue = [gap for diary in self._diaries if (gap := diary.unfinished(now, since)) is not None]
        return Heard(
            opened=self._opened,
            refused=self._refused,
            dropped=self._dropped,
            updates=self._updates,
            gaps=[*self._gaps, *overdue],
        )


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    """Read orders and carry them out."""
    raise_file_limit()
    collect_rarely()
    trio.run(Crowd(msgspec.json.decode(sys.stdin.readline(), type=Orders)).listen)


if __name__ == "__main__":
    main()
