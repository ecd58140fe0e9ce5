"""The access log of a real server: a line for each request, and nothing in it that opens a door."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import ADMIN_KEY, ServerProcess, running_server_process
from tests.support.site import BASE, Site


@pytest.fixture(params=["on", "off"])
def logging_server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ServerProcess]:
    """A server that logs each request as JSON, with the fast lane and without."""
    settings = {
        "fast_lane": request.param,
        "access_log": "on",
        "log_format": "json",
        "limit_status": "1000/60",
    }
    with running_server_process(tmp_path, **settings) as server:
        yield server


def requests(server: ServerProcess) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in server.errors.read_text().splitlines()]
    return [line for line in lines if line["event"] == "request"]


def test_each_request_is_a_line_with_route_status_time_id_and_client(logging_server: ServerProcess) -> None:
    with logging_server.site() as site:
        queue_id = site.make_queue(status="paused")
        joined = site.join(queue_id, address="203.0.113.7", headers={"X-Request-Id": "shop-1"})
        lost = site.http.get("/nowhere")
    line, last = requests(logging_server)[-2:]
    assert line.pop("ms") > 0
    assert line.pop("timestamp")
    assert line == {
        "event": "request",
        "level": "info",
        "method": "POST",
        "route": f"{BASE}/queues/{{queue_id}}/enqueue",
        "status": joined.status_code,
        "request_id": "shop-1",
        "client": "203.0.113.7",
    }
    assert (last["route"], last["status"]) == ("none", 404)
    assert last["request_id"] == lost.headers["X-Request-Id"]


def send_secrets(site: Site) -> list[str]:
    """Use every secret in every place that takes one; returns them."""
    queue_id = site.make_queue(admission_rate=100)
    token = site.join(queue_id).json()["token"]
    session_token = site.admitted(queue_id, token)["session_token"]
    guess = "guessed-secret-0123456789"
    invited = site.admin("POST", f"/queues/{queue_id}/passes", {}).json()["passes"][0]["pass"]
    for each in (invited, guess):
        site.http.get(f"/wait/{queue_id}?pass={each}")
        site.http.get(f"/wait/{queue_id}?plain=1&pass={each}")
        site.join(queue_id, headers={"X-WR-Pass": each})
        site.join(queue_id, {"pass": each})
    for each in (token, session_token, guess):
        site.call("GET", f"/queues/{queue_id}/events?access_token={each}")
        site.call("GET", f"/queues/{queue_id}/status?token={each}", each)
        site.http.get(f"/{each}", headers={"Cookie": f"session={each}"})
        site.http.post(f"{BASE}/queues/{queue_id}/heartbeat", content=each, headers={"Authorization": each})
        site.admin("GET", f"/queues?key={each}", headers={"X-Admin-Key": each})
    return [token, session_token, invited, guess, ADMIN_KEY, queue_id]


def test_neither_tokens_nor_keys_nor_paths_nor_queries_are_in_it(logging_server: ServerProcess) -> None:
    with logging_server.site() as site:
        secrets = send_secrets(site)
    assert len(requests(logging_server)) >= 15
    text = logging_server.errors.read_text()
    for secret in secrets:
        assert secret not in text


def test_other_lines_of_a_request_bear_its_id_too(logging_server: ServerProcess) -> None:
    with logging_server.site() as site:
        logging_server.freeze_store()
        try:
            answer = site.http.get(f"{BASE}/queues/none-such/status")
        finally:
            logging_server.thaw_store()
    (line,) = [
        found
        for found in map(json.loads, logging_server.errors.read_text().splitlines())
        if found["event"].startswith("a refused request could not be counted")
    ]
    assert line["request_id"] == answer.headers["X-Request-Id"]


def test_without_the_setting_no_request_is_logged(tmp_path: Path) -> None:
    with running_server_process(tmp_path, log_format="json") as server:
        with server.site() as site:
            assert site.http.get("/health").status_code == 200
        assert requests(server) == []
