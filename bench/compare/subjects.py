"""The three servers that are compared: fast lane on, fast lane off, and the bare server."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from bench.compare import wrk
from bench.compare.effort import Effort, Spent
from bench.compare.run import Run
from bench.compare.wrk import Ask, Load
from bench.servers import Measured, Server, StoreServer, running_program

NAMES = ("fast", "off", "bare")


class Observed(msgspec.Struct, frozen=True):
    """The result of a load, and what server and store did meanwhile."""

    load: Load
    server: Spent
    store: Spent

    @property
    def cpu_us_each(self) -> float:
        """Processor time of server and store for each request, in microseconds."""
        return (self.server.ran_s + self.store.ran_s) / self.load.requests * 1e6

    @property
    def server_share(self) -> float:
        """Part of the time in which the server used its processor during the load."""
        return self.server.ran_s / (self.load.duration_us / 1e6)

    @property
    def server_delay(self) -> float:
        """Part of that time in which it was ready but another process had the processor."""
        return self.server.delayed_s / (self.load.duration_us / 1e6)


class Subjects(msgspec.Struct, frozen=True):
    """The three servers on one store; the bare one does not use it."""

    store: StoreServer
    fast: Server
    off: Server
    bare: Measured

    def find(self, name: str) -> Measured:
        """Return a server by its name."""
        found: Measured = getattr(self, name)
        return found


@contextmanager
def subjects(run: Run) -> Iterator[Subjects]:
    """Run all three servers until the block ends."""
    command = [sys.executable, "-m", "bench.compare.bare"]
    with (
        run.folder() as folder,
        run.store() as store,
        run.servers(store, fast_lane="on") as (fast,),
        run.servers(store, fast_lane="off") as (off,),
        running_program(command, Path(folder) / "log") as (url, pid),
    ):
        run.pinning.pin_server(pid)
        yield Subjects(store, fast, off, Measured(url, pid))


def observe(run: Run, server: Measured, store: StoreServer, ask: Ask) -> Observed:
    """Put load on a server and measure its cost.

    Raises:
        NoLoad, Faulty: as `wrk.run`.
    """
    efforts = Effort(server), Effort(store)
    load = wrk.run(server.url, ask, run.pinning)
    return Observed(load, efforts[0].spent(), efforts[1].spent())
