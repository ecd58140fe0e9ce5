"""`./scripts/bench compare`: measures stage by stage, writes the results after each, and checks them."""

import os
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from bench.compare import (
    admissions,
    latency,
    line_length,
    memory,
    store_alone,
    streams,
    throughput,
    wrk,
)
from bench.compare.drawing import write_drawing
from bench.compare.figures import Finding, Row, judge
from bench.compare.machine import describe_machine, load_average, processor_ticks
from bench.compare.pinning import Pinning, choose_pinning
from bench.compare.plot import write_page
from bench.compare.report import Report, StageReport, carry_over, make_table, with_stage, write_json
from bench.compare.run import Options, Run, Stage

STAGES: tuple[Stage, ...] = (
    *throughput.STAGES,
    *store_alone.STAGES,
    *latency.STAGES,
    *line_length.STAGES,
    *memory.STAGES,
    *admissions.STAGES,
    *streams.STAGES,
)
NAMES = tuple(stage.name for stage in STAGES)
RESULTS = Path(__file__).parents[1] / "results"
_QUIET = 0.5
_QUICK = {"repeats": 1, "people": 2_000, "visitors": 1_000, "streams": 100}


def _chosen(_context: click.Context, _parameter: click.Parameter, value: str | None) -> Sequence[Stage]:
    """Read the names of stages.

    Raises:
        click.BadParameter: there is none of that name.
    """
    if value is None:
        return STAGES
    wanted = [name.strip() for name in value.split(",")]
    for name in wanted:
        if name not in NAMES:
            raise click.BadParameter(f"'{name}' is none of {', '.join(NAMES)}")
    return [stage for stage in STAGES if stage.name in wanted]


@click.command(epilog="Stages: " + "; ".join(f"{stage.name} ({stage.what})" for stage in STAGES) + ".")
@click.option("--only", "stages", callback=_chosen, metavar="NAMES", help="Stages, separated by commas.")
@click.option("--repeats", type=click.IntRange(1), help="Rounds of each stage.  [default: 5]")
@click.option("--people", type=click.IntRange(1_000), help="Visitors in the long queue.  [default: 1000000]")
@click.option(
    "--visitors",
    type=click.IntRange(100),
    help="Visitors who send requests in turn, each with its own token.  [default: 50000]",
)
@click.option(
    "--streams",
    type=click.IntRange(1),
    help="Most live streams to hold, as far as the limit on open files allows.  [default: 30000]",
)
@click.option(
    "--quick", is_flag=True, help="Only check that everything works: takes seconds, the figures do not count."
)
@click.option(
    "--pin/--no-pin", default=True, show_default=True, help="Pin server and load to separate processors."
)
@click.option("--results", type=click.Path(path_type=Path), default=RESULTS, help="Folder for the results.")
def main(
    stages: Sequence[Stage],
    repeats: int | None,
    people: int | None,
    visitors: int | None,
    streams: int | None,
    quick: bool,
    pin: bool,
    results: Path,
) -> None:
    """Measure the saturation figures, each next to its reference, in one run on this machine.

    With --only, what an earlier run of the same commit and options measured of other stages is kept.

    Prints a table; writes compare.json and compare.html into bench/results. Exit code 1 if a stage failed or
    a figure misses its target. Do not use the machine meanwhile.
    """
    given = {"repeats": repeats, "people": people, "visitors": visitors, "streams": streams}
    asked = {name: value for name, value in given.items() if value is not None}
    defaults: dict[str, Any] = _QUICK if quick else {}
    sys.exit(_measure(stages, Options(is_quick=quick, **{**defaults, **asked}), choose_pinning(pin), results))


def _measure(stages: Sequence[Stage], options: Options, pinning: Pinning, results: Path) -> int:
    console = Console(stderr=True)
    report = Report(
        began_at=_now(),
        machine=describe_machine(),
        pinning=pinning.note,
        options=msgspec.to_builtins(options),
        load_average_before=load_average(),
    )
    console.print(f"{pinning.note}; load average {report.load_average_before:.2f}")
    if report.load_average_before > _QUIET:
        console.print(
            "the machine is busy with other programs: the figures will be noisy", style="bold yellow"
        )
    report = carry_over(report, results / "compare.json", [stage.name for stage in stages])
    for stage_report in report.stages:
        console.print(f"{stage_report.name}: kept as measured at {stage_report.began_at}", markup=False)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        run = Run(options, pinning, progress)
        for stage in stages:
            run.telling(stage.name)
            outcome, rows = _one_stage(stage, run)
            report = with_stage(report, outcome, rows, NAMES)
            write_json(report, results / "compare.json")
            write_page(report, results / "compare.html")
            write_drawing(report, results / "compare.svg")
            said = f"{stage.name}: {outcome.error or 'measured'} ({outcome.took_s:.0f} s)"
            console.print(f"{said}; the host took {outcome.stolen:.1%} of the processors", markup=False)
    Console(width=None if sys.stdout.isatty() else 180).print(make_table(report.rows))
    return _conclude(report, results, console)


def _one_stage(stage: Stage, run: Run) -> tuple[StageReport, list[Row]]:
    """Measure one stage. A failure affects only this stage."""
    began_at = _now()
    began, (ticks, stolen) = time.monotonic(), processor_ticks()
    rows: list[Row] = []
    error = ""
    run.pinning.pin_load(os.getpid())
    try:
        if stage.needs_wrk:
            wrk.find_wrk()
        rows = [
            judge(stage.name, _fair(finding, run.options), run.options.people)
            for finding in stage.measure(run)
        ]
    except Exception as trouble:  # noqa: BLE001 - the other stages must still be measured
        error = f"NOT MEASURED: {type(trouble).__name__}: {trouble}"
    ticks_now, stolen_now = processor_ticks()
    outcome = StageReport(
        name=stage.name,
        began_at=began_at,
        took_s=round(time.monotonic() - began, 1),
        stolen=round((stolen_now - stolen) / max(1, ticks_now - ticks), 4),
        error=error,
    )
    return outcome, rows


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _fair(finding: Finding, options: Options) -> Finding:
    """Return the finding; in a quick run, without checking it against its target."""
    return msgspec.structs.replace(finding, is_judged=False) if options.is_quick else finding


def _conclude(report: Report, results: Path, console: Console) -> int:
    for stage in report.failed:
        console.print(f"bench: {stage.name}: {stage.error}", style="bold red", markup=False)
    for row in report.missed:
        said = f"bench: {row.label}: {row.spell(row.median)} {row.unit}, must be {row.must}"
        console.print(said, style="bold red", markup=False)
    console.print(f"written: {results / 'compare.json'} and {results / 'compare.html'}", markup=False)
    return 1 if report.failed or report.missed else 0


if __name__ == "__main__":
    main()
