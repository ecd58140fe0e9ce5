"""`wr pass`, `wr block` and `wr session` against a real server."""

import csv
import io
import json
import secrets
import stat
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from tests.cli.conftest import Wr, run_wr
from tests.contract.helpers import assert_refused, wait_until
from tests.support import plain_http
from tests.support.server import running_server
from wr.server.lifecycle import Ready


@pytest.fixture
def queue_id(wr: Wr) -> str:
    """A queue that takes visitors with a pass only, and lets none in."""
    name = f"q-{secrets.token_hex(4)}"
    made = wr(
        *("queue", "create", name, "--target-url", "https://shop.example/"),
        *("--status", "paused", "--entry", "pass"),
    )
    assert made.exit_code == 0, made.stderr
    return name


def join(server: Ready, queue_id: str, pass_: str = "", address: str = "192.0.2.1") -> httpx.Response:
    headers = {"X-Forwarded-For": address, **({"X-WR-Pass": pass_} if pass_ else {})}
    return plain_http.post(f"{server.url}/api/v1/queues/{queue_id}/enqueue", headers=headers)


def pass_of(link: str) -> str:
    return link.partition("?pass=")[2]


def claims(pass_: str) -> dict[str, Any]:
    return dict(jwt.decode(pass_, options={"verify_signature": False}))


def issue(wr: Wr, queue_id: str, *options: str) -> str:
    issued = wr("pass", "issue", "--queue", queue_id, *options)
    assert issued.exit_code == 0, issued.stderr
    return pass_of(issued.stdout.strip())


def test_a_pass_gives_its_visitor_a_place_of_its_priority(wr: Wr, server: Ready, queue_id: str) -> None:
    issued = wr(
        *("pass", "issue", "--queue", queue_id, "--priority", "3"),
        *("--for", "user-123", "--expires", "2h", "--uses", "2"),
    )
    assert issued.exit_code == 0, issued.stderr
    (link,) = issued.stdout.splitlines()
    assert link.startswith(f"{server.url}/wait/{queue_id}?pass=")
    said = claims(pass_of(link))
    assert (said["sub"], said["priority"], said["uses"]) == ("user-123", 3, 2)
    assert said["exp"] - said["iat"] == 7200
    joined = join(server, queue_id, pass_of(link))
    assert (joined.status_code, joined.json()["priority"]) == (201, 3)
    again = join(server, queue_id, pass_of(link), address="192.0.2.2")
    assert again.json()["position_id"] == joined.json()["position_id"]
    assert_refused(join(server, queue_id), 403, "PASS_REQUIRED")


def test_many_passes_come_in_several_calls_with_names_that_go_on(
    wr: Wr, server: Ready, queue_id: str, tmp_path: Path
) -> None:
    listed = tmp_path / "passes.csv"
    issued = wr(
        *("pass", "issue", "--queue", queue_id, "--for", "fan", "--count", "2001"),
        *("--format", "csv", "--output", str(listed)),
    )
    assert issued.exit_code == 0, issued.stderr
    assert issued.stdout == ""
    assert [line.split()[0] for line in issued.stderr.splitlines()] == ["1,000", "2,000", "2,001"]
    assert stat.S_IMODE(listed.stat().st_mode) == 0o600
    header, *rows = csv.reader(io.StringIO(listed.read_text()))
    assert header == ["subject", "pass_id", "expires_at", "pass", "link"]
    assert [row[0] for row in rows] == [f"fan-{number}" for number in range(1, 2002)]
    assert len({row[1] for row in rows}) == 2001
    for row in (rows[0], rows[-1]):
        assert claims(row[3])["sub"] == row[0]
        assert pass_of(row[4]) == row[3]
        assert join(server, queue_id, row[3]).status_code == 201
    ends = [claims(row[3])["exp"] for row in rows]
    assert max(ends) - min(ends) <= 1


def test_without_a_name_each_pass_has_one_of_its_own(wr: Wr, queue_id: str) -> None:
    issued = wr("pass", "issue", "--queue", queue_id, "--count", "3", "--json")
    passes = json.loads(issued.stdout)["passes"]
    assert len({each["subject"] for each in passes}) == 3
    assert issued.stderr == ""


