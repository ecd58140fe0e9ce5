"""`wr queue` and `wr keys` against a real server."""

import json
import secrets

import pytest

from tests.cli.conftest import Wr
from tests.support import plain_http
from tests.support.processes import eventually
from wr.server.lifecycle import Ready


@pytest.fixture
def queue_id(wr: Wr) -> str:
    """A queue that lets nobody in."""
    name = f"q-{secrets.token_hex(4)}"
    made = wr("queue", "create", name, "--target-url", "https://shop.example/", "--status", "paused")
    assert made.exit_code == 0, made.stderr
    return name


def join(server: Ready, queue_id: str) -> None:
    assert plain_http.post(f"{server.url}/api/v1/queues/{queue_id}/enqueue").status_code == 201


def settings_of(wr: Wr, queue_id: str) -> dict[str, object]:
    shown: dict[str, object] = json.loads(wr("queue", "show", queue_id, "--json").stdout)
    return shown


def test_a_queue_is_made_with_what_the_options_say_and_the_api_s_defaults(wr: Wr) -> None:
    result = wr(
        *("queue", "create", "made", "--name", "Big Sale", "--target-url", "https://shop.example/x"),
        *("--admission-rate", "2.5", "--unique-by", "ip", "--json"),
    )
    assert result.exit_code == 0, result.stderr
    made = json.loads(result.stdout)
    assert made["id"] == "made"
    assert (made["name"], made["target_url"]) == ("Big Sale", "https://shop.example/x")
    assert (made["admission_rate"], made["unique_by"]) == (2.5, "ip")
    assert (made["max_queue_size"], made["status"]) == (50_000, "active")
    assert settings_of(wr, "made") == made


def test_json_has_whole_numbers_without_a_fraction(wr: Wr, queue_id: str) -> None:
    wr("queue", "update", queue_id, "--admission-rate", "20")
    assert type(settings_of(wr, queue_id)["admission_rate"]) is int
    (listed,) = (
        each["queue"]
        for each in json.loads(wr("queue", "list", "--json").stdout)["queues"]
        if each["queue"]["id"] == queue_id
    )
    assert type(listed["admission_rate"]) is int
    assert type(json.loads(wr("queue", "stats", queue_id, "--json").stdout)["admission_rate_actual"]) is int


def test_a_table_shows_each_setting_with_what_it_means(wr: Wr, queue_id: str) -> None:
    shown = wr("queue", "show", queue_id)
    assert shown.exit_code == 0
    (line,) = [line for line in shown.stdout.splitlines() if line.startswith("max queue size")]
    assert line.strip().split(maxsplit=4)[3:] == ["50,000", "People who may wait at once; 0 means unlimited"]


def test_the_list_shows_every_queue_and_how_full_it_is(wr: Wr, server: Ready, queue_id: str) -> None:
    join(server, queue_id)
    (row,) = [line for line in wr("queue", "list").stdout.splitlines() if line.startswith(queue_id)]
    assert row.split() == [queue_id, queue_id, "paused", "1", "0", "1,000", "0", "10", "0"]
    listed = json.loads(wr("queue", "list", "--json").stdout)["queues"]
    assert queue_id in [entry["queue"]["id"] for entry in listed]


def test_an_update_changes_what_is_given_and_leaves_the_rest(wr: Wr, queue_id: str) -> None:
    before = settings_of(wr, queue_id)
    result = wr("queue", "update", queue_id, "--max-active-users", "7", "--status", "maintenance")
    assert result.exit_code == 0, result.stderr
    after = settings_of(wr, queue_id)
    assert after == {
        **before,
        "max_active_users": 7,
        "status": "maintenance",
        "updated_at": after["updated_at"],
    }


def test_a_shorter_heartbeat_timeout_that_may_cost_places_is_asked_about(
    wr: Wr, server: Ready, queue_id: str
) -> None:
    shorten = ("queue", "update", queue_id, "--heartbeat-interval-seconds", "1")
    assert wr(*shorten, "--heartbeat-timeout-seconds", "30").exit_code == 0, "nobody waits"
    join(server, queue_id)

    def is_silent() -> bool:
        counted = wr("queue", "silent", queue_id, "--timeout-seconds", "2", "--json")
        return bool(json.loads(counted.stdout)["silent"] == 1)

    eventually(is_silent, "the visitor has not been heard for two seconds")
    refused = wr(*shorten, "--heartbeat-timeout-seconds", "2", answer="n\n")
    assert refused.exit_code == 1
    asked = "1 of 1 waiting visitors have sent no heartbeat for 2 seconds. They lose their places"
    assert asked in refused.stderr
    assert settings_of(wr, queue_id)["heartbeat_timeout_seconds"] == 30
    longer = wr("queue", "update", queue_id, "--heartbeat-timeout-seconds", "31")
    assert (longer.exit_code, longer.stderr) == (0, "")
    assert wr(*shorten, "--heartbeat-timeout-seconds", "2", answer="y\n").exit_code == 0
    assert settings_of(wr, queue_id)["heartbeat_timeout_seconds"] == 2


