"""Webhooks at a real receiver: signed, tried again, in order for each position, dead in the end."""

import re
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.certificate import make_certificate
from tests.support.engines import running_engine
from tests.support.processes import ADMIN_KEY, ServerProcess, eventually, running_server_process
from tests.support.readme import README, block
from tests.support.site import Site
from tests.support.webhook_receiver import Delivered, Receiver, receiving, receiving_later

QUICK = {"webhook_pause": "0.05", "webhook_tries": "4", "webhook_timeout": "5"}
NEVER_AGAIN = {"webhook_pause": "600", "webhook_tries": "4"}


@contextmanager
def serving(folder: Path, **settings: str) -> Iterator[tuple[ServerProcess, Site]]:
    with running_server_process(folder / "data", **settings) as server, server.site() as site:
        yield server, site


def add(site: Site, url: str, *events: str, **more: Any) -> dict[str, Any]:
    response = site.admin("POST", "/webhooks", {"url": url, "events": list(events or ("*",)), **more})
    assert response.status_code == 201, response.text
    webhook: dict[str, Any] = response.json()
    return webhook


def dead(site: Site) -> list[dict[str, Any]]:
    letters: list[dict[str, Any]] = site.admin("GET", "/webhooks/dead-letters").json()["dead_letters"]
    return letters


def sample() -> Any:
    """The function that the README gives receivers to check signatures with."""
    scope: dict[str, Any] = {}
    text = block(README.read_text(), "verify webhook")
    assert text is not None
    exec(text.removeprefix("```python").removesuffix("```"), scope)
    return scope["is_genuine"]


def test_the_sample_of_the_readme_tells_genuine_deliveries_from_others(tmp_path: Path) -> None:
    with serving(tmp_path) as (_, site), receiving() as receiver:
        webhook = add(site, receiver.url)
        queue_id = site.make_queue(status="paused")
        site.join(queue_id)
        eventually(lambda: len(receiver.came) == 2, "both came")
    is_genuine = sample()
    for came in receiver.came:
        headers = came.headers
        assert headers["X-WR-Event"] == came.event["type"]
        assert headers["X-WR-Delivery"] == came.event["id"]
        assert headers["Content-Type"] == "application/json"
        assert ADMIN_KEY not in str(headers)
        assert is_genuine(webhook["secret"], headers, came.body)
        assert not is_genuine("another-secret", headers, came.body)
        assert not is_genuine(webhook["secret"], headers, came.body + b" ")
        later = {**headers, "X-WR-Timestamp": str(int(headers["X-WR-Timestamp"]) + 1)}
        assert not is_genuine(webhook["secret"], later, came.body)
        assert abs(int(headers["X-WR-Timestamp"]) - time.time()) < 300


def test_a_delivery_is_tried_again_with_the_same_id_until_it_is_acknowledged(tmp_path: Path) -> None:
    with serving(tmp_path, **QUICK) as (_, site), receiving() as receiver:
        answers = iter([500, 302, 429])
        receiver.answer = lambda _event: next(answers, 200)
        add(site, receiver.url, "queue.*")
        site.make_queue()
        eventually(receiver.taken, "it is taken")
        assert [came.status for came in receiver.came] == [500, 302, 429, 200]
        assert len({came.headers["X-WR-Delivery"] for came in receiver.came}) == 1
        assert len({came.body for came in receiver.came}) == 1
        assert dead(site) == []


def test_a_receiver_that_is_not_there_yet_is_told_once_it_is(tmp_path: Path) -> None:
    settings = {**QUICK, "webhook_tries": "20"}
    with serving(tmp_path, **settings) as (server, site), receiving_later() as (url, begin):
        add(site, url, "queue.*")
        queue_id = site.make_queue()
        eventually(lambda: not server.store_has_ended(), "the store runs")
        receiver = begin()
        eventually(receiver.taken, "it is told")
        assert receiver.taken()[0].event["queue_id"] == queue_id


