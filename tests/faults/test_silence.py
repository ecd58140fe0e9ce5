"""Outages longer than the heartbeat timeout: those who could not be heard keep their places and sessions."""

import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.engines import ENGINES, MissingEngine, running_engine
from tests.support.processes import ServerProcess, eventually, running_server_process
from tests.support.site import Site

TIMEOUT_S = 3
RHYTHM = {"heartbeat_interval_seconds": 1, "heartbeat_timeout_seconds": TIMEOUT_S}


def line_of(site: Site, **settings: object) -> tuple[str, list[str]]:
    queue_id = site.make_queue(status="paused", **RHYTHM, **settings)
    return queue_id, [site.join(queue_id).json()["token"] for _ in range(5)]


def check_nobody_lost_by_the_outage(site: Site, queue_id: str, tokens: list[str]) -> None:
    """Everybody is where they were; who stays silent from now on loses the place, and nobody else."""
    answers = [site.status(queue_id, token) for token in tokens]
    assert [answer.json().get("position") for answer in answers] == [1, 2, 3, 4, 5]

    def is_dropped() -> bool:
        assert [site.heartbeat(queue_id, token).status_code for token in tokens[1:]] == [200] * 4
        return site.status(queue_id, tokens[0]).status_code == 410

    eventually(is_dropped, "the silent one is dropped")
    statuses = [site.status(queue_id, token).status_code for token in tokens]
    assert statuses == [410, 200, 200, 200, 200]


def test_a_line_whose_server_was_killed_for_longer_than_the_timeout_is_there_when_it_is_back(
    tmp_path: Path,
) -> None:
    with running_server_process(tmp_path) as server, server.site() as site:
        queue_id, tokens = line_of(site)
        died = time.monotonic()
    eventually(lambda: time.monotonic() > died + TIMEOUT_S + 1, "the timeout is over")
    with running_server_process(tmp_path) as server, server.site() as site:
        check_nobody_lost_by_the_outage(site, queue_id, tokens)
        assert "visitors could not be heard" in server.log


def test_a_line_whose_store_hung_for_longer_than_the_timeout_is_there_when_it_answers(
    tmp_path: Path,
) -> None:
    with running_server_process(tmp_path) as server, server.site() as site:
        queue_id, tokens = line_of(site)
        lobby = site.make_queue(session_timeout_seconds=4)
        visitor = site.join(lobby).json()["token"]
        before = site.admitted(lobby, visitor)
        froze = time.monotonic()
        server.freeze_store()
        try:
            eventually(lambda: time.monotonic() > froze + TIMEOUT_S + 2, "the timeout is over")
        finally:
            server.thaw_store()
        eventually(lambda: "visitors could not be heard" in server.log, "a pass has seen the gap")
        # The session would have been over: it goes on as if the store had not hung.
        after = site.wait_for(
            lambda: site.status(lobby, visitor), lambda answer: answer.status_code == 200
        ).json()
        assert after["session_token"] != before["session_token"]
        check_nobody_lost_by_the_outage(site, queue_id, tokens)
        metrics = site.http.get("/metrics").text
        assert f'wr_queue_gaps_total{{queue="{queue_id}"}} 1' in metrics


@pytest.mark.parametrize("engine", [name for name in ENGINES if "general" not in name])
def test_of_two_servers_that_were_both_killed_the_first_that_is_back_drops_nobody(
    tmp_path: Path, engine: str
) -> None:
    folder = tmp_path / "store"
    folder.mkdir()
    with ExitStack() as stack:
        try:
            url = stack.enter_context(running_engine(engine, folder)).url
        except MissingEngine as error:
            pytest.skip(str(error))
        settings = {"store_url": url, "store_prefix": tmp_path.name}

        def start(name: str, stack: ExitStack) -> tuple[ServerProcess, Site]:
            server = stack.enter_context(running_server_process(tmp_path / name, **settings))
            return server, stack.enter_context(server.site())

        with ExitStack() as first_life:
            _, site = start("one", first_life)
            start("other", first_life)
            queue_id, tokens = line_of(site)
        died = time.monotonic()
        eventually(lambda: time.monotonic() > died + TIMEOUT_S + 1, "the timeout is over")
        _, one = start("one", stack)
        check_nobody_lost_by_the_outage(one, queue_id, tokens)


def test_a_shortened_timeout_costs_nobody_who_sends_heartbeats_and_its_price_is_told_before(
    tmp_path: Path,
) -> None:
    with running_server_process(tmp_path) as server, server.site() as site:
        queue_id = site.make_queue(status="paused", heartbeat_interval_seconds=3, heartbeat_timeout_seconds=6)
        tokens = [site.join(queue_id).json()["token"] for _ in range(3)]
        path = f"/queues/{queue_id}/silent?timeout_seconds=2"
        site.wait_for(lambda: site.admin("GET", path), lambda answer: answer.json()["silent"] == 3)
        changed = {"heartbeat_interval_seconds": 1, "heartbeat_timeout_seconds": 2}
        assert site.admin("PATCH", f"/queues/{queue_id}", changed).status_code == 200
        shortened = time.monotonic()
        # The old rhythm: nobody has heard of the new one yet.
        eventually(lambda: time.monotonic() > shortened + 1, "passes have run")
        answers = [site.heartbeat(queue_id, token) for token in tokens]
        assert [answer.status_code for answer in answers] == [200] * 3
        assert site.admin("GET", path).json() == {
            "queue_id": queue_id, "timeout_seconds": 2, "waiting": 3, "silent": 0,
        }  # fmt: skip
        # From now on the new timeout holds for them.
        began = time.monotonic()
        site.wait_for(
            lambda: site.admin("GET", f"/queues/{queue_id}/stats"),
            lambda answer: answer.json()["current_waiting"] == 0,
        )
        assert time.monotonic() - began < 4
