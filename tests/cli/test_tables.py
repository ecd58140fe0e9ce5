"""What people are shown, and the loop behind --watch."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from tests.cli.conftest import Wr
from wr.api.operators import history_messages, session_messages
from wr.api.operators.queue_messages import QueueListResponse, QueueResponse, QueueSummary, StatsResponse
from wr.api.route import Auth
from wr.api.routes import ROUTES
from wr.cli.tables import WATCH_S, in_words, watch
from wr.client.admin_client import AdminFailure
from wr.model.queue_settings import QueueStatus, UniqueBy
from wr.server.lifecycle import Ready

STATS = StatsResponse(
    queue_id="sale",
    status=QueueStatus.ACTIVE,
    current_waiting=1_234_567,
    current_active=850,
    total_enqueued_today=0,
    total_admitted_today=0,
    total_expired_today=0,
    total_cancelled_today=0,
    avg_wait_time_seconds=0.5,
    peak_queue_size=0,
    admission_rate_actual=9.5,
)


def queue(name: str) -> QueueResponse:
    return QueueResponse(
        id="sale",
        name=name,
        status=QueueStatus.ACTIVE,
        target_url="https://shop.example/",
        max_active_users=1000,
        max_queue_size=0,
        admission_rate=0.25,
        session_timeout_seconds=60,
        heartbeat_interval_seconds=5,
        heartbeat_timeout_seconds=15,
        unique_by=UniqueBy.CLIENT,
        created_at="2024-01-01T00:00:00Z",
        updated_at="2024-01-01T00:00:00Z",
    )


def queue_list(*queues: QueueResponse) -> QueueListResponse:
    summaries = [
        QueueSummary(queue=each, stats=STATS, estimated_wait_seconds=7, clears_in_seconds=None)
        for each in queues
    ]
    return QueueListResponse(now="2024-01-01T00:00:00Z", queues=summaries)


def rendered(answer: msgspec.Struct) -> str:
    console = Console(width=160, markup=False, highlight=False)
    with console.capture() as capture:
        console.print(in_words(answer))
    return capture.get()


@pytest.mark.parametrize("name", ["[red]sale[/red]", "[/]", ":smile:"])
def test_a_name_is_shown_as_it_is_even_if_it_looks_like_markup(name: str) -> None:
    listed = queue_list(queue(name))
    assert name in rendered(queue(name))
    assert name in rendered(listed)


def test_a_name_cannot_give_orders_to_the_terminal() -> None:
    name = "sale\x1b]0;owned\x07\x1b[2J"
    for shown in (
        rendered(queue(name)),
        rendered(queue_list(queue(name))),
    ):
        assert "\x1b" not in shown
        assert "\x07" not in shown
        assert "sale" in shown


def test_numbers_are_written_for_people() -> None:
    shown = rendered(STATS)
    assert re.search(r"current waiting +1,234,567 +Visitors in line now", shown)
    assert re.search(r"admission rate actual +9\.5 ", shown)


def test_a_server_without_queues_says_how_to_make_one() -> None:
    assert "wr queue create" in rendered(queue_list())


def test_whatever_an_admin_call_answers_can_be_shown() -> None:
    without_command = {session_messages.TerminateResponse, history_messages.HistoryResponse}
    for route in ROUTES:
        if route.auth is Auth.ADMIN:
            for _, _, kind in route.answers:
                assert isinstance(kind, type)
                assert kind in without_command or in_words.dispatch(kind) is not in_words.dispatch(object)


class Pauses:
    """Stands for the time between two looks: counts them, and is interrupted at the last."""

    def __init__(self, most: int) -> None:
        self.lengths_s: list[float] = []
        self._most = most

    def __call__(self, seconds: float) -> None:
        self.lengths_s.append(seconds)
        if len(self.lengths_s) == self._most:
            raise KeyboardInterrupt


def test_watching_looks_once_a_second_until_it_is_interrupted() -> None:
    displayed: list[StatsResponse] = []
    pauses = Pauses(3)
    watch(lambda: STATS, displayed.append, pauses)
    assert displayed == [STATS] * 3
    assert pauses.lengths_s == [WATCH_S] * 3


def test_watching_outlasts_a_server_that_is_away_for_a_while(capsys: pytest.CaptureFixture[str]) -> None:
    displayed: list[StatsResponse] = []
    answers = iter([STATS, AdminFailure("it is away", may_pass=True), STATS])

    def look() -> StatsResponse:
        answer = next(answers)
        if isinstance(answer, AdminFailure):
            raise answer
        return answer

    watch(look, displayed.append, Pauses(3))
    assert len(displayed) == 2
    assert capsys.readouterr().err == "wr: it is away\n"


@pytest.mark.parametrize(("looks_before", "may_pass"), [(0, True), (1, False)])
def test_watching_ends_when_it_never_began_or_when_nothing_will_change(
    looks_before: int, may_pass: bool
) -> None:
    looks = 0

    def look() -> StatsResponse:
        nonlocal looks
        looks += 1
        if looks > looks_before:
            raise AdminFailure("no", may_pass=may_pass)
        return STATS

    with pytest.raises(AdminFailure, match="no"):
        watch(look, lambda _: None, Pauses(9))


@pytest.fixture
def watched(wr: Wr, server: Ready, data_dir: Path) -> tuple[list[str], dict[str, str]]:
    """The command that watches a queue, and its environment."""
    wr("queue", "create", "watched", "--target-url", "https://shop.example/", "--status", "paused")
    command = [sys.executable, "-m", "wr", "queue", "stats", "watched", "--watch"]
    environment = {**os.environ, "WR_URL": server.url, "WR_DATA_DIR": str(data_dir), "COLUMNS": "120"}
    return command, environment


def test_ctrl_c_ends_watching_as_json_line_by_line(watched: tuple[list[str], dict[str, str]]) -> None:
    command, environment = watched
    with subprocess.Popen(
        [*command, "--json"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(2)]
        process.send_signal(signal.SIGINT)
        rest, complaints = process.communicate(timeout=10)
    assert (process.returncode, complaints) == (0, b"")
    for line in [*lines, *rest.splitlines()]:
        assert json.loads(line)["queue_id"] == "watched"


def test_on_a_terminal_watching_shows_a_table_until_ctrl_c(
    watched: tuple[list[str], dict[str, str]],
) -> None:
    command, environment = watched
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        command, env={**environment, "TERM": "xterm"}, stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        try:
            shown = _read_until(ours, b"admission rate actual")
            process.send_signal(signal.SIGINT)
            shown += _read_until(ours, None)
        finally:
            process.kill()  # Ended by now, unless one of the two has failed: then nobody else would end it.
    os.close(ours)
    assert process.returncode == 0
    assert b"current waiting" in shown
    assert b"Traceback" not in shown


def _read_until(terminal: int, wanted: bytes | None, seconds: float = 10.0) -> bytes:
    """What is written to a terminal until `wanted` appears; None: until nobody can write any more."""
    seen = b""
    deadline = time.monotonic() + seconds
    while wanted is None or wanted not in seen:
        ready, _, _ = select.select([terminal], [], [], max(0.0, deadline - time.monotonic()))
        assert ready, f"only {seen!r}"
        try:
            seen += os.read(terminal, 65536)
        except OSError:
            break  # This is how a terminal says that its other end is closed.
    return seen
