"""`./scripts/bench compare`: the parts that compute, and one quick run of the whole."""

import re
import shutil
import subprocess
import sys
from io import StringIO
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from bench.compare.drawing import make_drawing
from bench.compare.figures import FIGURES, Figure, Finding, Row, judge, percentile, ratios
from bench.compare.machine import processor_ticks
from bench.compare.pinning import Pinning
from bench.compare.plot import make_page, write_page
from bench.compare.punctuality import Diary, group_of, promised_s, share_on_time
from bench.compare.report import (
    Report,
    StageReport,
    carry_over,
    make_table,
    verdict_of,
    with_stage,
    write_json,
)
from bench.compare.shrinking import Sample, TooLittle, rate_of, steps, watch
from bench.compare.wrk import Faulty, NoLoad, checked, joiners, read_load, visitors

ROOT = Path(__file__).parents[2]
OUTPUT = """Running 5s test @ http://127.0.0.1:8080
  1 threads and 64 connections
Requests/sec:  10000.00
{"requests": 50000, "duration_us": 5000000, "not_ok": 0, "socket_errors": 0, "timeouts": 0, "p50_us": 6100, \
"p90_us": 7000, "p99_us": 9000, "max_us": 20000}
"""
LOAD = read_load(OUTPUT)


def test_what_wrk_printed_is_read_from_the_line_of_its_script() -> None:
    assert LOAD.per_second == 10_000
    assert (LOAD.p50_us, LOAD.p90_us, LOAD.p99_us, LOAD.max_us) == (6_100, 7_000, 9_000, 20_000)


def test_a_run_of_wrk_without_an_outcome_is_no_figure() -> None:
    with pytest.raises(NoLoad, match="unable to connect"):
        read_load("unable to connect to 127.0.0.1:1 Connection refused\n")


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"not_ok": 3}, "3 answers that were not 2xx among 50,000 requests"),
        ({"socket_errors": 1}, "1 socket errors"),
        ({"timeouts": 2}, "2 answers that took over 10 s"),
        ({"requests": 0}, "no answer at all"),
    ],
)
def test_a_load_with_errors_is_no_figure_and_the_errors_are_counted(
    fault: dict[str, int], words: str
) -> None:
    assert checked(LOAD) is LOAD
    with pytest.raises(Faulty, match=words):
        checked(msgspec.structs.replace(LOAD, **fault))


def test_a_load_says_its_pace_and_the_addresses_of_joiners_wrap_around() -> None:
    asked = visitors("GET", "/x", "", Path("tokens"), connections=64, seconds=5, per_second=1234.5)
    assert asked.arguments == ("GET", "/x", "", "tokens", "1", "1234.500")
    assert joiners("/x", "{}", connections=256, seconds=5, first_address=2**24 + 7).arguments[-1] == "7"


def test_every_figure_has_a_key_of_its_own_and_a_label_that_can_be_filled() -> None:
    assert all(figure.label.format(people="7") for figure in FIGURES.values())
    assert len({figure.label for figure in FIGURES.values()}) == len(FIGURES)


@pytest.mark.parametrize(
    ("bounds", "must", "met", "missed"),
    [
        ({"at_least": 5.0}, "≥ 5.0", 5.0, 4.9),
        ({"at_most": 31.0}, "≤ 31.0", 31.0, 31.1),
        ({"at_least": 995.0, "at_most": 1_005.0}, "995.0 to 1,005.0", 1_005.0, 1_006.0),
        ({"at_least": 0.0, "at_most": 0.0}, "0.0", 0.0, 1.0),
    ],
)
def test_a_value_is_met_up_to_its_bound_and_no_further(
    bounds: dict[str, float], must: str, met: float, missed: float
) -> None:
    figure = Figure(key="x", label="x", unit="/s", digits=1, **bounds)
    assert figure.must == must
    assert figure.is_met(met) is True
    assert figure.is_met(missed) is False


def test_nothing_is_asked_of_a_figure_without_bounds() -> None:
    assert Figure(key="x", label="x", unit="/s").is_met(1) is None


