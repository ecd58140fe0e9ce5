"""Runs the whole server in a thread of the test process, with real HTTP on a real port."""

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import trio

from tests.support.clock import NO_GAP_MS, HandClock
from wr.server.lifecycle import Clocks, Ready, run
from wr.server.settings import load_settings

PATIENCE_S = 120.0
"""Far more than it takes to start or stop: other tests may share the machine."""


@contextmanager
def running_server(clock: HandClock | None, **settings: str) -> Iterator[Ready]:
    """Run a server with these settings until the block ends. `clock` controls all of its time."""
    outbox: queue.Queue[Ready | BaseException] = queue.Queue()
    stops: queue.Queue[tuple[trio.Event, trio.lowlevel.TrioToken]] = queue.Queue()

    async def main() -> None:
        stop = trio.Event()
        stops.put((stop, trio.lowlevel.current_trio_token()))
        clocks = Clocks()
        if clock is not None:
            # Steps of the clock stand for passing time, not for an outage.
            clocks = Clocks(store_ms=clock, token_ms=clock, least_gap_ms=lambda _interval_s: NO_GAP_MS)
        async with trio.open_nursery() as nursery:

            async def serve(task_status: trio.TaskStatus[Ready]) -> None:
                await run(
                    load_settings({"bind": "127.0.0.1:0", **settings}, {}),
                    stop=stop,
                    clocks=clocks,
                    task_status=task_status,
                )

            outbox.put(await nursery.start(serve))

    def guarded() -> None:
        try:
            trio.run(main)
        except BaseException as error:  # noqa: BLE001 - whatever it was, the test must hear of it
            outbox.put(error)

    thread = threading.Thread(target=guarded, daemon=True)
    thread.start()
    ready = outbox.get(timeout=PATIENCE_S)
    if isinstance(ready, BaseException):
        raise ready
    try:
        yield ready
    finally:
        stop, token = stops.get()
        token.run_sync_soon(stop.set)
        thread.join(timeout=PATIENCE_S)
        if not outbox.empty():
            raise AssertionError("the server ended with an error") from outbox.get()  # type: ignore[misc]
        assert not thread.is_alive(), "the server did not stop"