def test_events_of_a_position_come_in_order_whatever_fails_and_do_not_hold_up_others(tmp_path: Path) -> None:
    with serving(tmp_path, **{**QUICK, "webhook_tries": "30"}) as (_, site), receiving() as receiver:
        lock = threading.Lock()
        failed: Counter[str] = Counter()
        unlucky: list[str] = []

        def fail_often(event: dict[str, Any]) -> int:
            """Every first event of each position fails five times, every other one twice."""
            with lock:
                failed[event["id"]] += 1
                most = 5 if event["type"] == "position.enqueued" else 2
                if event["data"].get("position_id") in unlucky:
                    return 500
                return 500 if failed[event["id"]] <= most else 200

        receiver.answer = fail_often
        add(site, receiver.url, "position.*", "session.*")
        queue_id = site.make_queue(admission_rate=1000)
        unlucky.append(site.join(queue_id).json()["position_id"])
        people = [site.join(queue_id).json() for _ in range(12)]
        for person in people:
            site.admitted(queue_id, person["token"])
            site.call("DELETE", f"/queues/{queue_id}/position", person["token"])
        life = ["position.enqueued", "position.admitted", "session.started", "session.ended"]

        def of(position_id: str) -> list[Delivered]:
            return [came for came in receiver.taken() if came.whose == position_id]

        for person in people:
            eventually(lambda who=person: len(of(who["position_id"])) == len(life), "all of it came")  # type: ignore[misc]
            assert [came.event["type"] for came in of(person["position_id"])] == life
        assert of(unlucky[0]) == []
        attempts = [came.event["type"] for came in receiver.came if came.whose == unlucky[0]]
        assert set(attempts) == {"position.enqueued"}, "what comes after it waits"


def test_what_is_never_acknowledged_becomes_a_dead_letter_and_lets_the_next_go(tmp_path: Path) -> None:
    with serving(tmp_path, **QUICK) as (_, site), receiving() as receiver:
        receiver.answer = lambda event: 503 if event["type"] == "position.enqueued" else 200
        webhook = add(site, receiver.url, "position.*")
        queue_id = site.make_queue(status="paused")
        token = site.join(queue_id).json()["token"]
        site.call("DELETE", f"/queues/{queue_id}/position", token)
        eventually(lambda: receiver.types() == ["position.cancelled"], "the next one came")
        (letter,) = dead(site)
        assert [came.status for came in receiver.came] == [503] * 4 + [200]
        assert (letter["attempts"], letter["error"]) == (4, "status 503")
        assert (letter["webhook_id"], letter["queue_id"]) == (webhook["id"], queue_id)
        assert letter["event_type"] == "position.enqueued"
        assert letter["body"].encode() == receiver.came[0].body


def test_a_dead_letter_is_delivered_when_it_is_retried_and_dies_again_when_that_fails(tmp_path: Path) -> None:
    with serving(tmp_path, **QUICK) as (_, site), receiving() as receiver:
        receiver.answer = lambda _event: 500
        webhook = add(site, receiver.url, "queue.created")
        site.make_queue()
        (letter,) = eventually(lambda: dead(site), "it is dead")
        retried = site.admin("POST", f"/webhooks/dead-letters/{letter['id']}/retry")
        assert (retried.status_code, retried.json()["status"]) == (200, "retrying")
        (again,) = eventually(lambda: dead(site), "it died again")
        assert again["event_id"] == letter["event_id"]
        assert len(receiver.came) == 8
        receiver.answer = lambda _event: 200
        assert site.admin("POST", f"/webhooks/dead-letters/{again['id']}/retry").status_code == 200
        eventually(receiver.taken, "it is delivered")
        came = receiver.taken()[0]
        assert came.headers["X-WR-Delivery"] == letter["event_id"]
        assert sample()(webhook["secret"], came.headers, came.body)
        assert dead(site) == []
        assert site.admin("POST", f"/webhooks/dead-letters/{again['id']}/retry").status_code == 404


def test_a_dead_letter_can_be_discarded_and_is_not_retried_for_a_webhook_that_is_gone(tmp_path: Path) -> None:
    with serving(tmp_path, **{**QUICK, "webhook_tries": "1"}) as (_, site), receiving() as receiver:
        receiver.answer = lambda _event: 500
        webhook = add(site, receiver.url, "queue.created")
        site.make_queue()
        site.make_queue()
        one, other = eventually(
            lambda: (letters := dead(site)) and len(letters) == 2 and letters, "both died"
        )
        assert site.admin("DELETE", f"/webhooks/dead-letters/{one['id']}").json()["status"] == "discarded"
        assert [letter["id"] for letter in dead(site)] == [other["id"]]
        assert site.admin("DELETE", f"/webhooks/dead-letters/{one['id']}").status_code == 404
        assert site.admin("DELETE", f"/webhooks/{webhook['id']}").status_code == 200
        assert site.admin("POST", f"/webhooks/dead-letters/{other['id']}/retry").status_code == 409
        assert [letter["id"] for letter in dead(site)] == [other["id"]], "it is still there"