def test_the_median_is_judged_and_the_spread_stands_beside_it() -> None:
    row = judge("heartbeat", Finding(key="heartbeat.to_off", values=(9.0, 4.0, 6.0)), 1_000_000)
    assert (row.median, row.least, row.most, row.is_met) == (6.0, 4.0, 9.0, True)
    assert judge("heartbeat", Finding(key="heartbeat.to_off", values=(4.9,)), 1).is_met is False


def test_what_was_measured_in_another_set_up_is_not_judged_and_says_so() -> None:
    row = judge("memory", Finding(key="memory.position", values=(300.0,), is_judged=False), 2_000)
    assert verdict_of(row) == "not judged"
    assert row.is_met is None
    assert row.must == "≤ 210.0"


def test_a_finding_without_values_is_a_mistake() -> None:
    with pytest.raises(ValueError, match=r"heartbeat\.fast"):
        judge("heartbeat", Finding(key="heartbeat.fast", values=()), 1)


def test_ratios_compare_what_was_measured_in_the_same_round() -> None:
    assert ratios((10.0, 30.0), (5.0, 10.0)) == (2.0, 3.0)


def test_a_percentile_is_a_value_that_was_seen() -> None:
    assert percentile(list(range(100)), 0.99) == 99
    assert percentile([3.0], 0.99) == 3.0


def _line(rate: float, *, calls: int = 1, seconds: float = 6.0) -> list[Sample]:
    """A line that is let in every 250 ms, in several calls; the first second's worth takes two passes."""
    left = 1_000_000.0
    samples = [Sample(0.0, round(left))]
    for number in range(int(seconds * 4)):
        share = (rate / 2 if number == 0 else rate * 0.75 if number == 1 else rate / 4) / calls
        for call in range(calls):
            left -= share
            samples.append(Sample(10 + number * 0.25 + call * 0.03, round(left)))
    return [*samples, Sample(10 + seconds, round(left))]


@pytest.mark.parametrize("rate", [100.0, 1_000.0, 20_000.0])
def test_the_rate_is_told_exactly_whatever_the_first_second_let_in(rate: float) -> None:
    assert rate_of(_line(rate)) == pytest.approx(rate)


def test_a_pass_of_several_calls_counts_at_its_end() -> None:
    samples = _line(20_000, calls=3)
    assert [step.at_s for step in steps(samples, 0.1)[:2]] == pytest.approx([10.06, 10.31])
    assert rate_of(samples, together_s=0.1) == pytest.approx(20_000)


def test_a_pass_that_was_under_way_at_the_last_look_is_left_out() -> None:
    samples = _line(20_000, calls=3)
    cut = [*samples[:-3], Sample(samples[-4].at_s + 0.01, samples[-4].waiting)]
    assert steps(cut, 0.1)[-1].at_s < cut[-2].at_s - 0.1
    assert rate_of(cut, together_s=0.1) == pytest.approx(20_000)


def test_people_who_join_meanwhile_are_no_step() -> None:
    assert steps([Sample(0, 10), Sample(1, 12), Sample(2, 11), Sample(3, 11)], 0.1) == [Sample(2, 11)]


def test_a_line_that_stands_still_tells_no_rate() -> None:
    with pytest.raises(TooLittle, match="0 times"):
        rate_of([Sample(0, 10), Sample(5, 10)])


def test_watching_keeps_changes_and_the_last_look() -> None:
    found = iter([5, 5, 3])
    samples = watch(lambda: next(found, 3), 0.02)
    assert [sample.waiting for sample in samples] == [5, 3, 3]


@pytest.mark.parametrize(
    ("position", "group", "seconds"),
    [(1, "front", 2), (100, "front", 2), (101, "near", 4), (1_000, "near", 4), (1_001, "far", 10)],
)
def test_updates_are_promised_by_position(position: int, group: str, seconds: float) -> None:
    assert group_of(position) == group
    assert promised_s(position) == seconds


def test_an_update_is_on_time_within_a_second_of_its_promise() -> None:
    assert share_on_time([(1, 3.0), (1, 3.1), (500, 5.0), (5_000, 11.1)]) == 0.5


