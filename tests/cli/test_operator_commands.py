"""`wr audit` and `wr find` against a real server."""

import getpass
import json
import secrets
import socket
from typing import Any

import pytest

from tests.cli.conftest import Wr
from tests.contract.helpers import wait_until
from tests.support import plain_http
from wr.cli.options import operator_here
from wr.server.lifecycle import Ready


@pytest.fixture
def queue_id(wr: Wr) -> str:
    name = f"q-{secrets.token_hex(4)}"
    made = wr("queue", "create", name, "--target-url", "https://shop.example/", "--status", "paused")
    assert made.exit_code == 0, made.stderr
    return name


def join(server: Ready, queue_id: str) -> dict[str, Any]:
    return dict(plain_http.post(f"{server.url}/api/v1/queues/{queue_id}/enqueue").json())


def test_changes_are_listed_newest_first_with_who_made_them(wr: Wr, queue_id: str) -> None:
    wr("queue", "update", queue_id, "--admission-rate", "20")
    shown = wr("audit", "--queue", queue_id)
    assert shown.exit_code == 0, shown.stderr
    heading, updated, created = shown.stdout.splitlines()[:3]
    assert heading.split() == ["when", "operator", "address", "action", "queue", "details"]
    assert f"{getpass.getuser()}@{socket.gethostname()}" in updated
    assert "127.0.0.1" in updated
    assert "queue.updated" in updated
    assert "admission rate 10 → 20" in updated
    assert "queue.created" in created
    assert "target url https://shop.example/" in created
    assert " ," not in shown.stdout, "settings that are empty are not told"
    told = json.loads(wr("audit", "--queue", queue_id, "--json").stdout)
    assert [entry["action"] for entry in told["entries"]] == ["queue.updated", "queue.created"]


def test_as_many_changes_are_shown_as_are_asked_for(wr: Wr, queue_id: str) -> None:
    wr("queue", "flush", queue_id, "--yes")
    told = json.loads(wr("audit", "--limit", "1", "--json").stdout)
    assert [entry["action"] for entry in told["entries"]] == ["queue.flushed"]
    assert wr("audit", "--limit", "0").exit_code == 2


def test_a_queue_that_nobody_changed_says_so(wr: Wr) -> None:
    assert wr("audit", "--queue", "no-such-queue").stdout == "There are no changes yet.\n"


def test_somebody_in_line_is_found_by_the_id_of_the_position(wr: Wr, server: Ready, queue_id: str) -> None:
    joined = join(server, queue_id)
    shown = wr("find", joined["position_id"])
    assert shown.exit_code == 0, shown.stderr
    lines = {line[:24].strip(): line[24:].split()[0] for line in shown.stdout.splitlines()}
    assert lines["status"] == "waiting"
    assert lines["queue id"] == queue_id
    assert lines["position"] == "1"
    assert "session id" not in lines
    assert json.loads(wr("find", joined["position_id"], "--json").stdout)["queue_id"] == queue_id


def test_what_a_visitor_sent_is_shown_and_commands_no_terminal(wr: Wr, server: Ready, queue_id: str) -> None:
    sent = {"campaign": "[red]sale[/red]", "\x1b[2Jname": "\x1b]0;title\x07", "age": 4}
    joined = plain_http.post(f"{server.url}/api/v1/queues/{queue_id}/enqueue", json={"metadata": sent}).json()
    shown = wr("find", joined["position_id"]).stdout
    assert "campaign: [red]sale[/red]" in shown
    assert "age: 4" in shown
    assert "\x1b" not in shown
    assert json.loads(wr("find", joined["position_id"], "--json").stdout)["metadata"] == sent


def test_somebody_inside_is_found_by_the_id_of_the_session(wr: Wr, server: Ready, queue_id: str) -> None:
    wr("queue", "update", queue_id, "--status", "active")
    joined = join(server, queue_id)
    headers = {"Authorization": f"Bearer {joined['token']}"}
    status = f"{server.url}/api/v1/queues/{queue_id}/status"
    wait_until(lambda: plain_http.get(status, headers=headers).json()["status"] == "admitted")
    by_position = json.loads(wr("find", joined["position_id"], "--json").stdout)
    by_session = json.loads(wr("find", by_position["session_id"], "--json").stdout)
    assert (by_session["position_id"], by_session["status"]) == (joined["position_id"], "active")
    assert "page views" in wr("find", by_position["session_id"]).stdout


def test_somebody_unknown_is_reported_in_one_line(wr: Wr) -> None:
    result = wr("find", "nobody")
    assert (result.exit_code, result.stderr) == (1, "wr: There is no such position\n")


def test_a_user_without_a_name_is_named_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.setattr(getpass, "getuser", nameless)
    assert operator_here().startswith("uid ")
    assert operator_here().endswith(f"@{socket.gethostname()}")