def test_a_webhook_is_told_what_it_asked_for_and_nothing_once_it_is_deleted(tmp_path: Path) -> None:
    with serving(tmp_path) as (_, site), receiving() as receiver, receiving() as everything:
        mine = site.make_queue(status="paused")
        other = site.make_queue(status="paused")
        webhook = add(site, receiver.url, "position.enqueued", "queue.*", queue_id=mine)
        add(site, everything.url)
        for queue_id in (other, mine):
            token = site.join(queue_id).json()["token"]
            site.call("DELETE", f"/queues/{queue_id}/position", token)
            site.admin("PATCH", f"/queues/{queue_id}", {"admission_rate": 3})
        eventually(lambda: len(everything.taken()) == 6, "all of it came")
        eventually(lambda: len(receiver.taken()) == 2, "what was asked for came")
        assert sorted(receiver.types()) == ["position.enqueued", "queue.updated"]
        assert {came.event["queue_id"] for came in receiver.taken()} == {mine}
        site.admin("DELETE", f"/webhooks/{webhook['id']}")
        site.join(mine)
        eventually(lambda: len(everything.taken()) == 7, "the others are told")
        assert len(receiver.came) == 2


def test_each_server_delivers_what_it_noticed_for_webhooks_added_at_any_of_them(tmp_path: Path) -> None:
    with ExitStack() as stack:
        engine = stack.enter_context(running_engine("valkey", tmp_path))
        receiver = stack.enter_context(receiving())
        sites = []
        for name in ("one", "other"):
            server = stack.enter_context(
                running_server_process(tmp_path / name, store_url=engine.url, event_source=name)
            )
            sites.append(stack.enter_context(server.site()))
        queue_id = sites[0].make_queue(status="paused")
        webhook = add(sites[0], receiver.url, "position.enqueued")

        def other_tells() -> bool:
            sites[1].join(queue_id)
            return any(came.event["source"] == "other" for came in receiver.taken())

        eventually(other_tells, "the other knows of it")
        sites[0].join(queue_id)
        eventually(
            lambda: {came.event["source"] for came in receiver.taken()} == {"one", "other"}, "both tell"
        )
        assert [each["id"] for each in sites[1].admin("GET", "/webhooks").json()["webhooks"]] == [
            webhook["id"]
        ]


def test_a_receiver_that_hangs_holds_up_neither_joins_nor_other_webhooks(tmp_path: Path) -> None:
    with serving(tmp_path, **QUICK) as (_, site), receiving() as receiver, socket.socket() as hanging:
        hanging.bind(("127.0.0.1", 0))
        hanging.listen()  # connections are made, and nothing is ever answered
        add(site, f"http://127.0.0.1:{hanging.getsockname()[1]}/", "position.*")
        add(site, receiver.url, "position.*")
        queue_id = site.make_queue(status="paused")
        took_s = []
        for _ in range(60):
            began = time.monotonic()
            site.join(queue_id)
            took_s.append(time.monotonic() - began)
        eventually(lambda: len(receiver.taken()) == 60, "the others are told", 4)
        assert max(took_s) < 2


def test_what_is_not_delivered_when_the_server_stops_is_a_dead_letter(tmp_path: Path) -> None:
    settings = {**NEVER_AGAIN, "grace": "5"}
    with receiving() as receiver:
        receiver.answer = lambda _event: 500
        with serving(tmp_path, **settings) as (server, site):
            add(site, receiver.url, "position.enqueued")
            queue_id = site.make_queue(status="paused")
            joined = {site.join(queue_id).json()["position_id"] for _ in range(3)}
            began = time.monotonic()
            server.send(signal.SIGTERM)
            assert server.process.wait(30) == 0
            assert time.monotonic() - began < 5, "what has to pause is not waited for"
        with serving(tmp_path, **settings) as (_, site):
            letters = dead(site)
            assert {letter["error"] for letter in letters} == {"status 500"}
            receiver.answer = lambda _event: 200
            for letter in letters:
                assert site.admin("POST", f"/webhooks/dead-letters/{letter['id']}/retry").status_code == 200
            eventually(lambda: {came.whose for came in receiver.taken()} == joined, "all are told")


@pytest.mark.parametrize(
    "host", ["169.254.169.254", "[fe80::1]", "[::ffff:169.254.169.254]", "[fd00:ec2::254]"]
)
def test_where_clouds_keep_secrets_is_never_called(tmp_path: Path, host: str) -> None:
    with serving(tmp_path, **{**QUICK, "webhook_tries": "1"}) as (_, site):
        add(site, f"http://{host}/latest/meta-data", "queue.created")
        site.make_queue()
        (letter,) = eventually(lambda: dead(site), "it is dead")
        assert "must not be called" in letter["error"]


