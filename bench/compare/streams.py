"""Measures live streams: how many one process holds, their memory, and whether updates come in time."""

import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from bench.compare.crowd import Line, read_ring, write_tokens
from bench.compare.effort import Effort, in_words
from bench.compare.figures import Finding, percentile
from bench.compare.listeners import Heard, Orders
from bench.compare.operators import OperatorService
from bench.compare.punctuality import GROUPS, group_of, share_on_time
from bench.compare.run import Run, Stage
from bench.servers import Measured, Server, raise_file_limit

_QUEUE = "streams"
_RATE = 3
"""Admissions per second while streams are watched, so that every position keeps changing."""
_PER_PROCESS = 5_000
_SPARE_FILES = 300
_SETTLE_S = 5.0


class NotOpened(Exception):
    """A process of listeners ended too early."""


class Listeners:
    """One process of listeners, as this process controls it."""

    def __init__(self, process: "subprocess.Popen[str]", orders: Orders) -> None:
        self._process = process
        self.measured = Measured("", process.pid)
        self._order(msgspec.json.encode(orders).decode())

    def opening(self) -> Iterator[int]:
        """Yield how many more streams are open, until all are."""
        before = 0
        while True:
            word, _, number = self._line().partition(" ")
            if word not in ("open", "opened"):
                raise NotOpened(f"listeners printed {word!r}")
            yield int(number) - before
            if word == "opened":
                return
            before = int(number)

    def watch(self) -> None:
        """Make them record updates from now on."""
        self._order("watch")

    def stop(self) -> Heard:
        """End the process and return its result."""
        self._order("stop")
        return msgspec.json.decode(self._line(), type=Heard)

    def _order(self, line: str) -> None:
        assert self._process.stdin is not None  # noqa: S101 - for the types; it is a pipe
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _line(self) -> str:
        assert self._process.stdout is not None  # noqa: S101 - for the types; it is a pipe
        line = self._process.stdout.readline()
        if not line:
            raise NotOpened("a process of listeners ended too early")
        return line.strip()


def measure_streams(run: Run) -> list[Finding]:
    """Measure the requested number of streams, or as many as the limit on open files allows."""
    wanted = min(run.options.streams, _file_limit() - _SPARE_FILES)
    with run.folder() as folder, run.store() as store, run.servers(store) as (server,):
        operators, line = OperatorService(server), Line(store, _QUEUE)
        operators.make_queue(_QUEUE, rate=_RATE)
        # The first visitors to be admitted hold no stream, so that every stream gets updates until the end.
        line.fill(int(_RATE * (run.options.moving_s + _SETTLE_S)) + 20)
        places = line.fill(wanted, chosen=wanted)
        tokens = write_tokens(folder / "tokens", _QUEUE, places, read_ring(store))
        before = server.resident_bytes()
        with _listeners(run, server, tokens, wanted) as crowds:
            _open(run, crowds, wanted)
            run.doing("letting memory settle")
            time.sleep(_SETTLE_S)
            grown = server.resident_bytes() - before
            run.doing(f"the queue moves; {wanted:,} streams are watched")
            watched = [server, *(crowd.measured for crowd in crowds)]
            efforts = [Effort(each) for each in watched]
            operators.set_status(_QUEUE, "active")
            time.sleep(1)
            for crowd in crowds:
                crowd.watch()
            time.sleep(run.options.moving_s)
            spent = [effort.spent() for effort in efforts]
            busy = f"server {in_words(spent[:1])}; listeners {in_words(spent[1:])}"
            heard = [crowd.stop() for crowd in crowds]
            grown_at_end = server.resident_bytes() - before
    return _findings(heard, wanted, (grown, grown_at_end), busy)


def _findings(heard: Sequence[Heard], wanted: int, grown: tuple[int, int], busy: str) -> list[Finding]:
    opened = sum(each.opened for each in heard)
    dropped = sum(each.dropped for each in heard)
    gaps = [gap for each in heard for gap in each.gaps]
    by_group = {name: [gap for position, gap in gaps if group_of(position) == name] for name, _, _ in GROUPS}
    return [
        Finding(
            key="streams.held",
            values=(opened - dropped,),
            note=f"of {wanted:,}; limit on open files {_file_limit():,}",
        ),
        Finding(key="streams.dropped", values=(dropped + wanted - opened,)),
        Finding(
            key="streams.bytes",
            values=(grown[0] / opened / 1024,),
            note=f"{grown[1] / opened / 1024:.1f} KiB after the queue has moved",
        ),
        Finding(
            key="streams.on_time",
            values=(share_on_time(gaps) * 100,),
            note=f"{len(gaps):,} updates; {busy}",
        ),
        *(
            Finding(key=f"streams.gap.{name}", values=(percentile(found, 0.99),), note=f"{len(found):,} gaps")
            for name, found in by_group.items()
            if found
        ),
    ]


def _file_limit() -> int:
    raise_file_limit()
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


@contextmanager
def _listeners(run: Run, server: Server, tokens: Path, wanted: int) -> Iterator[list[Listeners]]:
    """Run as many processes of listeners as necessary until the block ends."""
    with ExitStack() as stack:
        crowds: list[Listeners] = []
        for number, first in enumerate(range(0, wanted, _PER_PROCESS)):
            orders = Orders(
                url=server.url,
                queue_id=_QUEUE,
                tokens=str(tokens),
                first=first,
                count=min(_PER_PROCESS, wanted - first),
                source=f"127.0.0.{number + 2}",
            )
            crowds.append(Listeners(stack.enter_context(_process(run)), orders))
        yield crowds


@contextmanager
def _process(run: Run) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "bench.compare.listeners"]
    with subprocess.Popen(  # noqa: S603 - built from known parts
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        run.pinning.pin_load(process.pid)
        try:
            yield process
        finally:
            process.kill()


def _open(run: Run, crowds: Sequence[Listeners], wanted: int) -> None:
    with run.bar(f"{wanted:,} streams open", wanted) as advance:
        for crowd in crowds:
            for more in crowd.opening():
                advance(more)


STAGES = (Stage("streams", "live streams held, their weight, and their updates", measure_streams),)
