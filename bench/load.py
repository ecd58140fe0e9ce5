"""Runs load tests with Locust: store, server and Locust's workers on loopback; writes a report with plots.

Known bias: Locust, server and store share one machine's processors, so the server has fewer
than it would have alone. Locust's count of joins is checked against the server's own count.
"""

import signal
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import httpx

from bench.load_report import Outcome, show_outcome, write_json
from bench.locust_run import LocustFailed, LocustRun, interrupts_held_back
from bench.servers import ADMIN_KEY, Server, running_servers
from wr.cli.tables import make_console

QUEUE = "demo"
RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Scenario:
    """The defaults of a scenario."""

    user_class: str
    about: str
    users: int
    spawn_rate: float | None
    """Users who start per second; None means all at once."""
    queue: dict[str, Any]
    """Settings of the queue for this scenario."""


_ENDLESS_LINE = {"max_queue_size": 0, "heartbeat_timeout_seconds": 600}
SCENARIOS = {
    "surge": Scenario(
        "Surge",
        "all visitors at once: join, check the status once, and start again as a new visitor",
        users=200,
        spawn_rate=None,
        queue={**_ENDLESS_LINE, "admission_rate": 50, "max_active_users": 1_000_000},
    ),
    "steady": Scenario(
        "Steady",
        "heartbeats and polls of many waiting visitors",
        users=500,
        spawn_rate=100,
        queue={**_ENDLESS_LINE, "admission_rate": 1, "heartbeat_interval_seconds": 5},
    ),
    "sale": Scenario(
        "Sale",
        "join, wait, get in, browse, finish",
        users=200,
        spawn_rate=50,
        queue={"admission_rate": 40, "max_active_users": 60, "heartbeat_interval_seconds": 2},
    ),
    "poll-storm": Scenario(
        "PollStorm",
        "all waiting visitors reload without a pause",
        users=100,
        spawn_rate=None,
        queue={**_ENDLESS_LINE, "admission_rate": 1},
    ),
    "live": Scenario(
        "Live",
        "wait on WebSockets until admitted",
        users=300,
        spawn_rate=100,
        queue={**_ENDLESS_LINE, "admission_rate": 50, "max_active_users": 1_000_000},
    ),
}


def _described_scenarios() -> str:
    return "\n".join(f"  {name:12}{scenario.about}" for name, scenario in SCENARIOS.items())


@click.command(
    help=f"""Run a load test on loopback, with its own server and store and with Locust's workers.

\b
SCENARIO is one of:
{_described_scenarios()}

Writes SCENARIO.html, Locust's report with plots, and SCENARIO.json with the figures and what they were
measured with. Exit code 1 if a request failed. Ctrl-C ends the run early; it still writes the report.
"""
)
@click.argument("scenario", type=click.Choice(list(SCENARIOS)), metavar="SCENARIO")
@click.option(
    "--users", type=click.IntRange(min=1), help="Visitors at the same time.  [default: the scenario's own]"
)
@click.option(
    "--spawn-rate",
    type=click.FloatRange(min=0, min_open=True),
    help="Visitors who start per second.  [default: the scenario's own]",
)
@click.option(
    "--run-time",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="Seconds to run, from the first visitor.",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    help="Locust's worker processes, which simulate the visitors.",
)
@click.option(
    "--results",
    type=click.Path(file_okay=False, path_type=Path),
    default=RESULTS,
    help="Folder for the report.  [default: bench/results]",
)
def main(
    scenario: str, users: int | None, spawn_rate: float | None, run_time: int, workers: int, results: Path
) -> None:
    """Run one scenario and end with its exit code."""
    # A SIGTERM to this process has the same effect as Ctrl-C: no process is left running.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    plan = SCENARIOS[scenario]
    users = users or plan.users
    run = LocustRun(
        user_class=plan.user_class,
        queue_id=QUEUE,
        users=users,
        spawn_rate=spawn_rate or plan.spawn_rate or users,
        run_time_s=run_time,
        workers=workers,
        report=results / f"{scenario}.html",
        log=results / f"{scenario}.log",
    )
    results.mkdir(parents=True, exist_ok=True)
    console = make_console()
    try:
        outcome = _measure(scenario, plan, run)
    except KeyboardInterrupt:
        click.echo("bench: ended before there was any result", err=True)
        sys.exit(130)
    except LocustFailed as failure:
        raise click.ClickException(str(failure)) from failure
    write_json(outcome, results / f"{scenario}.json")
    show_outcome(outcome, console)
    console.print(f"Report with plots: {run.report}", soft_wrap=True)
    sys.exit(130 if outcome.told.was_interrupted else int(bool(outcome.complaints)))


def _measure(scenario: str, plan: Scenario, run: LocustRun) -> Outcome:
    """Run Locust against a new server. Server and store are stopped afterwards."""
    with ExitStack() as stack:
        with interrupts_held_back():
            (server,) = stack.enter_context(running_servers(1))
        queue = _make_queue(server, plan.queue)
        cpu_s = server.cpu_s()
        told = run.play(server.url)
        return Outcome(
            scenario=scenario,
            run=run,
            queue=queue,
            told=told,
            server_cpu_s=server.cpu_s() - cpu_s,
            server_bytes=server.resident_bytes(),
            joins_server_counted=_joins_counted_by(server),
        )


def _make_queue(server: Server, settings: dict[str, Any]) -> dict[str, Any]:
    body = {"id": QUEUE, "target_url": "https://shop.example/", **settings}
    response = httpx.post(f"{server.url}/api/v1/admin/queues", json=body, headers={"X-Admin-Key": ADMIN_KEY})
    response.raise_for_status()
    made: dict[str, Any] = response.json()
    return made


def _joins_counted_by(server: Server) -> int:
    """Return the server's count of today's joins: for a new server all joins, except just after midnight
    UTC."""
    url = f"{server.url}/api/v1/admin/queues/{QUEUE}/stats"
    response = httpx.get(url, headers={"X-Admin-Key": ADMIN_KEY})
    response.raise_for_status()
    return int(response.json()["total_enqueued_today"])


if __name__ == "__main__":
    main()
