"""Runs Locust once without its web page, as a process with workers; reads its progress and its figures."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from bench.load_progress import shown_progress
from bench.told import Told

_ROOT = Path(__file__).parent.parent
_TELL_VARIABLE = "WR_BENCH_TELL"
"""Same as in bench.scenarios.telling, which cannot be imported here, because Locust patches the
interpreter."""
_END_SIGNAL = signal.SIGUSR1
"""Same as there, too."""
_SLACK_S = 60.0
"""Seconds beyond its run time after which a run is killed."""
_LAST_FIGURES_S = 15.0
"""Seconds that Locust may take to collect its figures after Ctrl-C."""


class LocustFailed(Exception):
    """Locust ended without figures. The message names its log."""


@dataclass(frozen=True)
class LocustRun:
    """The scenario to run, and the files for its report and log."""

    user_class: str
    queue_id: str
    users: int
    spawn_rate: float
    run_time_s: int
    workers: int
    report: Path
    log: Path

    def play(self, url: str) -> Told:
        """Run Locust against a server, with a progress display.

        Ctrl-C ends it early. A second one ends it at once, and so does one before the first figures.

        Raises:
            LocustFailed: it ended without figures.
        """
        told = Told()
        with ExitStack() as stack:
            process, lines = stack.enter_context(self._running(url))
            show = stack.enter_context(shown_progress(self.run_time_s))
            while True:
                try:
                    for line in iter(lines.readline, b""):
                        with suppress(json.JSONDecodeError):  # Ctrl-C may have cut a line in two
                            told.take(json.loads(line))
                        show(told)
                    process.wait()
                    break
                except KeyboardInterrupt:
                    if told.was_interrupted or not told.requests:
                        raise
                    told.was_interrupted = True
                    # Only Locust's main process: it ends its workers when it has their figures.
                    process.send_signal(_END_SIGNAL)
                    stack.enter_context(_killed_after(_LAST_FIGURES_S, process.pid))
        if not told.is_final:
            raise LocustFailed(f"Locust ended with code {process.returncode} too early; see {self.log}")
        log = self.log.read_text(errors="replace").splitlines()
        told.warnings = [line.partition("/WARNING/")[2] for line in log if "/WARNING/" in line]
        return told

    @contextmanager
    def _running(self, url: str) -> Iterator[tuple["subprocess.Popen[bytes]", BinaryIO]]:
        """Run Locust in a separate process group. No process of it is left afterwards."""
        reader, writer = os.pipe()
        with ExitStack() as stack:
            lines = stack.enter_context(os.fdopen(reader, "rb"))
            log = stack.enter_context(self.log.open("wb"))
            # An interrupt between the start of the process and the `try` would leave it running.
            with interrupts_held_back():
                try:
                    process = subprocess.Popen(  # noqa: S603 - built from known parts
                        self._command(url),
                        cwd=_ROOT,
                        env={**os.environ, _TELL_VARIABLE: str(writer)},
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=log,
                        pass_fds=(writer,),
                        process_group=0,
                    )
                finally:
                    os.close(writer)
                stack.callback(_end, process)
            stack.enter_context(_killed_after(self.run_time_s + _SLACK_S, process.pid))
            yield process, lines

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


@contextmanager
def interrupts_held_back() -> Iterator[None]:
    """Delay Ctrl-C until the end of the block. Processes that are started in it never receive it.

    A terminal interrupts all its processes at once. A server that ends before Locust would make
    every last request fail. Started processes inherit blocked signals; SIGTERM is not blocked.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _killed_after(seconds: float, group: int) -> Iterator[None]:
    """Kill a process group if the block takes longer than this."""
    timer = threading.Timer(seconds, _kill_group, [group])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _end(process: "subprocess.Popen[bytes]") -> None:
    _kill_group(process.pid)
    process.wait()


def _kill_group(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return  # all have ended, as they should


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