def test_gaps_count_from_the_moment_of_watching_and_overdue_updates_count_too() -> None:
    diary = Diary()
    assert diary.told(50, now=1.0, since=None) is None
    assert diary.told(49, now=11.0, since=10.0) is None, "it began before"
    assert diary.told(48, now=13.0, since=10.0) == (49, 2.0)
    assert diary.unfinished(now=15.9, since=10.0) is None
    assert diary.unfinished(now=16.5, since=10.0) == (48, 3.5)


def test_somebody_who_is_told_nothing_while_watched_is_overdue() -> None:
    diary = Diary()
    diary.told(50, now=1.0, since=None)
    assert diary.unfinished(now=20.0, since=10.0) == (50, 10.0)


def _report() -> Report:
    rows = [
        judge("heartbeat", Finding(key="heartbeat.fast", values=(27_000.0, 26_000.0)), 10),
        judge("heartbeat", Finding(key="heartbeat.to_off", values=(50.0,)), 10),
        judge("heartbeat", Finding(key="heartbeat.to_bare", values=(0.25,), note="<b>noisy</b>"), 10),
        judge("replicas", Finding(key="replicas.1000", values=(1_000.0,)), 10),
    ]
    stages = (
        StageReport(name="heartbeat", began_at="earlier", took_s=1, stolen=0.01),
        StageReport(
            name="memory",
            began_at="earlier",
            took_s=1,
            stolen=0,
            error="NOT MEASURED: NoLoad: wrk is not there",
        ),
    )
    return Report(
        began_at="2026-01-01T00:00:00+00:00",
        machine={"processor": "some"},
        pinning="not pinned",
        options={"repeats": 2, "is_quick": True},
        load_average_before=0.1,
        stages=stages,
        rows=tuple(rows),
    )


def test_a_report_lists_what_was_missed_and_what_could_not_be_measured() -> None:
    assert [row.key for row in _report().missed] == ["heartbeat.to_bare"]
    assert [stage.name for stage in _report().failed] == ["memory"]


def test_the_table_says_measured_spread_must_peer_and_verdict() -> None:
    console = Console(width=200, file=StringIO())
    with console.capture() as printed:
        console.print(make_table(_report().rows))
    lines = {line.split("│")[1].strip(): line for line in printed.get().splitlines() if "│" in line}
    assert "26,500" in lines["heartbeat, fast lane"]
    assert "26,000 to 27,000" in lines["heartbeat, fast lane"]
    assert "MISSED" not in lines["heartbeat, fast lane"]
    assert "≥ 5.00" in lines["heartbeat, fast lane ÷ lane off"]
    assert " met " in lines["heartbeat, fast lane ÷ lane off"]
    assert "MISSED" in lines["heartbeat, fast lane ÷ bare"]
    assert "1,025.0 to 1,033.0" in lines["admissions of three replicas at a setting of 1,000"]


def test_the_json_carries_every_row_with_its_bounds_peer_and_verdict(tmp_path: Path) -> None:
    write_json(_report(), tmp_path / "results" / "compare.json")
    read = msgspec.json.decode((tmp_path / "results" / "compare.json").read_bytes())
    (row,) = [row for row in read["rows"] if row["key"] == "replicas.1000"]
    assert (row["median"], row["least"], row["most"]) == (1_000, 1_000, 1_000)
    assert (row["at_least"], row["at_most"], row["peer"], row["is_met"]) == (995, 1_005, [1_025, 1_033], True)
    assert [stage["error"] for stage in read["stages"]] == ["", "NOT MEASURED: NoLoad: wrk is not there"]


def test_stages_not_measured_again_are_kept_and_each_stands_in_its_place(tmp_path: Path) -> None:
    file = tmp_path / "compare.json"
    write_json(_report(), file)
    fresh = msgspec.structs.replace(_report(), stages=(), rows=())
    kept = carry_over(fresh, file, ["heartbeat"])
    assert [stage.name for stage in kept.stages] == ["memory"]
    assert [row.key for row in kept.rows] == ["replicas.1000"]
    row = judge("heartbeat", Finding(key="heartbeat.fast", values=(1.0,)), 10)
    outcome = StageReport(name="heartbeat", began_at="now", took_s=1, stolen=0)
    whole = with_stage(kept, outcome, [row], ["heartbeat", "memory", "replicas"])
    assert [stage.name for stage in whole.stages] == ["heartbeat", "memory"]
    assert [row.key for row in whole.rows] == ["heartbeat.fast", "replicas.1000"]


