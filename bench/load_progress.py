"""Shows the progress of a load test: a bar on a terminal, otherwise a line now and then."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from bench.told import Told

_LINE_EVERY_S = 2.0


@contextmanager
def shown_progress(run_time_s: int) -> Iterator[Callable[[Told], None]]:
    """Show progress on standard error until the block ends. Gives a function that takes new figures."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines()
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[figures]}"),
    )
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("starting", start=False, total=run_time_s, figures="")

        def show(told: Told) -> None:
            if told.users and not progress.tasks[bar].started:
                progress.start_task(bar)
                progress.update(bar, description="running")
            if told.was_interrupted:
                progress.update(bar, description="ending")
            progress.update(bar, completed=progress.tasks[bar].elapsed or 0, figures=in_words(told))

        yield show


def _lines() -> Callable[[Told], None]:
    due_s = time.monotonic()

    def show(told: Told) -> None:
        nonlocal due_s
        if time.monotonic() >= due_s and told.users:
            due_s = time.monotonic() + _LINE_EVERY_S
            sys.stderr.write(f"bench: {in_words(told)}\n")
            sys.stderr.flush()

    return show


def in_words(told: Told) -> str:
    """Format the figures as one line."""
    return (
        f"{told.users:,} users, {told.requests:,} requests, "
        f"{told.per_second:,.0f} per second, {told.failures:,} failed"
    )