def test_a_list_of_passes_replaces_no_file(wr: Wr, queue_id: str, tmp_path: Path) -> None:
    earlier = tmp_path / "passes"
    earlier.write_text("what cannot be had again")
    refused = wr("pass", "issue", "--queue", queue_id, "--output", str(earlier))
    assert (refused.exit_code, refused.stderr) == (1, "wr: cannot write the passes: File exists\n")
    assert earlier.read_text() == "what cannot be had again"


def test_a_file_without_passes_does_not_stay(wr: Wr, tmp_path: Path) -> None:
    wanted = tmp_path / "passes"
    refused = wr("pass", "issue", "--queue", "no-such-queue", "--output", str(wanted))
    assert (refused.exit_code, refused.stderr) == (1, "wr: There is no such queue\n")
    assert not wanted.exists()


def test_a_terminal_gets_a_table_with_links_that_can_be_copied(
    server: Ready, data_dir: Path, queue_id: str
) -> None:
    shown = run_wr(
        *("pass", "issue", "--queue", queue_id, "--for", "user", "--count", "2"),
        **{"WR_URL": server.url, "WR_DATA_DIR": str(data_dir), "COLUMNS": "60"},
        **{"FORCE_COLOR": "1", "TERM": "dumb"},
    )
    assert shown.exit_code == 0, shown.stderr
    lines = shown.stdout.splitlines()
    assert "subject" in lines[0]
    assert "user-1" in lines[1]
    links = [line for line in lines if line.startswith(f"{server.url}/wait/")]
    assert [claims(pass_of(link))["sub"] for link in links] == ["user-1", "user-2"]


def test_the_servers_limit_of_calls_is_waited_for(tmp_path: Path) -> None:
    data_dir = str(tmp_path / "data")
    with running_server(None, data_dir=data_dir, limit_admin="1/1", demo_queue="yes") as ready:
        issued = run_wr(
            *("pass", "issue", "--queue", "demo", "--for", "fan", "--count", "2001"),
            WR_URL=ready.url,
            WR_DATA_DIR=data_dir,
        )
    assert issued.exit_code == 0, issued.stderr
    assert "ask again in 1 s; waiting" in issued.stderr
    names = [claims(pass_of(link))["sub"] for link in issued.stdout.splitlines()]
    assert names == [f"fan-{number}" for number in range(1, 2002)]


def test_a_revoked_pass_gives_no_place_and_its_place_is_ended(wr: Wr, server: Ready, queue_id: str) -> None:
    given = issue(wr, queue_id)
    joined = join(server, queue_id, given)
    revoked = wr("pass", "revoke", "-", "--reason", "resold", answer=f"{given}\n")
    assert revoked.exit_code == 0, revoked.stderr
    pass_id = claims(given)["jti"]
    assert revoked.stdout == f"{pass_id} is revoked. It gave 1 place. The last of them is ended.\n"
    details = assert_refused(join(server, queue_id, given), 403, "PASS_INVALID")
    assert details["reason"] == "revoked"
    assert "ended" in wr("find", joined.json()["position_id"]).stdout


def test_a_pass_is_revoked_by_its_id_and_its_visitor_blocked(wr: Wr, server: Ready, queue_id: str) -> None:
    first, second = (issue(wr, queue_id, "--for", "same") for _ in range(2))
    join(server, queue_id, first)
    pass_id = claims(first)["jti"]
    nameless = wr("pass", "revoke", pass_id)
    assert (nameless.exit_code, nameless.stdout) == (2, "")
    assert "only a whole pass names its queue" in nameless.stderr
    revoked = wr("pass", "revoke", pass_id, "--queue", queue_id, "--block-for", "1h", "--block", "person")
    assert revoked.exit_code == 0, revoked.stderr
    assert_refused(join(server, queue_id, second), 403, "BLOCKED")


def test_a_pass_of_another_queue_is_refused_for_that_and_not_for_the_key(wr: Wr, queue_id: str) -> None:
    refused = wr("pass", "revoke", issue(wr, queue_id), "--queue", "another")
    assert (refused.exit_code, refused.stderr) == (1, "wr: The pass is for another queue\n")


def test_no_pass_on_standard_input_is_a_usage_error(wr: Wr, queue_id: str) -> None:
    assert wr("pass", "revoke", "-", "--queue", queue_id, answer="\n").exit_code == 2