@pytest.mark.parametrize("change", [{"machine": {}}, {"options": {}}, {"pinning": "pinned"}])
def test_figures_of_another_machine_commit_or_set_up_are_not_kept(
    change: dict[str, object], tmp_path: Path
) -> None:
    fresh = msgspec.structs.replace(_report(), stages=(), rows=(), **change)
    assert carry_over(fresh, tmp_path / "compare.json", []) == fresh, "there is none"
    write_json(_report(), tmp_path / "compare.json")
    assert carry_over(fresh, tmp_path / "compare.json", []) == fresh
    (tmp_path / "compare.json").write_text("{")
    assert carry_over(fresh, tmp_path / "compare.json", []) == fresh, "it was cut short"


def test_the_drawing_has_a_bar_for_each_figure_with_one_bound_longer_the_better_it_is() -> None:
    def row(measured: float, **bound: float) -> Row:
        figure = {"at_least": None, "at_most": None, **bound}
        return msgspec.structs.replace(_report().rows[0], median=measured, peer=(), **figure)

    def bars(*rows: Row) -> list[float]:
        return [
            float(width) for width in re.findall(r'width="([0-9.]+)" height="16"', make_drawing(list(rows)))
        ]

    exact, twice = bars(row(4, at_least=4), row(8, at_least=4))
    assert twice == pytest.approx(2 * exact, abs=0.2)
    assert bars(row(2, at_most=4)) == bars(row(8, at_least=4)), "half of what is allowed is twice as good"
    assert bars(row(1e9, at_least=1)) == bars(row(1e6, at_least=1)), "cut off"
    assert bars(row(5), row(5, at_least=4, at_most=6)) == []


def test_the_page_shows_every_row_asks_nobody_for_anything_and_lets_no_text_be_markup(tmp_path: Path) -> None:
    write_page(_report(), tmp_path / "compare.html")
    page = (tmp_path / "compare.html").read_text()
    assert all(row.label in page for row in _report().rows)
    assert "2 of 3 figures" in page
    assert "memory was not measured: NOT MEASURED: NoLoad" in page
    assert "&lt;b&gt;noisy" in page
    assert "<b>noisy" not in page
    assert not any(word in page for word in ("http://", "https://", "<script", "src=", "url(", "@import"))


def test_a_bar_of_nothing_can_be_drawn() -> None:
    row: Row = judge("streams", Finding(key="streams.dropped", values=(0.0,)), 10)
    assert "live streams dropped" in make_page(msgspec.structs.replace(_report(), rows=(row,)))


def test_without_two_processors_nothing_is_pinned() -> None:
    assert Pinning(None, None, "").load_prefix() == []
    assert Pinning(0, 1, "").load_prefix() == ["taskset", "-c", "1"]


def test_processor_time_grows() -> None:
    ticks, stolen = processor_ticks()
    assert ticks > stolen >= 0


def _compare(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "bench.compare", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)


def test_an_unknown_stage_is_refused_with_those_there_are() -> None:
    done = _compare("--only", "nonsense")
    assert done.returncode == 2
    assert "'nonsense' is none of enqueue, heartbeat, status, store" in done.stderr


def test_a_quick_run_measures_and_writes_what_it_was_asked_for(tmp_path: Path) -> None:
    if shutil.which("wrk") is None:
        pytest.skip("wrk is not there: apt-get install wrk")
    done = _compare("--quick", "--only", "status", "--results", str(tmp_path))
    read = msgspec.json.decode((tmp_path / "compare.json").read_bytes())
    assert [stage["error"] for stage in read["stages"]] == [""], done.stderr
    medians = {row["key"]: row["median"] for row in read["rows"]}
    assert medians["status.bare"] > medians["status.off"] > 0
    assert "status, fast lane" in (tmp_path / "compare.html").read_text()
    assert done.returncode == 0, done.stderr
