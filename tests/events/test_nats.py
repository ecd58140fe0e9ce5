"""Events on a real NATS server: each once, as documented, whatever happens to either."""

import re
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack
from itertools import cycle
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from tests.support.engines import running_engine
from tests.support.nats import PASSWORD, NatsServer
from tests.support.processes import (
    ServerProcess,
    eventually,
    running_server_process,
    serve_command,
    starting_server,
)
from tests.support.site import BASE, Site
from wr.model.events import EventType

Told = list[tuple[str, dict[str, Any]]]


def nats_of(site: Site) -> str:
    return str(site.http.get("/health").json()["components"]["nats"])


def wait_until_published(site: Site) -> None:
    eventually(lambda: nats_of(site) == "healthy", "NATS takes events")


def types_of(told: Told, queue_id: str) -> list[str]:
    return [event["type"] for _, event in told if event["queue_id"] == queue_id]


def positions_of(told: Told, kind: EventType) -> list[str]:
    return [event["data"]["position_id"] for _, event in told if event["type"] == kind]


def test_everything_that_happens_is_told_once_on_its_subject_as_the_schema_says(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    settings = {"nats_url": nats_server.url, "event_source": "room-1"}
    with running_server_process(tmp_path / "data", **settings) as server, server.site() as site:
        schema = site.http.get(f"{BASE}/events.schema.json").json()
        queue_id, expected = a_life_of_everything(site)
        told = eventually(
            lambda: (
                len(types_of(found := nats_server.stored(), queue_id)) >= sum(expected.values()) and found
            ),
            "all is told",
        )
    assert Counter(types_of(told, queue_id)) == expected
    of_a_store_that_forgot = {EventType.QUEUE_RECOVERING, EventType.QUEUE_RECOVERED}
    assert set(EventType) - of_a_store_that_forgot == set(expected), "every other kind was made to happen"
    validator = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
    for subject, event in told:
        validator.validate(event)
        assert subject == f"waitingroom.{event['type']}.v1"
        assert event["source"] == "room-1"
    ids = [event["id"] for _, event in told]
    assert len(ids) == len(set(ids))


def a_life_of_everything(site: Site) -> tuple[str, Counter[str]]:
    """Make everything happen in one queue; what is to be told of it."""
    queue_id = site.make_queue(
        open_priority=2,
        session_timeout_seconds=2,
        heartbeat_interval_seconds=1,
        heartbeat_timeout_seconds=2,
    )
    tokens = [site.join(queue_id).json()["token"] for _ in range(3)]
    admitted = [site.admitted(queue_id, token) for token in tokens]
    site.call("DELETE", f"/queues/{queue_id}/position", tokens[0])
    session_id = site.admin("GET", f"/positions/{admitted[1]['position_id']}").json()["session_id"]
    assert site.admin("DELETE", f"/sessions/{session_id}", {"reason": "abuse"}).status_code == 200
    site.admin("PATCH", f"/queues/{queue_id}", {"status": "paused"})
    leaver = site.join(queue_id).json()["token"]
    site.call("DELETE", f"/queues/{queue_id}/position", leaver)
    for _ in range(2):
        site.join(queue_id)
    assert site.admin("POST", f"/queues/{queue_id}/flush").json()["flushed"] == 2
    silent = site.join(queue_id, {"priority": 2}).json()["token"]
    site.wait_for(lambda: site.status(queue_id, silent), lambda answer: answer.status_code == 410)
    site.wait_for(
        lambda: site.status(queue_id, tokens[2]), lambda answer: answer.status_code == 410
    )  # its session is over
    site.admin("PATCH", f"/queues/{queue_id}", {"status": "active", "admission_rate": 5})
    assert site.admin("DELETE", f"/queues/{queue_id}").status_code == 200
    return queue_id, Counter(
        {
            "queue.created": 1,
            "position.enqueued": 7,
            "position.admitted": 3,
            "session.started": 3,
            "session.ended": 3,
            "position.cancelled": 3,
            "position.expired": 1,
            "queue.updated": 2,
            "queue.paused": 1,
            "queue.resumed": 1,
            "queue.deleted": 1,
        }
    )


def test_reasons_and_facts_are_the_ones_that_happened(nats_server: NatsServer, tmp_path: Path) -> None:
    with (
        running_server_process(tmp_path / "data", nats_url=nats_server.url) as server,
        server.site() as site,
    ):
        queue_id, expected = a_life_of_everything(site)
        eventually(
            lambda: len(types_of(nats_server.stored(), queue_id)) == sum(expected.values()), "all is told"
        )
        told = nats_server.stored()
    by_type: dict[str, list[dict[str, Any]]] = {}
    for _, event in told:
        by_type.setdefault(event["type"], []).append(event["data"])
    assert sorted(data["reason"] for data in by_type["session.ended"]) == [
        "cancelled",
        "session_timeout",
        "terminated",
    ]
    assert [data["reason"] for data in by_type["position.cancelled"]] == ["cancelled", "flushed", "flushed"]
    assert by_type["queue.updated"][1]["changes"] == {
        "status": {"from": "paused", "to": "active"},
        "admission_rate": {"from": 10.0, "to": 5.0},
    }
    assert [(data["position"], data["priority"]) for data in by_type["position.enqueued"]][-1] == (1, 2)


def test_concerts_users_are_told_of_as_well(nats_server: NatsServer, tmp_path: Path) -> None:
    with (
        running_server_process(tmp_path / "data", nats_url=nats_server.url) as server,
        server.site() as site,
    ):
        queue_id = site.make_queue(id="concert-7")
        body = {"userId": 5, "concertId": 7}
        for _ in range(2):
            assert site.call("POST", "/waiting-queue/join", json=body).status_code == 200
        eventually(
            lambda: {"position.enqueued", "session.started"} <= set(types_of(nats_server.stored(), queue_id)),
            "the user is in",
        )
        assert Counter(types_of(nats_server.stored(), queue_id))["position.enqueued"] == 1


def test_of_two_servers_on_one_store_each_person_is_told_of_exactly_once(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    people = 150
    with ExitStack() as stack:
        engine = stack.enter_context(running_engine("valkey", tmp_path))
        servers = [
            stack.enter_context(
                running_server_process(
                    tmp_path / name,
                    store_url=engine.url,
                    nats_url=nats_server.url,
                    event_source=name,
                    admission_interval="0.03",
                )
            )
            for name in ("one", "other")
        ]
        sites = [stack.enter_context(server.site()) for server in servers]
        queue_id = sites[0].make_queue(admission_rate=60, heartbeat_timeout_seconds=600)
        turns = cycle(sites)
        joined = [next(turns).join(queue_id).json() for _ in range(people)]
        for join in joined[-10:]:
            sites[1].admitted(queue_id, join["token"])
        for server in servers:
            server.send(signal.SIGTERM)
            assert server.process.wait(30) == 0
    told = nats_server.stored()
    everybody = sorted(join["position_id"] for join in joined)
    for kind in (EventType.POSITION_ENQUEUED, EventType.POSITION_ADMITTED, EventType.SESSION_STARTED):
        assert sorted(positions_of(told, kind)) == everybody
    sources = {event["source"] for _, event in told if event["type"] == EventType.POSITION_ADMITTED}
    assert sources == {"one", "other"}, "both let people in, or this says nothing"


def test_when_nats_is_killed_and_comes_back_nothing_is_lost_and_nothing_comes_twice(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    with (
        running_server_process(tmp_path / "data", nats_url=nats_server.url) as server,
        server.site() as site,
    ):
        wait_until_published(site)
        queue_id = site.make_queue(admission_rate=1000, heartbeat_timeout_seconds=600)
        joined: list[str] = []

        def join(count: int) -> None:
            joined.extend(site.join(queue_id).json()["position_id"] for _ in range(count))

        for _ in range(2):
            join(40)
            # Whatever is on its way now has been stored or not, and has been acknowledged or not.
            nats_server.kill()
            join(40)
            eventually(lambda: nats_of(site) == "unhealthy", "the loss is seen")
            assert site.http.get("/health").status_code == 200
            assert site.http.get("/health").json()["status"] == "healthy"
            join(40)
            nats_server.start()
            wait_until_published(site)
        join(20)
        server.send(signal.SIGTERM)
        assert server.process.wait(30) == 0
    told = nats_server.stored()
    ids = [event["id"] for _, event in told]
    assert len(ids) == len(set(ids))
    assert positions_of(told, EventType.POSITION_ENQUEUED) == joined, "in order, published again or not"
    assert set(positions_of(told, EventType.POSITION_ADMITTED)) <= set(joined)


def test_while_nats_hangs_joins_are_as_quick_as_ever_and_what_is_too_much_is_dropped_and_counted(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    buffer = 60
    settings = {"nats_url": nats_server.url, "event_buffer": str(buffer)}
    with running_server_process(tmp_path / "data", **settings) as server, server.site() as site:
        wait_until_published(site)
        queue_id = site.make_queue(status="paused", heartbeat_timeout_seconds=600)
        eventually(lambda: len(nats_server.stored()) == 1, "the queue is told of")
        nats_server.freeze()
        took_s: list[float] = []
        joined: list[str] = []
        for _ in range(3 * buffer):
            began = time.monotonic()
            joined.append(site.join(queue_id).json()["position_id"])
            took_s.append(time.monotonic() - began)
        # A join that waited for NATS would wait for its acknowledgement, which takes 5 s to be given up.
        assert max(took_s) < 2
        assert server.log.count("events are dropped") == 1
        counted = site.http.get("/metrics").text
        assert f'wr_events_dropped_total{{receiver="nats"}} {2 * buffer}.0\n' in counted
        assert f'wr_events_waiting{{receiver="nats"}} {buffer}.0\n' in counted
        nats_server.thaw()
        wait_until_published(site)
        told = eventually(
            lambda: len(found := nats_server.stored()) >= 1 + buffer and found, "what was kept is told"
        )
        # Who came first is kept, so that there is no hole in what is told.
        assert positions_of(told, EventType.POSITION_ENQUEUED) == joined[:buffer]
        later = site.join(queue_id).json()["position_id"]
        eventually(
            lambda: positions_of(nats_server.stored(), EventType.POSITION_ENQUEUED)[-1] == later,
            "there is room again",
        )


def test_a_start_does_not_wait_for_nats_and_what_happened_before_it_came_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "nats"
    folder.mkdir()
    nats = NatsServer(folder)
    try:
        with running_server_process(tmp_path / "data", nats_url=nats.url) as server, server.site() as site:
            queue_id = site.make_queue()
            assert nats_of(site) == "unhealthy"
            assert site.http.get("/health").json()["status"] == "healthy"
            nats.start()
            eventually(lambda: "queue.created" in types_of(nats.stored(), queue_id), "it is told")
            assert PASSWORD not in server.log + server.output.read_text()
    finally:
        nats.kill()


def test_a_server_that_is_stopped_tells_what_it_still_knows(nats_server: NatsServer, tmp_path: Path) -> None:
    with (
        running_server_process(tmp_path / "data", nats_url=nats_server.url) as server,
        server.site() as site,
    ):
        wait_until_published(site)
        queue_id = site.make_queue(status="paused")
        nats_server.freeze()
        joined = [site.join(queue_id).json()["position_id"] for _ in range(20)]
        server.send(signal.SIGTERM)
        # All else has ended by now.
        eventually(lambda: "waiting until NATS has acknowledged" in server.log, "it waits for NATS alone")
        nats_server.thaw()
        assert server.process.wait(30) == 0
        assert "events are lost" not in server.log
    assert positions_of(nats_server.stored(), EventType.POSITION_ENQUEUED) == joined


def test_a_server_that_is_stopped_says_how_many_events_nats_never_took(tmp_path: Path) -> None:
    nats = NatsServer(tmp_path)
    settings = {"nats_url": nats.url, "grace": "0.3"}
    with running_server_process(tmp_path / "data", **settings) as server, server.site() as site:
        queue_id = site.make_queue(status="paused")
        for _ in range(4):
            site.join(queue_id)
        server.send(signal.SIGTERM)
        assert server.process.wait(30) == 0
        assert re.search(r"events are lost.* count=5\b", server.log)


def test_a_stream_that_is_there_already_is_left_as_it_is(nats_server: NatsServer, tmp_path: Path) -> None:
    nats_server.make_stream(name="WAITINGROOM", subjects=["waitingroom.>"], max_msgs=7, description="ours")
    before = nats_server.stream_config()
    with (
        running_server_process(tmp_path / "data", nats_url=nats_server.url) as server,
        server.site() as site,
    ):
        queue_id = site.make_queue()
        eventually(lambda: types_of(nats_server.stored(), queue_id), "it is told")
    assert nats_server.stream_config() == before


def test_events_go_to_a_stream_of_another_name_that_takes_their_subjects(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    nats_server.make_stream(name="OURS", subjects=["waitingroom.queue.>", "waitingroom.position.>"])
    with (
        running_server_process(tmp_path / "data", nats_url=nats_server.url) as server,
        server.site() as site,
    ):
        wait_until_published(site)
        site.make_queue()
        eventually(lambda: "operator's own stream" in server.log, "it says so")
        assert nats_of(site) == "healthy"


def test_the_stream_that_is_made_keeps_events_for_a_week_and_knows_repeats_for_two_minutes(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    with (
        running_server_process(tmp_path / "data", nats_url=nats_server.url) as server,
        server.site() as site,
    ):
        wait_until_published(site)
    config = nats_server.stream_config()
    assert config.subjects == ["waitingroom.>"]
    assert (config.max_age, config.duplicate_window) == (7 * 24 * 3600, 120)


def test_a_password_that_nats_refuses_is_not_logged(nats_server: NatsServer, tmp_path: Path) -> None:
    url = nats_server.url.replace(PASSWORD, "wrong-secret")
    with running_server_process(tmp_path / "data", nats_url=url) as server, server.site() as site:
        eventually(lambda: "NATS does not take events" in server.log, "it says so")
        assert nats_of(site) == "unhealthy"
        assert "wrong-secret" not in server.log


def test_a_url_that_is_none_ends_the_start_and_is_not_repeated() -> None:
    command = serve_command(nats_url="http://wr:wrong-secret@127.0.0.1:1")
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode != 0
    assert "--nats-url: not a URL such as nats://host:4222" in ended.stderr
    assert "wrong-secret" not in ended.stderr + ended.stdout


def test_nothing_of_nats_is_loaded_unless_it_is_asked_for() -> None:
    code = "import sys, wr.server.lifecycle; sys.exit('nats' in sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], check=False, timeout=60)
    assert ended.returncode == 0


def test_without_nats_it_is_disabled(tmp_path: Path) -> None:
    with starting_server(tmp_path) as server:
        assert isinstance(server, ServerProcess)
        with server.site() as site:
            assert nats_of(site) == "disabled"