def test_a_blocked_address_joins_again_when_the_block_is_ended(wr: Wr, server: Ready) -> None:
    queue_id = f"q-{secrets.token_hex(4)}"
    wr("queue", "create", queue_id, "--target-url", "https://shop.example/", "--status", "paused")
    assert wr("block", "list", "--queue", queue_id).stdout == f"Nothing is blocked in {queue_id}.\n"
    added = wr(
        *("block", "add", "--queue", queue_id, "--address", "198.51.100.7", "--user-id", "bot"),
        *("--for", "2h", "--reason", "scalper"),
    )
    assert added.exit_code == 0, added.stderr
    assert_refused(join(server, queue_id, address="198.51.100.7"), 403, "BLOCKED")
    assert join(server, queue_id, address="198.51.100.8").status_code == 201
    shown = wr("block", "list", "--queue", queue_id).stdout
    assert "scalper" in shown
    blocks = json.loads(wr("block", "list", "--queue", queue_id, "--json").stdout)["blocks"]
    assert sorted(each["scope"] for each in blocks) == ["address", "person"]
    for each in blocks:
        assert each["id"] in shown
        ended = wr("block", "end", each["id"], "--queue", queue_id)
        assert ended.stdout == f"{each['id']} is ended.\n"
    assert join(server, queue_id, address="198.51.100.7").status_code == 201


def test_a_block_of_nothing_is_a_usage_error(wr: Wr) -> None:
    refused = wr("block", "add", "--queue", "demo", "--for", "1h")
    assert (refused.exit_code, refused.stderr) == (2, "wr: give --address, --user-id or both\n")


def test_a_session_is_ended_when_that_is_confirmed_and_its_visitor_kept_out(wr: Wr, server: Ready) -> None:
    queue_id = f"q-{secrets.token_hex(4)}"
    wr("queue", "create", queue_id, "--target-url", "https://shop.example/")
    joined = join(server, queue_id, address="203.0.113.5").json()
    headers = {"Authorization": f"Bearer {joined['token']}"}
    status = f"{server.url}/api/v1/queues/{queue_id}/status"
    wait_until(lambda: plain_http.get(status, headers=headers).json()["status"] == "admitted")
    session_id = json.loads(wr("find", joined["position_id"], "--json").stdout)["session_id"]
    scopeless = wr("session", "end", session_id, "--block", "both")
    assert (scopeless.exit_code, scopeless.stderr.count("--block-for")) == (2, 1)
    refused = wr("session", "end", session_id, "--block-for", "2h", answer="n\n")
    assert refused.exit_code == 1
    assert f"End the session {session_id} in {queue_id}?" in refused.stderr
    assert json.loads(wr("find", session_id, "--json").stdout)["status"] == "active"
    ended = wr(
        *("session", "end", session_id, "--reason", "scalper"),
        *("--block-for", "2h", "--block", "address"),
        answer="y\n",
    )
    assert ended.exit_code == 0, ended.stderr
    assert ended.stdout.startswith(f"{session_id} is ended. The visitor is blocked until ")
    assert json.loads(wr("find", session_id, "--json").stdout)["status"] == "terminated"
    assert_refused(join(server, queue_id, address="203.0.113.5"), 403, "BLOCKED")


def test_a_session_is_ended_without_a_question_when_yes_is_said_beforehand(wr: Wr) -> None:
    unknown = wr("session", "end", "550e8400-e29b-81d4-a716-446655440000", "--yes")
    assert unknown.exit_code == 1
    assert unknown.stderr.startswith("wr: ")
    assert "End the session" not in unknown.stderr


@pytest.mark.parametrize(
    "duration", ["", "0s", "10", "2 h", "h", "1.5h", "-1h", "2w", "1h30m", "9999999999d"]
)
def test_what_is_no_duration_is_a_usage_error_that_shows_some(wr: Wr, duration: str) -> None:
    refused = wr("pass", "issue", "--queue", "demo", "--expires", duration)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "such as 90s, 30m, 2h or 7d" in refused.stderr


@pytest.mark.parametrize(("duration", "seconds"), [("90s", 90), ("30m", 1800), ("2h", 7200), ("7d", 604_800)])
def test_a_duration_is_a_number_with_its_unit(wr: Wr, queue_id: str, duration: str, seconds: int) -> None:
    said = claims(issue(wr, queue_id, "--expires", duration))
    assert said["exp"] - said["iat"] == seconds
