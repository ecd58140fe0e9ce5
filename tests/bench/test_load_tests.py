"""Load tests as people run them: `locust -f bench/locustfile.py` against a server, and `./scripts/bench`."""

import contextlib
import json
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from bench.load import SCENARIOS
from tests.bench.conftest import Played, play_until, started
from tests.support.processes import ServerProcess, eventually, running_server_process

pytestmark = pytest.mark.alone

QUEUES = {
    "surge": {"admission_rate": 10},
    "steady": {"status": "paused"},
    "sale": {"admission_rate": 100},
    "poll-storm": {"status": "paused"},
    "live": {"admission_rate": 2},
}
ASKED = {
    "surge": {"POST /enqueue", "GET /status"},
    "steady": {"POST /enqueue", "GET /status", "POST /heartbeat"},
    "sale": {
        "POST /enqueue",
        "GET /status",
        "POST /sessions/:id/activity",
        "GET /sessions/:id",
        "DELETE /position",
    },
    "poll-storm": {"POST /enqueue", "GET /status", "GET /status RATE_LIMITED"},
    "live": {"POST /enqueue", "WS open", "WS position_update", "WS admitted", "DELETE /position"},
}
"""What each scenario asks of a server that is well."""
MANY = 10
"""More visitors than the limit lets join from one address."""


@pytest.fixture(scope="module")
def server(locust: Sequence[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A real server, with limits of the kind that the contract has."""
    folder = tmp_path_factory.mktemp("load")
    with running_server_process(folder, limit_enqueue="5/60", limit_status="20/60") as running:
        yield running


@pytest.fixture(scope="module", params=sorted(SCENARIOS))
def played(
    request: pytest.FixtureRequest, server: ServerProcess, locust: Sequence[str]
) -> tuple[str, Played]:
    """A scenario, and what came of it when it had been played until it had asked all that it is about."""
    name = request.param
    with server.site() as site:
        site.make_queue(id=name, heartbeat_interval_seconds=1, **QUEUES[name])

    def has_asked_all(rows: dict[str, dict[str, Any]]) -> bool:
        return set(rows) >= ASKED[name] and rows["POST /enqueue"]["requests"] >= MANY

    return name, play_until(has_asked_all, [*locust, *options(server, name), SCENARIOS[name].user_class])


def options(server: ServerProcess, queue_id: str) -> list[str]:
    return [
        *("--headless", "--only-summary", "--host", server.url, "--queue", queue_id),
        *("--users", str(MANY), "--spawn-rate", str(MANY)),
    ]


def test_the_locustfile_lists_the_class_of_every_scenario(locust: Sequence[str]) -> None:
    listed = started([*locust, "--list"]).communicate(timeout=60)[0].split("Available Users:")[1].split()
    assert sorted(listed) == sorted(scenario.user_class for scenario in SCENARIOS.values())


def test_a_scenario_asks_what_it_is_about_and_nothing_fails(played: tuple[str, Played]) -> None:
    name, run = played
    assert set(run.rows) >= ASKED[name], run.output
    assert sum(row["failures"] for row in run.rows.values()) == 0
    assert run.code == 0, run.output


def test_requests_are_grouped_under_few_names(played: tuple[str, Played]) -> None:
    name, run = played
    assert len(run.rows) <= len(ASKED[name]) + 2


def test_each_visitor_has_an_address_that_the_server_believes(played: tuple[str, Played]) -> None:
    _, run = played
    assert "POST /enqueue RATE_LIMITED" not in run.rows
    assert run.rows["POST /enqueue"]["requests"] >= MANY


@pytest.mark.parametrize("played", ["live"], indirect=True)
def test_the_time_from_an_admission_to_its_message_is_reported(played: tuple[str, Played]) -> None:
    _, run = played
    assert 0 < run.rows["WS admitted"]["p50_ms"] < 5000
    assert run.rows["WS position_update"]["p50_ms"] is None


def test_a_queue_that_is_not_there_fails_and_the_server_says_why(
    server: ServerProcess, locust: Sequence[str]
) -> None:
    run = play_until(bool, [*locust, *options(server, "nowhere"), "Surge"])
    assert run.code == 1
    assert "404 NOT_FOUND" in run.output


def test_bench_without_a_name_lists_every_scenario() -> None:
    process = started(["./scripts/bench"])
    output = process.communicate(timeout=60)[0]
    assert process.returncode == 2
    assert set(re.findall(r"[\w-]+", output)) >= set(SCENARIOS)


def bench(*arguments: str, results: Path, **more: object) -> Any:
    return started([sys.executable, "-m", "bench.load", *arguments, "--results", str(results)], **more)


@pytest.mark.usefixtures("locust")
def test_bench_brings_its_own_server_and_leaves_a_report_with_plots(tmp_path: Path) -> None:
    process = bench("sale", "--users", "6", "--run-time", "2", results=tmp_path)
    output = process.communicate(timeout=90)[0]
    assert process.returncode == 0, output
    assert "sale: 6 parallel visitors, 2 s, 2 workers" in output
    assert "POST /enqueue" in output
    figures = json.loads((tmp_path / "sale.json").read_text())
    joins = sum(row["requests"] for row in figures["requests"] if row["name"] == "/enqueue")
    assert 6 <= joins <= figures["server"]["joins_counted"] <= joins + 6
    report = (tmp_path / "sale.html").read_text()
    assert "/sessions/:id/activity" in report
    assert '"current_rps"' in report, "the history that the plots are drawn from"


@pytest.mark.usefixtures("locust")
def test_ctrl_c_ends_locust_server_and_store_and_leaves_the_report(tmp_path: Path) -> None:
    process = bench("live", "--users", "6", "--run-time", "300", results=tmp_path, start_new_session=True)
    overdue = threading.Timer(60, os.killpg, [process.pid, signal.SIGKILL])
    overdue.start()
    try:
        said = next((line for line in process.stdout if re.search(r" [1-9]\d* requests", line)), "")
        os.killpg(process.pid, signal.SIGINT)
        output = said + process.communicate(timeout=60)[0]
    finally:
        overdue.cancel()
        is_alone = nothing_left_of(process.pid)
    assert process.returncode == 130, output
    assert "ended early" in output
    assert (tmp_path / "live.html").exists()
    assert is_alone


@pytest.mark.usefixtures("locust")
def test_ctrl_c_before_anything_was_asked_leaves_nothing_running(tmp_path: Path) -> None:
    process = bench("live", results=tmp_path, start_new_session=True)
    try:
        eventually((tmp_path / "live.log").exists, "Locust is being started")
        os.killpg(process.pid, signal.SIGINT)
        output = process.communicate(timeout=60)[0]
    finally:
        is_alone = nothing_left_of(process.pid)
    assert process.returncode == 130, output
    assert "Traceback" not in output
    assert is_alone


def nothing_left_of(session: int) -> bool:
    """Whether all that a command has started has ended soon after it; what has not is ended here."""
    try:
        return eventually(lambda: not of_session(session), "nothing is left", seconds=2)
    except AssertionError:
        for pid in of_session(session):
            os.kill(pid, signal.SIGKILL)
        return False


def of_session(session: int) -> list[int]:
    """List the processes that a command has started, whatever group they are in, itself among them."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit():
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(fields[3]) == session and fields[0] != "Z":
                    found.append(int(entry.name))
    return found
