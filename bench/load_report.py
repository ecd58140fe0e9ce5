"""The result of a load test: a table for people, JSON for programs, and doubts about the figures."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from bench.locust_run import LocustRun
from bench.told import Told

_MOST_PROBLEMS = 10


@dataclass(frozen=True)
class Outcome:
    """The result of one load test, and what it was measured with."""

    scenario: str
    run: LocustRun
    queue: dict[str, Any]
    """The queue's settings."""
    told: Told
    server_cpu_s: float
    """Processor time that the server used during the run."""
    server_bytes: int
    """The server's memory at the end."""
    joins_server_counted: int

    @property
    def joins_locust_counted(self) -> int:
        """Joins with a correct answer."""
        rows = [row for row in self.told.rows if row["name"] == "/enqueue"]
        return sum(row["requests"] - row["failures"] for row in rows)

    @property
    def complaints(self) -> list[str]:
        """Failures of the run; empty if it is good."""
        found = [
            f"{problem['what']}, {problem['times']:,} times: {problem['why']}"
            for problem in self.told.problems
        ]
        if not self.told.rows:
            found.append("nothing was asked")
        return found

    @property
    def doubts(self) -> list[str]:
        """Reasons to doubt the figures."""
        found = list(self.told.warnings)
        # Each visitor may have been stopped after the server counted a join and before Locust did.
        locust, server = self.joins_locust_counted, self.joins_server_counted
        if not 0 <= server - locust <= self.run.users:
            found.append(f"Locust counted {locust:,} joins and the server {server:,}")
        return found


def write_json(outcome: Outcome, path: Path) -> None:
    """Write the figures and what they were measured with."""
    run = {name: value for name, value in asdict(outcome.run).items() if not isinstance(value, Path)}
    content = {
        "scenario": outcome.scenario,
        "run": run,
        "queue": outcome.queue,
        "requests": outcome.told.rows,
        "server": {
            "cpu_s": outcome.server_cpu_s,
            "resident_bytes": outcome.server_bytes,
            "joins_counted": outcome.joins_server_counted,
        },
        "complaints": outcome.complaints,
        "doubts": outcome.doubts,
        "was_interrupted": outcome.told.was_interrupted,
    }
    path.write_text(json.dumps(content, indent=2) + "\n")


def show_outcome(outcome: Outcome, console: Console) -> None:
    """Print the figures as a table, and the doubts about them."""
    run = outcome.run
    title = f"{outcome.scenario}: {run.users:,} parallel visitors, {run.run_time_s} s, {run.workers} workers"
    title += ", ended early" if outcome.told.was_interrupted else ""
    table = Table(title=title, caption="times in milliseconds", box=box.SIMPLE_HEAD)
    table.add_column("request", no_wrap=True)
    for heading in ("answered", "failed", "per s", "median", "95 %", "99 %"):
        table.add_column(heading, justify="right")
    for row in outcome.told.rows:
        table.add_row(
            f"{row['method']} {row['name']}",
            f"{row['requests']:,}",
            f"{row['failures']:,}",
            f"{row['per_second']:,.1f}",
            *(_milliseconds(row[name]) for name in ("p50_ms", "p95_ms", "p99_ms")),
        )
    console.print(table)
    console.print(
        f"The server used {outcome.server_cpu_s:.1f} s of processor time and "
        f"{outcome.server_bytes / 2**20:.0f} MiB, and counted {outcome.joins_server_counted:,} joins."
    )
    for doubt in outcome.doubts:
        console.print(f"doubt: {doubt}", style="yellow")
    for complaint in outcome.complaints[:_MOST_PROBLEMS]:
        console.print(f"failure: {complaint}", style="red")
    if len(outcome.complaints) > _MOST_PROBLEMS:
        console.print(f"and {len(outcome.complaints) - _MOST_PROBLEMS} more, see the report", style="red")


def _milliseconds(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"
