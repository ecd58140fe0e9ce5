"""One headless run of Locust, as a process with workers: its progress, and its figures at the end."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

_ROOT = Path(__file__).parent.parent
_TELL_VARIABLE = "WR_BENCH_TELL"
"""As in bench.scenarios.telling, which cannot be imported here: Locust patches the interpreter."""
_SLACK_S = 60
"""How much longer than it should a run may take before it is ended by force."""


class LocustFailed(Exception):
    """Locust ended without figures; the message says where to look."""


@dataclass
class Told:
    """What Locust told of a run."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    """One for each kind of request, as `bench.scenarios.telling` makes them."""
    problems: list[dict[str, Any]] = field(default_factory=list)
    """What failed: `what`, `why`, `times`."""
    warnings: list[str] = field(default_factory=list)
    """What Locust says against its own figures, such as that it had too little processor."""
    was_interrupted: bool = False


@dataclass(frozen=True)
class LocustRun:
    """What to run, and where its report and its log go."""

    user_class: str
    queue_id: str
    users: int
    spawn_rate: float
    run_time_s: int
    workers: int
    report: Path
    log: Path

    def play(self, url: str) -> Told:
        """Run Locust against a server, with a progress display; Ctrl-C ends it early, a second one at once.

        Raises:
            LocustFailed: it ended without figures.
        """
        told = Told()
        with self._running(url) as (process, lines), _progress(self.run_time_s) as (progress, bar):
            while True:
                try:
                    for line in iter(lines.readline, b""):
                        _take(json.loads(line), told, progress, bar)
                    process.wait()
                    break
                except KeyboardInterrupt:
                    if told.was_interrupted:
                        raise
                    told.was_interrupted = True
                    progress.update(bar, description="ending")
                    # Only Locust's first process: it ends its workers when it has their figures.
                    process.send_signal(signal.SIGINT)
        if not told.rows and not told.was_interrupted:
            raise LocustFailed(
                f"Locust ended with code {process.returncode}, without figures; see {self.log}"
            )
        log = self.log.read_text(errors="replace").splitlines()
        told.warnings = [line.partition("/WARNING/")[2] for line in log if "/WARNING/" in line]
        return told

    @contextmanager
    def _running(self, url: str) -> Iterator[tuple["subprocess.Popen[bytes]", BinaryIO]]:
        """Run Locust in a process group of its own; nothing of it is left afterwards."""
        reader, writer = os.pipe()
        environment = {**os.environ, _TELL_VARIABLE: str(writer)}
        with os.fdopen(reader, "rb") as lines, self.log.open("wb") as log:
            try:
                process = subprocess.Popen(  # noqa: S603 - built from known parts
                    self._command(url),
                    cwd=_ROOT,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=(writer,),
                    process_group=0,
                )
            finally:
                os.close(writer)
            overdue = threading.Timer(self.run_time_s + _SLACK_S, _kill_group, [process.pid])
            overdue.daemon = True
            overdue.start()
            try:
                yield process, lines
            finally:
                overdue.cancel()
                _kill_group(process.pid)
                process.wait()

    def _command(self, url: str) -> list[str]:
        port = str(_free_port())
        return [
            *(sys.executable, "-m", "locust", "-f", "bench/locustfile.py", "--headless", "--only-summary"),
            *("--host", url, "--queue", self.queue_id, "--loglevel", "WARNING"),
            *("--users", str(self.users), "--spawn-rate", str(self.spawn_rate)),
            *("--run-time", f"{self.run_time_s}s", "--html", str(self.report.absolute())),
            *("--processes", str(self.workers), "--expect-workers-max-wait", "30"),
            *("--master-bind-host", "127.0.0.1", "--master-bind-port", port, "--master-port", port),
            self.user_class,
        ]


def _take(told_now: dict[str, Any], told: Told, progress: Progress, bar: TaskID) -> None:
    """Show progress, or keep the figures, whichever has been told."""
    if "rows" in told_now:
        told.rows, told.problems = told_now["rows"], told_now["problems"]
        return
    if told_now["users"] and not progress.tasks[bar].started:
        progress.start_task(bar)
    progress.update(
        bar,
        completed=progress.tasks[bar].elapsed or 0,
        figures=f"{told_now['users']:,} users, {told_now['requests']:,} requests, "
        f"{told_now['per_second']:,.0f} per second, {told_now['failures']:,} failed",
    )


@contextmanager
def _progress(run_time_s: int) -> Iterator[tuple[Progress, TaskID]]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[figures]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield progress, progress.add_task("running", start=False, total=run_time_s, figures="")


def _kill_group(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return  # all have ended, as they should


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
