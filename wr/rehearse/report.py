"""Prints a rehearsal for the operator: the plan, the progress and the result."""

import math
from collections.abc import Callable

import trio
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from wr.rehearse.operator import QueueState
from wr.rehearse.plan import Plan
from wr.rehearse.rehearsal import Rehearsal
from wr.rehearse.verdict import RehearsalFigures, Verdict

_REFRESH_S = 0.25
_LINE_EVERY_S = 10.0


def announce(console: Console, plan: Plan, before: QueueState, url: str) -> None:
    """Print the plan of the run, and roughly how long it takes."""
    facts = plan.facts
    console.print(
        f"{plan.visitors:,} visitors join queue [bold]{facts.id}[/] at {url}, {plan.join_rate:g} a second.\n"
        f"It admits {facts.admission_rate:g} per second and allows {facts.max_active_users:,} sessions. Each "
        f"session is used for about {plan.mean_dwell_s:.1f} s.\n"
        f"Heartbeats are due every {facts.heartbeat_interval_seconds:,} s. A visitor who is silent for "
        f"{facts.heartbeat_timeout_seconds:,} s is dropped.\n"
        f"The run takes about {_duration(plan.expected_s)}. Ctrl-C ends it early; the checks then cover what "
        f"was observed. The seed is {plan.seed}.",
        highlight=False,
    )
    if before.waiting or before.active:
        console.print(
            f"[yellow]The queue is not empty: {before.waiting:,} other visitors wait and "
            f"{before.active:,} have sessions. The run may take longer.[/]",
            highlight=False,
        )
    if facts.max_queue_size and plan.visitors > facts.max_queue_size:
        console.print(
            f"[yellow]At most {facts.max_queue_size:,} visitors can wait in the queue: some may be turned "
            "away.[/]",
            highlight=False,
        )


async def show_progress(console: Console, rehearsal: Rehearsal, clock: Callable[[], float]) -> None:
    """Show live counts until cancelled: a bar on a terminal, otherwise a line every ten seconds."""
    if not console.is_terminal:
        await _show_lines(console, rehearsal, clock)
        return
    progress = Progress(
        BarColumn(bar_width=20),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
        console=console,
        auto_refresh=False,
        transient=True,
    )
    with progress:
        bar = progress.add_task("", total=rehearsal.plan.visitors)
        requests, at_s = rehearsal.requests, clock()
        while True:
            await trio.sleep(_REFRESH_S)
            pace = (rehearsal.requests - requests) / (clock() - at_s)
            requests, at_s = rehearsal.requests, clock()
            progress.update(bar, completed=rehearsal.counts.over, description=_counts(rehearsal, pace))
            progress.refresh()


async def _show_lines(console: Console, rehearsal: Rehearsal, clock: Callable[[], float]) -> None:
    started_s = clock()
    requests = rehearsal.requests
    while True:
        await trio.sleep(_LINE_EVERY_S)
        pace = (rehearsal.requests - requests) / _LINE_EVERY_S
        requests = rehearsal.requests
        console.print(f"{clock() - started_s:4.0f} s  {_counts(rehearsal, pace)}", highlight=False)


def _counts(rehearsal: Rehearsal, requests_per_s: float) -> str:
    counts = rehearsal.counts
    return (
        f"joined {counts.joined:,}  waiting {counts.waiting:,}  admitted {counts.admitted:,}  "
        f"left {counts.left:,}  expired {counts.expired:,}  errors {counts.errors:,}  "
        f"{requests_per_s:,.0f} requests/s"
    )


def report(console: Console, plan: Plan, verdict: Verdict) -> None:
    """Print the figures, the results of the checks, the notes, and whether any promise was broken."""
    console.print(_figures(plan, verdict.figures))
    promises = Table(title="Promises", title_justify="left", show_header=False, box=None)
    signs = {True: "[green]✓[/]", False: "[red]✗[/]", None: "[dim]–[/]"}
    for promise in verdict.promises:
        promises.add_row(signs[promise.is_kept], promise.name, f"[dim]{promise.detail}[/]")
    console.print(promises)
    for note in verdict.notes:
        console.print(f"• {note}", highlight=False)
    for promise in verdict.broken:
        console.print(f"[red bold]BROKEN[/]  {promise.name}: {promise.detail}", highlight=False)
    if not verdict.broken:
        unseen = sum(promise.is_kept is None for promise in verdict.promises)
        rest = f" ({unseen} could not be checked, marked –)" if unseen else ""
        console.print(f"[green bold]No promise was broken[/]{rest}.", highlight=False)


def _figures(plan: Plan, figures: RehearsalFigures) -> Table:
    facts = plan.facts
    table = Table(title=f"Queue {facts.id}, {_duration(figures.duration_s)}", title_justify="left")
    table.add_column("")
    table.add_column("observed", justify="right")
    table.add_column("setting")
    rows = [
        ("joined", f"{figures.joined:,}", f"{plan.visitors:,}"),
        ("  per second", _number(figures.joins_per_s), f"{plan.join_rate:g}"),
        ("admitted", f"{figures.admitted:,}", ""),
        ("  and finished", f"{figures.finished:,}", ""),
        ("left the queue", f"{figures.left:,}", ""),
        ("expired", f"{figures.expired:,}", f"after {facts.heartbeat_timeout_seconds:,} s of silence"),
    ]
    rare = (
        ("lost the place for another reason", figures.lost),
        ("turned away", figures.turned_away),
        ("still waiting at the end", figures.unfinished),
    )
    rows += [(name, f"{count:,}", "") for name, count in rare if count]
    rows += [
        ("order inversions within a priority", f"{figures.inversions:,}", "0"),
        ("most sessions at the same time", f"{figures.most_active:,}", f"at most {facts.max_active_users:,}"),
        ("admissions per second", _number(figures.admitted_per_s), f"at most {facts.admission_rate:g}"),
        ("  in the busiest second", f"{figures.busiest_second:,}", f"and a burst of {facts.burst:g}"),
        ("error of the estimated wait, median", _seconds(figures.estimate_median_s), ""),
        ("  90th percentile", _seconds(figures.estimate_p90_s), ""),
        ("response time, median", _short(figures.answer_median_s), ""),
        ("  99th percentile", _short(figures.answer_p99_s), ""),
        ("requests", f"{figures.requests:,}", ""),
        ("  per second", _number(figures.requests / figures.duration_s), ""),
        ("errors", f"{figures.errors:,}", "0"),
    ]
    for row in rows:
        table.add_row(*row)
    return table


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:,.1f}"


def _seconds(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:,.1f} s"


def _short(value_s: float) -> str:
    return f"{value_s * 1000:,.0f} ms" if value_s < 1 else _seconds(value_s)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds // 60:.0f} min {seconds % 60:.0f} s"
    return f"{seconds / 3600:.1f} h"