def test_a_name_that_leads_to_a_forbidden_address_is_not_called(tmp_path: Path) -> None:
    settings = {**QUICK, "webhook_tries": "1", "webhook_forbidden": "127.0.0.0/8, ::1/128"}
    with serving(tmp_path, **settings) as (_, site), receiving() as receiver:
        add(site, receiver.url.replace("127.0.0.1", "localhost"), "queue.created")
        site.make_queue()
        (letter,) = eventually(lambda: dead(site), "it is dead")
        assert "must not be called" in letter["error"]
        assert receiver.came == []


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    with (
        serving(tmp_path, **{**QUICK, "webhook_tries": "1"}) as (_, site),
        receiving(certificate=make_certificate(tmp_path)) as receiver,
    ):
        add(site, receiver.url, "queue.created")
        site.make_queue()
        (letter,) = eventually(lambda: dead(site), "it is dead")
        assert "CERTIFICATE_VERIFY_FAILED" in letter["error"]
        assert receiver.came == []


def test_a_certificate_that_is_vouched_for_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = make_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    with serving(tmp_path, **QUICK) as (_, site), receiving(certificate=certificate) as receiver:
        add(site, receiver.url, "queue.created")
        site.make_queue()
        eventually(receiver.taken, "it is told")


def test_secrets_are_shown_once_and_logged_never(tmp_path: Path) -> None:
    settings = {**QUICK, "webhook_tries": "1"}
    with serving(tmp_path, **settings) as (server, site), receiving() as receiver:
        receiver.answer = lambda _event: 500
        webhook = add(site, receiver.url)
        site.make_queue()
        eventually(lambda: dead(site), "it is dead")
        told = site.admin("GET", "/webhooks").text + site.admin("GET", "/audit").text + str(dead(site))
        assert re.fullmatch(r"[\w-]{43}", webhook["secret"])
        assert webhook["secret"] not in told + server.log + server.output.read_text()
        assert "of-the-receiver" not in site.admin("GET", "/audit").text + server.log


def test_a_webhook_outlives_the_server_that_it_was_added_at(tmp_path: Path) -> None:
    with receiving() as receiver:
        with serving(tmp_path) as (server, site):
            add(site, receiver.url)
            server.send(signal.SIGTERM)
            assert server.process.wait(30) == 0
        with serving(tmp_path) as (_, site):
            queue_id = site.make_queue()
            eventually(receiver.taken, "it is told")
            assert receiver.taken()[0].event["queue_id"] == queue_id


def test_what_is_delivered_makes_room(tmp_path: Path) -> None:
    with serving(tmp_path, event_buffer="2") as (server, site), receiving() as receiver:
        add(site, receiver.url, "position.enqueued")
        queue_id = site.make_queue(status="paused")
        for number in range(1, 7):
            site.join(queue_id)
            eventually(lambda count=number: len(receiver.taken()) == count, "it is told")  # type: ignore[misc]
            eventually(lambda: waiting(site) == 0, "it is settled")
        assert "dropped" not in server.log


def waiting(site: Site) -> float:
    """Events for webhooks that are neither delivered nor given up, as the metrics tell."""
    found = re.search(
        r'^wr_events_waiting\{receiver="webhooks"\} (\S+)', site.http.get("/metrics").text, re.M
    )
    assert found is not None
    return float(found[1])


def test_too_much_for_a_webhook_is_dropped_and_said(tmp_path: Path) -> None:
    settings = {**NEVER_AGAIN, "event_buffer": "5"}
    with serving(tmp_path, **settings) as (server, site), receiving() as receiver:
        receiver.answer = lambda _event: 500
        assert isinstance(receiver, Receiver)
        add(site, receiver.url, "position.enqueued")
        queue_id = site.make_queue(status="paused")
        for _ in range(9):
            assert site.join(queue_id).status_code == 201
        eventually(lambda: len({came.whose for came in receiver.came}) == 5, "those that are kept were tried")
        assert server.log.count("events are dropped") == 1


def test_what_visitors_send_with_the_join_is_told_unless_it_is_long(tmp_path: Path) -> None:
    with serving(tmp_path) as (_, site), receiving() as receiver:
        queue_id = site.make_queue(status="paused")
        add(site, receiver.url, "position.enqueued")
        sent = {"campaign": "summer-sale", "age": 4, "quoted": '"\\\n'}
        for metadata in (sent, {"campaign": "x" * 1100}, {}):
            site.join(queue_id, {"metadata": metadata})
        eventually(lambda: len(receiver.taken()) == 3, "all of it came")
        told = [came.event["data"] for came in receiver.taken()]
        assert sorted(data["position"] for data in told) == [1, 2, 3]
        assert [data["metadata"] for data in told if "metadata" in data] == [sent]
