"""One run: what was asked for, where everything runs, and what the person who started it is shown."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import redis
from rich.progress import Progress

from bench.compare.crowd import LIMITS
from bench.compare.figures import Finding
from bench.compare.pinning import Pinning
from bench.servers import Server, StoreServer, running_server, running_store


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for."""

    repeats: int = 5
    people: int = 1_000_000
    visitors: int = 50_000
    """How many ask in turn: more than a server remembers, for a real crowd's come back after seconds only."""
    streams: int = 30_000
    """At most; the limit on open files is the other bound."""
    is_quick: bool = False

    @property
    def load_s(self) -> float:
        """Seconds of each run of the load generator."""
        return 2 if self.is_quick else 5

    @property
    def admission_s(self) -> float:
        """Seconds that each admission rate is measured for, after the first."""
        return 2 if self.is_quick else 15

    @property
    def moving_s(self) -> float:
        """Seconds that live streams are watched while the line moves."""
        return 6 if self.is_quick else 45

    @property
    def is_full(self) -> bool:
        """Whether the targets for a million people are targets for this run."""
        return self.people == 1_000_000


class Run:
    """What a stage is given."""

    def __init__(self, options: Options, pinning: Pinning, progress: Progress) -> None:
        self.options = options
        self.pinning = pinning
        self._progress = progress
        self._stage = ""
        self._headline = progress.add_task("", total=None)

    def telling(self, stage: str) -> None:
        """Show which stage this is."""
        self._stage = stage
        self._progress.reset(self._headline, total=None, description=stage)

    def doing(self, what: str) -> None:
        """Show what is being done just now."""
        self._progress.update(self._headline, description=f"{self._stage}: {what}")

    @contextmanager
    def bar(self, what: str, total: int) -> Iterator[Callable[[int], object]]:
        """Show how far a long piece of work is; yields what advances it."""
        task = self._progress.add_task(f"{self._stage}: {what}", total=total)
        try:
            yield lambda by: self._progress.advance(task, by)
        finally:
            self._progress.remove_task(task)

    def rounds(self) -> Iterator[int]:
        """Count the repetitions, showing each."""
        with self.bar("repetitions", self.options.repeats) as advance:
            for number in range(self.options.repeats):
                yield number
                advance(1)

    @contextmanager
    def store(self) -> Iterator[StoreServer]:
        """Run a store, pinned, until the block ends.

        It is set up as the embedded one, except that it does not rewrite its log meanwhile: that takes
        seconds of a processor, at a moment that nobody chooses.
        """
        with running_store() as store:
            self.pinning.pin_load(store.pid)
            # An engine that keeps no such log knows no such setting.
            with redis.Redis.from_url(store.url) as client, suppress(redis.ResponseError):
                client.config_set("auto-aof-rewrite-percentage", 0)
            yield store

    @contextmanager
    def servers(self, store: StoreServer, replicas: int = 1, **settings: str) -> Iterator[list[Server]]:
        """Run servers on a store, pinned, until the block ends; limits are counted but out of reach."""
        with ExitStack() as stack:
            running = [
                stack.enter_context(running_server(store, **{**LIMITS, **settings})) for _ in range(replicas)
            ]
            for server in running:
                self.pinning.pin_server(server.pid)
            yield running

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """Lend a folder until the block ends."""
        with TemporaryDirectory(prefix="wr-compare-") as folder:
            yield Path(folder)


class Stage(msgspec.Struct, frozen=True):
    """A group of figures that are measured together, and independently of all others."""

    name: str
    what: str
    measure: Callable[[Run], list[Finding]]
    needs_wrk: bool = False
