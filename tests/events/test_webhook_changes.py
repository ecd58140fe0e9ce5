"""Webhooks that are changed, retried or spoilt while a real server delivers."""

import signal
from pathlib import Path

from tests.events.test_webhooks import NEVER_AGAIN, QUICK, add, dead, sample, serving
from tests.support.engines import running_engine
from tests.support.processes import eventually, running_server_process
from tests.support.webhook_receiver import receiving


def test_a_changed_webhook_is_told_at_its_new_url_what_waited_signed_with_its_new_secret(
    tmp_path: Path,
) -> None:
    settings = {**QUICK, "webhook_pause": "0.2", "webhook_tries": "20"}
    with serving(tmp_path, **settings) as (_, site), receiving() as old, receiving() as new:
        old.answer = lambda _event: 500
        webhook = add(site, old.url, "queue.*")
        queue_id = site.make_queue()
        eventually(lambda: old.came, "it was tried")
        changed = site.admin(
            "PATCH", f"/webhooks/{webhook['id']}", {"url": new.url, "rotate_secret": True}
        ).json()
        eventually(new.taken, "it is told there")
        came = new.taken()[0]
        assert came.event["queue_id"] == queue_id
        assert sample()(changed["secret"], came.headers, came.body)
        assert not sample()(webhook["secret"], came.headers, came.body)


def test_a_dead_letter_that_is_retried_outlives_a_server_that_is_killed_meanwhile(tmp_path: Path) -> None:
    with running_engine("valkey", tmp_path) as engine, receiving() as receiver:
        receiver.answer = lambda _event: 500
        for number in range(2):
            # The first attempt after the retry fails, and the second is never.
            settings = {**NEVER_AGAIN, "webhook_tries": "1" if number == 0 else "4", "store_url": engine.url}
            with running_server_process(tmp_path / str(number), **settings) as server, server.site() as site:
                if number == 0:
                    add(site, receiver.url, "queue.created")
                    site.make_queue()
                (letter,) = eventually(lambda: dead(site), "it is dead")
                if number == 1:
                    came = len(receiver.came)
                    path = f"/webhooks/dead-letters/{letter['id']}/retry"
                    assert site.admin("POST", path).status_code == 200
                    eventually(lambda: len(receiver.came) > came, "it was tried")  # noqa: B023
                    assert dead(site) == []
                    assert site.admin("POST", path).status_code == 404, "once at a time"
                    server.send(signal.SIGKILL)
                    server.process.wait(30)
        with running_server_process(tmp_path / "last", **settings) as server, server.site() as site:
            assert [each["id"] for each in dead(site)] == [letter["id"]]


def test_a_webhook_that_cannot_be_read_holds_up_neither_the_others_nor_the_next_start(tmp_path: Path) -> None:
    with running_engine("valkey", tmp_path) as engine, receiving() as receiver:
        for name in ("one", "other"):
            with (
                running_server_process(tmp_path / name, store_url=engine.url) as server,
                server.site() as site,
            ):
                if name == "one":
                    webhook = add(site, receiver.url, "queue.*")
                    with engine.client() as client:
                        client.hset("wr:{*}:webhooks", "spoilt", b'{"id":"spoilt"}')
                eventually(lambda: "a webhook cannot be read" in server.log, "it is said")
                queue_id = site.make_queue()
                eventually(lambda: receiver.taken()[-1:], "it is told")
                eventually(lambda: receiver.taken()[-1].event["queue_id"] == queue_id, "it is told")  # noqa: B023
                listed = site.admin("GET", "/webhooks").json()["webhooks"]
                assert [each["id"] for each in listed] == [webhook["id"]]
                if name == "other":
                    assert site.admin("DELETE", "/webhooks/spoilt").status_code == 200
        assert len(receiver.came) == 2


def test_letters_of_one_webhook_are_listed_by_its_id(tmp_path: Path) -> None:
    settings = {**QUICK, "webhook_tries": "1"}
    with serving(tmp_path, **settings) as (_, site), receiving() as receiver:
        receiver.answer = lambda _event: 500
        one, other = (add(site, receiver.url, "queue.created") for _ in range(2))
        site.make_queue()
        eventually(lambda: len(dead(site)) == 2, "both died")
        for webhook in (one, other):
            found = site.admin("GET", "/webhooks/dead-letters", params={"webhook_id": webhook["id"]}).json()
            assert [letter["webhook_id"] for letter in found["dead_letters"]] == [webhook["id"]]
