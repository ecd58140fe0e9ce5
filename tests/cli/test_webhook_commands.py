"""`wr webhook` against a real server, with a receiver that first refuses."""

import json
import secrets

from tests.cli.conftest import Wr
from tests.support.processes import eventually
from tests.support.webhook_receiver import receiving


def make_queue(wr: Wr) -> str:
    name = f"q-{secrets.token_hex(4)}"
    made = wr("queue", "create", name, "--target-url", "https://shop.example/", "--status", "paused")
    assert made.exit_code == 0, made.stderr
    return name


def test_a_webhook_is_added_listed_told_and_deleted(wr: Wr) -> None:
    with receiving() as receiver:
        queue_id = make_queue(wr)
        added = wr("webhook", "add", receiver.url, "--event", "queue.updated", "--queue", queue_id)
        assert added.exit_code == 0, added.stderr
        webhook_id = added.stdout.split()[0]
        secret = added.stdout.split()[-1]
        listed = wr("webhook", "list")
        assert webhook_id in listed.stdout
        assert queue_id in listed.stdout
        assert secret not in listed.stdout
        wr("queue", "update", queue_id, "--admission-rate", "20")
        eventually(receiver.taken, "it is told")
        assert receiver.types() == ["queue.updated"]
        assert wr("webhook", "delete", webhook_id).stdout == f"{webhook_id} is deleted.\n"
        assert wr("webhook", "list").stdout == "There is no webhook yet: add one with `wr webhook add`.\n"


def test_all_events_are_told_unless_some_are_chosen(wr: Wr) -> None:
    with receiving() as receiver:
        added = json.loads(wr("webhook", "add", receiver.url, "--json").stdout)
        assert added["events"] == ["*"]
        wr("webhook", "delete", added["id"])


def test_there_is_nothing_dead_and_nothing_to_retry_or_discard(wr: Wr) -> None:
    answer = wr("webhook", "dead").stdout
    assert answer == "There are no dead letters: every delivery succeeded or has tries left.\n"
    for command in ("retry", "discard"):
        ended = wr("webhook", command, "1-0")
        assert (ended.exit_code, ended.stderr) == (1, "wr: There is no such dead letter\n")


def test_what_can_never_be_delivered_is_refused_in_one_line(wr: Wr) -> None:
    ended = wr("webhook", "add", "ftp://example.com/")
    assert ended.exit_code == 1
    assert ended.stderr.startswith("wr: url must be an http or https URL")


def test_a_webhook_is_changed_and_its_new_secret_is_shown(wr: Wr) -> None:
    webhook_id = json.loads(wr("webhook", "add", "http://127.0.0.1:9/", "--json").stdout)["id"]
    changed = wr(
        "webhook", "change", webhook_id, "--event", "queue.*", "--event", "session.*", "--queue", "a"
    )
    assert changed.stdout == f"{webhook_id} is changed.\n"
    rotated = wr("webhook", "change", webhook_id, "--target", "http://127.0.0.1:9/b", "--rotate-secret")
    assert len(rotated.stdout.split()[-1]) == 43
    assert json.loads(wr("webhook", "change", webhook_id, "--queue", "", "--json").stdout)["queue_id"] == ""
    (shown,) = json.loads(wr("webhook", "list", "--json").stdout)["webhooks"]
    assert (shown["url"], shown["events"]) == ("http://127.0.0.1:9/b", ["queue.*", "session.*"])
    nothing = wr("webhook", "change", webhook_id)
    assert (nothing.exit_code, nothing.stderr.splitlines()[-1][:21]) == (2, "wr: nothing to change")
    wr("webhook", "delete", webhook_id)
