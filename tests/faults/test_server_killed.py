"""`kill -9` of the server: its embedded store is left behind, and the next server takes over."""

from datetime import datetime
from pathlib import Path

import pytest

from tests.support.crowd import Crowd, coming, until
from tests.support.processes import ServerProcess, eventually, running_server_process, starting_server
from tests.support.site import Site


@pytest.mark.parametrize("store_too", [False, True], ids=["the-server", "the-server-and-its-store"])
async def test_nobody_acknowledged_is_lost_and_order_is_kept_after_a_kill_under_load(
    tmp_path: Path, store_too: bool
) -> None:
    with running_server_process(tmp_path, store_fsync="always") as first:
        with first.site() as site:
            queue_id = site.make_queue(status="paused", heartbeat_timeout_seconds=600)
        crowd = Crowd(first.url, queue_id)
        async with coming(crowd):
            await until(lambda: len(crowd.tokens) >= 60, "a crowd has joined")
            if store_too:
                first.kill_store()
            first.kill()
    assert crowd.heartbeats > 0

    with running_server_process(tmp_path) as second, second.site() as site:
        crowd.check_everyone_stands_where_they_stood(site)
        last = site.join(queue_id)
        assert last.status_code == 201
        assert last.json()["position"] > max(crowd.tokens)


def test_nobody_is_let_in_twice_or_out_of_turn_across_a_kill(tmp_path: Path) -> None:
    people = 120
    with running_server_process(tmp_path) as first, first.site() as site:
        queue_id = site.make_queue(
            status="paused", admission_rate=50, max_active_users=people, heartbeat_timeout_seconds=600
        )
        tokens = [site.join(queue_id).json()["token"] for _ in range(people)]
        assert site.admin("PATCH", f"/queues/{queue_id}", {"status": "active"}).status_code == 200
        eventually(lambda: active(site, queue_id) >= people / 3, "a third is in")
        before = [
            session for token in tokens[: people // 3] if (session := session_of(site, queue_id, token))
        ]
        first.kill()

    with running_server_process(tmp_path) as second, second.site() as site:
        eventually(lambda: active(site, queue_id) == people, "everyone is in")
        sessions = [session_of(site, queue_id, token) for token in tokens]
        stats = site.admin("GET", f"/queues/{queue_id}/stats").json()
    assert None not in sessions
    assert len({session_id for session_id, _ in sessions}) == people  # type: ignore[misc]
    ends = [end for _, end in sessions]  # type: ignore[misc]
    assert ends == sorted(ends), "somebody was let in before those ahead"
    assert [who for who, _ in sessions[: len(before)]] == [who for who, _ in before]  # type: ignore[misc]
    # A restart of more than two seconds is an outage: all sessions end later by it. One that was begun again
    # would end later than the others.
    moved = [
        (datetime.fromisoformat(after) - datetime.fromisoformat(then)).total_seconds()
        for (_, after), (_, then) in zip(sessions, before, strict=False)  # type: ignore[misc]
    ]
    assert min(moved) >= 0
    assert max(moved) - min(moved) <= 1, "a session that had begun was begun again"
    assert stats["current_waiting"] == 0


def active(site: Site, queue_id: str) -> int:
    return int(site.admin("GET", f"/queues/{queue_id}/stats").json()["current_active"])


def session_of(site: Site, queue_id: str, token: str) -> tuple[str, str] | None:
    """The session that a place has become: its id, and when it ends to the millisecond."""
    status = site.status(queue_id, token).json()
    if not status["admitted"]:
        return None
    return status["position_id"], status["session_expires_at"]


def test_the_store_of_a_killed_server_ends_by_itself(tmp_path: Path) -> None:
    with running_server_process(tmp_path) as server:
        assert server.store_pid
        server.kill()
        eventually(server.store_has_ended, "the store has ended")


def test_the_next_server_waits_until_the_store_left_behind_has_saved_and_ended(tmp_path: Path) -> None:
    with running_server_process(tmp_path) as first:
        with first.site() as site:
            queue_id = site.make_queue(status="paused")
            token = site.join(queue_id).json()["token"]
        left_behind = first.store_pid
        first.freeze_store()
        try:
            first.kill()
            with starting_server(tmp_path) as second:
                eventually(lambda: "asked to save and end" in second.log, "the store left behind is found")
                assert second.store_pid == left_behind, "a second store was started in the same folder"
                first.thaw_store()
                with second.site() as site:
                    assert second.store_pid != left_behind
                    assert site.status(queue_id, token).json()["position"] == 1
        finally:
            resume(first, left_behind)


def resume(server: ServerProcess, pid: int) -> None:
    if server.store_pid == pid:
        server.thaw_store()
