"""A store that comes back without what it acknowledged: queues come back from servers, places from tokens."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from tests.support import plain_http
from tests.support.forgetful_store import ForgetfulStore, forgetful_store
from tests.support.processes import eventually, running_server_process
from tests.support.scrape import Scrape
from tests.support.site import BASE, Site, error_code, new_address

INTERVAL_S = 1
PASSES = 12
"""Of three servers every 50 ms: then each has run some."""
QUEUE = {
    "heartbeat_interval_seconds": INTERVAL_S,
    "heartbeat_timeout_seconds": 30,
    "session_timeout_seconds": 120,
}


@contextmanager
def servers(folder: Path, store: ForgetfulStore, count: int) -> Iterator[Sequence[Site]]:
    """Run so many servers on one store."""
    if count == 0:
        yield []
        return
    with (
        running_server_process(
            folder / f"server-{count}", store_url=store.url, admission_interval="0.05"
        ) as server,
        server.site() as site,
        servers(folder, store, count - 1) as others,
    ):
        yield [site, *others]


def ask_until_it_serves(ask: Any) -> httpx.Response:
    """Ask again and again; the only answers beside the one that is wanted say to try later."""

    def served() -> httpx.Response | None:
        response: httpx.Response = ask()
        if response.status_code == 503:
            assert error_code(response) == "SERVICE_UNAVAILABLE", response.text
            assert int(response.headers["retry-after"]) >= 1
            return None
        return response

    return eventually(served, "the room serves again")


def heartbeat(site: Site, queue_id: str, token: str) -> dict[str, Any]:
    response = ask_until_it_serves(lambda: site.heartbeat(queue_id, token))
    assert response.status_code == 200, response.text
    return dict(response.json())


def wait_for_passes(store: ForgetfulStore, *queue_ids: str) -> None:
    """Wait until every server has run passes over these queues."""
    with store.engine.client() as client:
        for queue_id in queue_ids:
            before = int(client.hget(f"wr:{{{queue_id}}}:bucket", "passes") or 0)
            eventually(
                lambda key=f"wr:{{{queue_id}}}:bucket", before=before: (
                    int(client.hget(key, "passes") or 0) > before + PASSES
                ),
                "each server has run passes",
            )


def forget(store: ForgetfulStore, *queue_ids: str) -> None:
    """Have the store forget, once every server has run passes over these queues: what a server has never seen
    it cannot tell again."""
    wait_for_passes(store, *queue_ids)
    store.forget()


def stats(site: Site, queue_id: str) -> dict[str, Any]:
    response = ask_until_it_serves(lambda: site.admin("GET", f"/queues/{queue_id}/stats"))
    assert response.status_code == 200, response.text
    return dict(response.json())


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ForgetfulStore]:
    with forgetful_store(tmp_path / "store") as running:
        yield running


@pytest.mark.parametrize("count", [1, 2, 3])
def test_when_all_is_gone_everyone_comes_back_in_the_old_order_and_is_let_in_by_it(
    tmp_path: Path, store: ForgetfulStore, count: int
) -> None:
    with servers(tmp_path, store, count) as sites:
        one, other = sites[0], sites[-1]
        queue_id = one.make_queue(status="paused", admission_rate=5, max_active_users=1000, **QUEUE)
        tokens = [sites[number % count].join(queue_id).json()["token"] for number in range(30)]
        assert heartbeat(one, queue_id, tokens[-1])["position"] == 30
        forget(store, queue_id)
        # From the back: whoever comes first gets no better place for it.
        for token in reversed(tokens):
            heartbeat(other, queue_id, token)
        assert [heartbeat(one, queue_id, token)["position"] for token in tokens] == list(range(1, 31))
        late = ask_until_it_serves(lambda: one.join(queue_id))
        assert late.json()["position"] == 31
        one.admin("PATCH", f"/queues/{queue_id}", {"status": "active"})

        def first_are_in() -> list[bool] | None:
            are_in = [one.status(queue_id, token).json()["admitted"] for token in reversed(tokens)]
            assert are_in == sorted(are_in), "somebody was let in before one that stands further ahead"
            return are_in if are_in[-8] else None

        eventually(first_are_in, "the first are in")


def test_nobody_is_let_in_until_the_line_had_one_heartbeat_interval_to_form_again(
    tmp_path: Path, store: ForgetfulStore
) -> None:
    with servers(tmp_path, store, 1) as (site,):
        queue_id = site.make_queue(admission_rate=1, max_active_users=1, **QUEUE)
        tokens = [site.join(queue_id).json()["token"] for _ in range(5)]
        site.admitted(queue_id, tokens[0])
        forget(store, queue_id)
        eventually(lambda: heartbeat(site, queue_id, tokens[-1]).get("recovering") is True, "it says so")
        for token in tokens[1:]:
            heartbeat(site, queue_id, token)
        seen = eventually(
            lambda: "recovering" not in (now := heartbeat(site, queue_id, tokens[-1])) and now, "it goes on"
        )
        assert seen["position"] >= 3, "the first was in before, and gets in no second time"


def test_sessions_come_back_from_their_tokens_and_count_against_the_room(
    tmp_path: Path, store: ForgetfulStore
) -> None:
    with servers(tmp_path, store, 2) as (one, other):
        queue_id = one.make_queue(admission_rate=100, max_active_users=3, **QUEUE)
        tokens = [one.join(queue_id).json()["token"] for _ in range(6)]
        entries = [one.admitted(queue_id, token) for token in tokens[:3]]
        assert [one.status(queue_id, token).json()["admitted"] for token in tokens[3:]] == [False] * 3
        forget(store, queue_id)
        for token in tokens[3:]:
            heartbeat(other, queue_id, token)
        for entry in entries:
            session = jwt.decode(entry["session_token"], options={"verify_signature": False})
            path = f"/sessions/{session['sub']}"
            told = ask_until_it_serves(
                lambda path=path, entry=entry: other.call("GET", path, entry["session_token"])
            )
            assert told.status_code == 200, told.text
            assert told.json()["status"] == "active"
        eventually(lambda: "recovering" not in heartbeat(one, queue_id, tokens[-1]), "it goes on")
        assert stats(one, queue_id)["current_active"] == 3
        assert [heartbeat(one, queue_id, token)["position"] for token in tokens[3:]] == [1, 2, 3]


def test_whoever_was_let_in_gets_in_no_second_time_with_the_token_of_the_place(
    tmp_path: Path, store: ForgetfulStore
) -> None:
    with servers(tmp_path, store, 2) as (one, other):
        queue_id = one.make_queue(admission_rate=100, max_active_users=3, **QUEUE)
        tokens = [one.join(queue_id).json()["token"] for _ in range(5)]
        store.take_snapshot()  # In which some of them may still wait.
        began = [
            jwt.decode(one.admitted(queue_id, token)["session_token"], options={"verify_signature": False})[
                "iat"
            ]
            for token in tokens[:3]
        ]
        forget(store, queue_id)
        for token, began_s in zip(tokens[:3], began, strict=True):
            told = ask_until_it_serves(lambda token=token: other.status(queue_id, token)).json()
            eventually(
                lambda token=token: other.status(queue_id, token).json().get("admitted"), "it is the session"
            )
            told = other.status(queue_id, token).json()
            session = jwt.decode(told["session_token"], options={"verify_signature": False})
            assert session["iat"] == began_s, "it is the session that the visitor had"


def test_from_an_older_snapshot_those_come_back_that_joined_after_it(
    tmp_path: Path, store: ForgetfulStore
) -> None:
    with servers(tmp_path, store, 2) as (one, other):
        queue_id = one.make_queue(status="paused", **QUEUE)
        early = [one.join(queue_id).json()["token"] for _ in range(5)]
        store.take_snapshot()
        late = [other.join(queue_id).json()["token"] for _ in range(5)]
        changed = one.admin("PATCH", f"/queues/{queue_id}", {"name": "Another name"})
        assert changed.status_code == 200, changed.text
        forget(store, queue_id)
        for token in reversed([*early, *late]):
            heartbeat(one, queue_id, token)
        places = [heartbeat(other, queue_id, token)["position"] for token in [*early, *late]]
        assert places == list(range(1, 11))
        eventually(
            lambda: one.admin("GET", f"/queues/{queue_id}").json()["name"] == "Another name",
            "it has the name",
        )


def test_a_server_that_ended_with_its_store_tells_it_again_what_its_data_folder_keeps(
    tmp_path: Path, store: ForgetfulStore
) -> None:
    with servers(tmp_path, store, 1) as (site,):
        queue_id = site.make_queue(status="paused", **QUEUE)
        tokens = [site.join(queue_id).json()["token"] for _ in range(5)]
        eventually((tmp_path / "server-1" / "recovery.json").exists, "the file is there")
    store.forget()
    with servers(tmp_path, store, 1) as (site,):
        for token in reversed(tokens):
            heartbeat(site, queue_id, token)
        assert [heartbeat(site, queue_id, token)["position"] for token in tokens] == [1, 2, 3, 4, 5]


def test_who_left_after_the_store_forgot_does_not_come_back(tmp_path: Path, store: ForgetfulStore) -> None:
    with servers(tmp_path, store, 1) as (site,):
        queue_id = site.make_queue(status="paused", **QUEUE)
        tokens = [site.join(queue_id).json()["token"] for _ in range(3)]
        forget(store, queue_id)
        for token in tokens:
            heartbeat(site, queue_id, token)
        assert site.call("DELETE", f"/queues/{queue_id}/position", tokens[0]).status_code == 200
        assert site.status(queue_id, tokens[0]).status_code == 404
        assert heartbeat(site, queue_id, tokens[1])["position"] == 1


def test_a_queue_that_was_deleted_is_not_brought_back(tmp_path: Path, store: ForgetfulStore) -> None:
    with servers(tmp_path, store, 2) as (one, other):
        kept, deleted = one.make_queue(status="paused", **QUEUE), one.make_queue(status="paused", **QUEUE)
        token = other.join(deleted).json()["token"]
        kept_token = other.join(kept).json()["token"]
        assert one.admin("DELETE", f"/queues/{deleted}").status_code == 200
        eventually(lambda: other.status(deleted, token).status_code == 404, "the other server knows")
        forget(store, kept)
        heartbeat(other, kept, kept_token)
        for site in (one, other):
            assert ask_until_it_serves(lambda site=site: site.status(deleted, token)).status_code == 404


def test_whoever_was_blocked_and_passes_that_were_taken_back_stay_so(
    tmp_path: Path, store: ForgetfulStore
) -> None:
    with servers(tmp_path, store, 1) as (site,):
        queue_id = site.make_queue(status="paused", **QUEUE)
        address = new_address()
        blocked = site.admin("POST", f"/queues/{queue_id}/blocks", {"address": address, "block_for": 3600})
        assert blocked.status_code == 201, blocked.text
        made = site.admin("POST", f"/queues/{queue_id}/passes", {"subject": "ada"})
        assert made.status_code == 201, made.text
        given = made.json()["passes"][0]["pass"]
        taken_back = site.admin("POST", f"/queues/{queue_id}/passes/revoke", {"pass": given})
        assert taken_back.status_code == 200, taken_back.text
        kept = tmp_path / "server-1" / "recovery.json"
        eventually(
            lambda: kept.exists() and '"blocks":[{' in (text := kept.read_text()) and '"revoked":[{' in text,
            "they are kept",
        )
        forget(store, queue_id)
        again = ask_until_it_serves(lambda: site.join(queue_id, address=address))
        assert (again.status_code, error_code(again)) == (403, "BLOCKED")
        refused = site.join(queue_id, headers={"X-WR-Pass": given})
        assert (refused.status_code, error_code(refused)) == (403, "PASS_INVALID")


def test_an_open_stream_goes_on_in_its_old_place(tmp_path: Path, store: ForgetfulStore) -> None:
    with servers(tmp_path, store, 1) as (site,):
        queue_id = site.make_queue(status="paused", **QUEUE)
        first = site.join(queue_id).json()["token"]
        streamed = site.join(queue_id).json()["token"]
        headers = {"Authorization": f"Bearer {streamed}"}
        with (
            plain_http.client(base_url=site.url, timeout=20) as client,
            client.stream("GET", f"{BASE}/queues/{queue_id}/events", headers=headers) as stream,
        ):
            lines = stream.iter_lines()
            opened = next(line for line in lines if line.startswith("data:"))
            assert '"position":2' in opened
            forget(store, queue_id)
            heartbeat(site, queue_id, first)
            again = next(line for line in lines if line.startswith("data:") and '"recovering":true' in line)
            assert '"position":2' in again or '"position":1' in again
            site.call("DELETE", f"/queues/{queue_id}/position", first)
            last = next(line for line in lines if line.startswith("data:") and '"position":1' in line)
            assert '"queue_length":1' in last


def test_health_metrics_and_the_log_say_what_was_lost_and_what_is_back(
    tmp_path: Path, store: ForgetfulStore
) -> None:
    with (
        running_server_process(tmp_path / "one", store_url=store.url, admission_interval="0.05") as server,
        server.site() as site,
    ):
        queue_id = site.make_queue(status="paused", **QUEUE)
        tokens = [site.join(queue_id).json()["token"] for _ in range(4)]
        forget(store, queue_id)
        for token in tokens[:3]:
            heartbeat(site, queue_id, token)
        eventually(lambda: site.http.get("/health").json().get("recovering_queues") == 1, "health says so")
        told = Scrape(site.http.get("/metrics").text)
        assert told.value("wr_store_forgot_total") == 1
        assert told.value("wr_queue_recovering", queue=queue_id) == 1
        assert told.value("wr_queue_acknowledged", queue=queue_id) == 4
        eventually(
            lambda: Scrape(site.http.get("/metrics").text).value("wr_queue_restored", queue=queue_id) == 3,
            "three are back",
        )
        eventually(lambda: "recovering_queues" not in site.http.get("/health").json(), "it is over")
        assert "the store has lost acknowledged data" in server.log


def test_a_queue_whose_machine_alone_has_forgotten_comes_back_too(
    tmp_path: Path, store: ForgetfulStore
) -> None:
    with servers(tmp_path, store, 2) as (one, other):
        queue_id = one.make_queue(status="paused", **QUEUE)
        tokens = [one.join(queue_id).json()["token"] for _ in range(3)]
        heartbeat(other, queue_id, tokens[0])
        wait_for_passes(store, queue_id)
        with store.engine.client() as client:
            client.delete(*client.keys(f"wr:{{{queue_id}}}:*"))
        for token in reversed(tokens):
            heartbeat(other, queue_id, token)
        assert [heartbeat(one, queue_id, token)["position"] for token in tokens] == [1, 2, 3]


def test_to_join_again_and_to_leave_find_the_old_place_and_the_old_session(
    tmp_path: Path, store: ForgetfulStore
) -> None:
    with servers(tmp_path, store, 1) as (site,):
        queue_id = site.make_queue(admission_rate=100, max_active_users=1, **QUEUE)
        tokens = [site.join(queue_id).json()["token"] for _ in range(4)]
        site.admitted(queue_id, tokens[0])
        forget(store, queue_id)
        again = ask_until_it_serves(lambda: site.join(queue_id, token=tokens[3]))
        assert (again.status_code, again.json()["position"]) == (200, 1)
        again = site.join(queue_id, token=tokens[1])
        assert (again.status_code, again.json()["position"]) == (200, 1)

        def has_left() -> bool:
            left = site.call("DELETE", f"/queues/{queue_id}/position", tokens[2])
            assert left.status_code == 200, left.text
            return True

        assert has_left()
        eventually(
            lambda: site.call("DELETE", f"/queues/{queue_id}/position", tokens[0]).status_code == 200,
            "the visitor that was let in leaves",
        )
        assert stats(site, queue_id)["current_waiting"] == 2