def test_an_update_of_nothing_is_a_usage_error(wr: Wr, queue_id: str) -> None:
    result = wr("queue", "update", queue_id)
    assert result.exit_code == 2
    assert "Give at least one setting to change." in result.stderr


def test_figures_are_the_api_s_own(wr: Wr, server: Ready, queue_id: str) -> None:
    join(server, queue_id)
    figures = json.loads(wr("queue", "stats", queue_id, "--json").stdout)
    assert (figures["queue_id"], figures["current_waiting"], figures["total_enqueued_today"]) == (
        queue_id,
        1,
        1,
    )
    (line,) = [line for line in wr("queue", "stats", queue_id).stdout.splitlines() if "waiting" in line]
    assert line.split()[:3] == ["current", "waiting", "1"]
    assert "Visitors in line now" in line


def test_a_queue_is_deleted_only_when_the_question_is_answered_with_yes(
    wr: Wr, server: Ready, queue_id: str
) -> None:
    join(server, queue_id)
    for answer in ("n\n", "\n", ""):
        refused = wr("queue", "delete", queue_id, answer=answer)
        assert refused.exit_code == 1
        assert f"Delete {queue_id}, with 1 waiting and 0 inside?" in refused.stderr
        assert settings_of(wr, queue_id)["id"] == queue_id
    deleted = wr("queue", "delete", queue_id, answer="y\n")
    assert (deleted.exit_code, deleted.stdout) == (0, f"{queue_id} is deleted.\n")
    gone = wr("queue", "show", queue_id)
    assert (gone.exit_code, gone.stderr) == (1, "wr: There is no such queue\n")


def test_yes_can_be_said_beforehand(wr: Wr, queue_id: str) -> None:
    deleted = wr("queue", "delete", queue_id, "--yes", "--json")
    assert json.loads(deleted.stdout) == {"id": queue_id, "status": "deleted"}


def test_a_flush_sends_away_everyone_who_waits_when_that_is_confirmed(
    wr: Wr, server: Ready, queue_id: str
) -> None:
    for _ in range(3):
        join(server, queue_id)
    refused = wr("queue", "flush", queue_id, answer="n\n")
    assert refused.exit_code == 1
    assert f"Remove all waiting visitors from {queue_id}, 3 now?" in refused.stderr
    assert json.loads(wr("queue", "stats", queue_id, "--json").stdout)["current_waiting"] == 3
    flushed = wr("queue", "flush", queue_id, answer="y\n")
    assert (flushed.exit_code, flushed.stdout) == (0, f"3 waiting visitors removed from {queue_id}.\n")
    assert json.loads(wr("queue", "stats", queue_id, "--json").stdout)["current_waiting"] == 0


def test_the_api_s_refusal_is_one_line_that_names_the_field(wr: Wr, queue_id: str) -> None:
    taken = wr("queue", "create", queue_id, "--target-url", "https://shop.example/")
    assert (taken.exit_code, taken.stderr) == (1, "wr: There is a queue of that id already\n")
    wrong = wr("queue", "update", queue_id, "--target-url", "ftp://shop.example/")
    assert (wrong.exit_code, wrong.stderr) == (1, "wr: target_url must be an http or https URL\n")
    odd = wr("queue", "create", "no spaces", "--target-url", "https://shop.example/")
    assert odd.exit_code == 1
    assert odd.stderr.startswith("wr: id: ")
    assert odd.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["queue", "create", "x"],
        ["queue", "create", "x", "--target-url", "https://a.example/", "--max-active-users", "0"],
        ["queue", "create", "x", "--target-url", "https://a.example/", "--admission-rate", "0"],
        ["queue", "create", "x", "--target-url", "https://a.example/", "--max-queue-size", "many"],
        ["queue", "update", "x", "--status", "closed"],
        ["queue", "show"],
        ["queue", "list", "--url", "ftp://127.0.0.1"],
        ["queue", "list", "--url", "127.0.0.1:8080"],
        ["queue", "list", "--admin-key", "kéy"],
        ["queue", "list", "--admin-key", "a\nb"],
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(wr: Wr, arguments: list[str]) -> None:
    result = wr(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""


def test_rotation_makes_new_keys_and_keeps_the_earlier_ones(wr: Wr) -> None:
    before = json.loads(wr("keys", "list", "--json").stdout)["keys"]
    made = json.loads(wr("keys", "rotate", "--json").stdout)["keys"]
    after = json.loads(wr("keys", "list", "--json").stdout)["keys"]
    assert {key["purpose"] for key in made} == {"position", "session", "pass"}
    assert {key["kid"] for key in after} == {key["kid"] for key in made} | {key["kid"] for key in before}
    shown = wr("keys", "list").stdout
    for key in after:
        assert key["kid"] in shown
