"""`wr rehearse` against the real server: a whole sale, what keeps one from being played, and an early end."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.support import plain_http
from tests.support.server import running_server
from wr.cli.main import main
from wr.server.lifecycle import Ready

pytestmark = pytest.mark.alone

SALE = {
    "admission_rate": 12,
    "max_active_users": 24,
    "session_timeout_seconds": 60,
    "heartbeat_interval_seconds": 2,
    "heartbeat_timeout_seconds": 6,
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ready]:
    with running_server(None, data_dir=str(tmp_path_factory.mktemp("sale")), limit_admin="0") as ready:
        yield ready


def make_queue(server: Ready, queue_id: str, **settings: object) -> None:
    response = plain_http.post(
        f"{server.url}/api/v1/admin/queues",
        headers={"X-Admin-Key": server.admin_key},
        json={"id": queue_id, "target_url": "https://shop.example/checkout", **settings},
    )
    assert response.status_code == 201, response.text


def arguments(server: Ready, queue_id: str, **options: object) -> list[str]:
    given = {"queue": queue_id, "url": server.url, "admin-key": server.admin_key, **options}
    return ["rehearse", *(part for name, value in given.items() for part in (f"--{name}", str(value)))]


def rehearsed(server: Ready, queue_id: str, **options: object) -> Result:
    return CliRunner().invoke(main, arguments(server, queue_id, **options))


def test_a_whole_sale_is_played_and_no_promise_is_broken(server: Ready) -> None:
    make_queue(server, "sale", **SALE)
    # A process of its own, as in life: the server's thread here must not share its interpreter with a crowd.
    options = {"visitors": 190, "join-rate": 400, "seed": 332}
    command = [sys.executable, "-m", "wr", *arguments(server, "sale", **options)]
    played = subprocess.run(command, capture_output=True, text=True, check=False, timeout=90)
    output = played.stdout
    assert played.returncode == 0, output + played.stderr
    assert "190 visitors join queue sale" in output
    rows = {
        cells[1].strip(): cells[2].strip()
        for line in output.splitlines()
        if len(cells := line.split("│")) > 3
    }
    assert rows["joined"] == "190"
    assert rows["order inversions within a priority"] == "0"
    assert rows["errors"] == "0"
    assert int(rows["left the queue"]) > 0
    assert int(rows["expired"]) > 0
    assert 10 < int(rows["most sessions at the same time"]) <= 24
    assert int(rows["admitted"]) + int(rows["left the queue"]) + int(rows["expired"]) == 190
    marks = [line.split()[0] for line in output.splitlines() if line[1:2] in ("✓", "✗", "–")]
    assert marks == ["✓"] * 11, output
    assert "No promise was broken." in output


def test_a_presale_is_played_with_passes(server: Ready) -> None:
    make_queue(server, "presale", **{**SALE, "entry": "pass", "admission_rate": 40, "max_active_users": 200})
    command = [sys.executable, "-m", "wr", *arguments(server, "presale", visitors=60, **{"join-rate": 400})]
    played = subprocess.run(command, capture_output=True, text=True, check=False, timeout=90)
    assert played.returncode == 0, played.stdout + played.stderr
    (joined,) = [line for line in played.stdout.splitlines() if line.startswith("│ joined")]
    assert joined.split("│")[2].strip() == "60"


def test_a_broken_promise_is_named_and_ends_with_exit_code_1(tmp_path: Path) -> None:
    # A heartbeat limit that is tighter than the queue's own interval: who beats as told loses the place.
    with running_server(None, data_dir=str(tmp_path), limit_heartbeat="1/4") as server:
        slow = {
            "admission_rate": 0.2,
            "session_timeout_seconds": 8,
            "heartbeat_interval_seconds": 1,
            "heartbeat_timeout_seconds": 3,
        }
        make_queue(server, "tight", **{**SALE, **slow})
        result = rehearsed(server, "tight", visitors=4, **{"join-rate": 100}, seed=5)
    assert result.exit_code == 1, result.output
    assert "BROKEN  A visitor who sends heartbeats in time keeps the place" in result.output


def test_a_server_that_takes_all_visitors_for_one_is_said_to(tmp_path: Path) -> None:
    with running_server(None, data_dir=str(tmp_path), trusted_proxies="", limit_enqueue="3/60") as server:
        make_queue(server, "sale", **SALE)
        result = rehearsed(server, "sale", visitors=50, **{"join-rate": 100})
    assert result.exit_code == 2
    assert "wr: the server gives all visitors of this machine the same address" in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("queue_id", "options", "message"),
    [
        ("nowhere", {}, "wr: there is no queue 'nowhere'"),
        ("paused", {}, "wr: queue 'paused' admits no visitors, its status is paused"),
        ("paused", {"admin-key": "wrong"}, "refuses the admin key"),
        ("paused", {"url": "http://127.0.0.1:1"}, "wr: no server answers at http://127.0.0.1:1"),
        ("paused", {"url": "127.0.0.1"}, "wr: '127.0.0.1' is not an http or https URL"),
    ],
)
def test_what_cannot_be_played_is_said_in_one_line_with_exit_code_2(
    server: Ready, queue_id: str, options: dict[str, str], message: str
) -> None:
    plain_http.delete(f"{server.url}/api/v1/admin/queues/paused", headers={"X-Admin-Key": server.admin_key})
    make_queue(server, "paused", status="paused")
    result = rehearsed(server, queue_id, **options)
    assert result.exit_code == 2
    assert message in result.output
    assert result.output.count("\n") == 1


def test_ctrl_c_ends_it_with_what_has_been_seen_and_exit_code_130(server: Ready) -> None:
    make_queue(server, "slow", **{**SALE, "admission_rate": 0.1})
    command = [sys.executable, "-m", "wr", *arguments(server, "slow", visitors=20, **{"join-rate": 100})]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        stats = f"{server.url}/api/v1/admin/queues/slow/stats"
        deadline = time.monotonic() + 20
        while plain_http.get(stats, headers={"X-Admin-Key": server.admin_key}).json()["current_waiting"] < 10:
            assert time.monotonic() < deadline, "nobody joins"
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=20)
    assert process.returncode == 130, output
    assert "The run was interrupted" in output
    assert "still waiting at the end" in output
    assert "Traceback" not in output
