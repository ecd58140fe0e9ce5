"""The report of a comparison: a table for the terminal, and JSON for programs."""

from collections.abc import Collection, Sequence
from pathlib import Path

import msgspec
from rich.table import Table
from rich.text import Text

from bench.compare.figures import Row


class StageReport(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one stage; `error` is empty if it was measured."""

    name: str
    began_at: str
    took_s: float
    stolen: float
    """The share of processor time that the machine's host gave to others: a measure of the noise."""
    error: str = ""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All figures, and the circumstances of their measurement."""

    began_at: str
    machine: dict[str, str]
    pinning: str
    options: dict[str, bool | int]
    load_average_before: float
    stages: tuple[StageReport, ...] = ()
    rows: tuple[Row, ...] = ()

    @property
    def missed(self) -> list[Row]:
        """List the figures that miss their targets."""
        return [row for row in self.rows if row.is_met is False]

    @property
    def failed(self) -> list[StageReport]:
        """List the stages that could not be measured."""
        return [stage for stage in self.stages if stage.error]


def carry_over(report: Report, file: Path, measured_now: Collection[str]) -> Report:
    """Copy the stages that are not measured now from an earlier report.

    Only if machine, versions, commit and options are the same; otherwise the figures are not comparable.
    """
    try:
        earlier = msgspec.json.decode(file.read_bytes(), type=Report)
    except (OSError, msgspec.DecodeError):
        return report
    if (earlier.machine, earlier.pinning, earlier.options) != (
        report.machine,
        report.pinning,
        report.options,
    ):
        return report
    return msgspec.structs.replace(
        report,
        stages=tuple(stage for stage in earlier.stages if stage.name not in measured_now),
        rows=tuple(row for row in earlier.rows if row.stage not in measured_now),
    )


def with_stage(report: Report, outcome: StageReport, rows: Sequence[Row], order: Sequence[str]) -> Report:
    """Add a stage, in its place."""
    return msgspec.structs.replace(
        report,
        stages=tuple(sorted((*report.stages, outcome), key=lambda stage: order.index(stage.name))),
        rows=tuple(sorted((*report.rows, *rows), key=lambda row: order.index(row.stage))),
    )


def write_json(report: Report, file: Path) -> None:
    """Write the report. Replaces an existing file atomically."""
    file.parent.mkdir(parents=True, exist_ok=True)
    scratch = file.with_suffix(".new")
    scratch.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
    scratch.replace(file)


def verdict_of(row: Row) -> str:
    """Return in a word whether a figure meets its target; empty if there is none."""
    if row.is_met is None:
        return "not judged" if row.must else ""
    return "met" if row.is_met else "MISSED"


def peer_of(row: Row) -> str:
    """Format the peer's value; empty if there is none."""
    return " to ".join(row.spell(value) for value in row.peer)


def spread_of(row: Row) -> str:
    """Format the lowest and highest of several repetitions; empty if there was only one."""
    return "" if len(row.values) < 2 else f"{row.spell(row.least)} to {row.spell(row.most)}"


def make_table(rows: Sequence[Row]) -> Table:
    """Return the table for the terminal."""
    table = Table(title="Saturation figures: median of all rounds, and what it must be")
    for name in ("figure", "measured", "unit", "lowest to highest", "must be", "peer", "", "note"):
        is_number = name in ("measured", "lowest to highest", "must be", "peer")
        table.add_column(name, justify="right" if is_number else "left", no_wrap=name == "measured")
    stage = ""
    for row in rows:
        if stage not in ("", row.stage):
            table.add_section()
        stage = row.stage
        style = {True: "green", False: "bold red", None: ""}[row.is_met]
        table.add_row(
            row.label,
            row.spell(row.median),
            row.unit,
            spread_of(row),
            row.must,
            peer_of(row),
            Text(verdict_of(row), style=style),
            row.note,
        )
    return table
