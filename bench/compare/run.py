"""One run of the comparison: its options, its servers and folders, and its progress display."""

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
    """The options of a run."""

    repeats: int = 5
    people: int = 1_000_000
    visitors: int = 50_000
    """Visitors who send requests in turn: more than a server caches, because real visitors return after
    seconds."""
    streams: int = 30_000
    """The most live streams, as far as the limit on open files allows."""
    is_quick: bool = False

    @property
    def load_s(self) -> float:
        """Seconds of each run of the load generator."""
        return 2 if self.is_quick else 5

    @property
    def admission_s(self) -> float:
        """Seconds for which each admission rate is measured, after the first second."""
        return 2 if self.is_quick else 15

    @property
    def moving_s(self) -> float:
        """Seconds for which live streams are watched while the queue moves."""
        return 6 if self.is_quick else 45

    @property
    def is_full(self) -> bool:
        """Whether the targets for a million visitors apply to this run."""
        return self.people == 1_000_000


class Run:
    """The tools that a stage gets."""

    def __init__(self, options: Options, pinning: Pinning, progress: Progress) -> None:
        self.options = options
        self.pinning = pinning
        self._progress = progress
        self._stage = ""
        self._headline = progress.add_task("", total=None)

    def telling(self, stage: str) -> None:
        """Show the name of the stage."""
        self._stage = stage
        self._progress.reset(self._headline, total=None, description=stage)

    def doing(self, what: str) -> None:
        """Show the current step."""
        self._progress.update(self._headline, description=f"{self._stage}: {what}")

    @contextmanager
    def bar(self, what: str, total: int) -> Iterator[Callable[[int], object]]:
        """Show the progress of a long step; gives a function that advances it."""
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

        It has the configuration of the embedded one, except that it never rewrites its log: that takes
        seconds of processor time, at an unpredictable moment.
        """
        with running_store() as store:
            self.pinning.pin_load(store.pid)
            # An engine without such a log does not have this setting.
            with redis.Redis.from_url(store.url) as client, suppress(redis.ResponseError):
                client.config_set("auto-aof-rewrite-percentage", 0)
            yield store

    @contextmanager
    def servers(self, store: StoreServer, replicas: int = 1, **settings: str) -> Iterator[list[Server]]:
        """Run servers on a store, pinned, until the block ends. Limits are counted but never reached."""
        with ExitStack() as stack:
            running = [
                stack.enter_context(running_server(store, **{**LIMITS, **settings})) for _ in range(replicas)
            ]
            for server in running:
                self.pinning.pin_server(server.pid)
            yield running

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """Give a temporary folder until the block ends."""
        with TemporaryDirectory(prefix="wr-compare-") as folder:
            yield Path(folder)


class Stage(msgspec.Struct, frozen=True):
    """A group of figures that are measured together, independent of other groups."""

    name: str
    what: str
    measure: Callable[[Run], list[Finding]]
    needs_wrk: bool = False
