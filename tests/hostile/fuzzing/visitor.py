"""Another visitor, in a process of its own: joins, asks, shows that it lives and leaves, again and again.

Its own process, because the one that sends the cases is busy: what it would be late to read, the server would
seem to be late to say. Tells of each answer in a line of JSON.
"""

import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import trio

from tests.support.raw_http import CutOff, RawConnection
from tests.support.site import BASE

T = TypeVar("T")

SERVED_WITHIN_S = 1.0
"""How long another visitor may have to wait for an answer.

It usually takes 5 ms. Time in which the machine gave the server, its store or the visitor no processor is
taken off first (see `Waits`), so that the bound holds on a machine that others use, too.
"""
QUEUE = "queue-of-another-visitor"
_PATIENCE_S = 5.0
"""Far longer than it may take, without the same time: how long it took is part of what is told."""
_LOOK_S = 0.1
_PAUSE_S = 0.05


class NotServed(Exception):
    """The visitor was not served as it must be; the two arguments are the kind of fault and its detail."""


@dataclass(frozen=True)
class Waits:
    """How long some processes waited for a processor, as the kernel counts it for their main threads.

    The three that an answer takes work one after another, so that hardly any time is counted twice.
    """

    pids: tuple[int, ...]

    def seconds(self) -> float:
        """All of it so far, in seconds; 0 where the kernel does not count it."""
        total_ns = 0
        for pid in self.pids:
            try:
                total_ns += int(Path(f"/proc/{pid}/schedstat").read_text().split()[1])
            except (OSError, IndexError):
                continue
        return total_ns / 1e9


class Visitor:
    """Visits one server."""

    def __init__(
        self, address: tuple[str, int], waits: Waits, tell: Callable[[dict[str, Any]], None]
    ) -> None:
        self._address = address
        self._waits = waits
        self._tell = tell
        self._timer = _Timer(waits)
        self._visits = 0

    async def run(self) -> None:
        """Visit for ever.

        Raises:
            NotServed: in a group: an answer took too long, or was no success, or none came.
        """
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._be_patient)
            while True:
                try:
                    await self._visit()
                except (OSError, CutOff) as error:
                    raise NotServed("another visitor was cut off", repr(error)) from error
                await trio.sleep(_PAUSE_S)

    async def _visit(self) -> None:
        self._visits += 1
        # Of its own for each visit, within a network that is for examples.
        address = f"198.18.{self._visits >> 8 & 255}.{self._visits & 255}"
        path = f"{BASE}/queues/{QUEUE}"
        connection = RawConnection(await self._timed("connecting", self._connect))
        async with connection.stream:
            joined = await self._ask(connection, "POST", f"{path}/enqueue", X_Forwarded_For=address)
            bearer = {"Authorization": f"Bearer {joined['token']}"}
            await self._ask(connection, "GET", f"{path}/status", **bearer)
            await self._ask(connection, "POST", f"{path}/heartbeat", **bearer)
            # So that the line is no longer after many visits.
            await self._ask(connection, "DELETE", f"{path}/position", **bearer)

    async def _connect(self) -> trio.SocketStream:
        return await trio.open_tcp_stream(*self._address)

    async def _ask(self, connection: RawConnection, method: str, path: str, **headers: str) -> Any:
        what = f"{method} {path}"
        answer = await self._timed(what, lambda: connection.request(method, path, **headers))
        if answer.status not in (200, 201):
            detail = f"{what}: {answer.status} {answer.body[:300]!r}"
            raise NotServed("another visitor was refused", detail)
        return json.loads(answer.body)

    async def _timed(self, what: str, act: Callable[[], Awaitable[T]]) -> T:
        timer = self._timer = _Timer(self._waits)
        with timer.patience:
            result = await act()
            took_s, own_s = timer.seconds()
            self._tell({"what": what, "took_s": took_s, "own_s": own_s})
            if own_s > SERVED_WITHIN_S:
                detail = f"{what} took {took_s:.2f} s, in {own_s:.2f} s of which there was a processor"
                raise NotServed("another visitor had to wait", detail)
            return result
        detail = f"{what}: no answer in {timer.seconds()[0]:.1f} s"
        raise NotServed("another visitor was not served", detail)

    async def _be_patient(self) -> None:
        while True:
            await trio.sleep(_LOOK_S)
            self._timer.be_patient()


class _Timer:
    """How long an answer takes, from when the timer is made."""

    def __init__(self, waits: Waits) -> None:
        self._waits = waits
        self._began, self._waited = time.monotonic(), waits.seconds()
        self.patience = trio.CancelScope()

    def seconds(self) -> tuple[float, float]:
        """All of the time, and what is left of it without that in which there was no processor."""
        took_s = time.monotonic() - self._began
        return took_s, max(0.0, took_s - (self._waits.seconds() - self._waited))

    def be_patient(self) -> None:
        """Go on waiting, unless it has been long enough without the time in which there was no processor."""
        if self.seconds()[1] > _PATIENCE_S:
            self.patience.cancel()


def main(host: str, port: str, *pids: str) -> None:
    """Visit the server at this address; the pids are its own and its store's."""

    def tell(fact: dict[str, Any]) -> None:
        print(json.dumps(fact), flush=True)  # noqa: T201 - it is how this process speaks

    visitor = Visitor((host, int(port)), Waits((os.getpid(), *map(int, pids))), tell)
    try:
        trio.run(visitor.run)
    except* NotServed as group:
        kind, detail = group.exceptions[0].args
        tell({"kind": kind, "detail": detail})


if __name__ == "__main__":
    main(*sys.argv[1:])
