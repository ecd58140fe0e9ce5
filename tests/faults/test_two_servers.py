"""Two servers on one store are one waiting room: one rate, one room, one line, one set of keys and limits."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

import httpx
import jwt
import pytest

from tests.support.engines import running_engine
from tests.support.processes import ServerProcess, eventually, running_server_process, starting_server
from tests.support.site import Site, new_address

JOINS_PER_MINUTE = 10


@dataclass
class Pair:
    """Two servers on one store, as their clients see them."""

    one: Site
    other: Site
    folder: Path
    store_url: str

    def both(self) -> Iterator[Site]:
        """One, the other, one, the other, …"""
        return cycle((self.one, self.other))

    def joined(self, queue_id: str, people: int) -> list[str]:
        """Have people join, through one and the other in turn; their tokens, in the order of their places."""
        joins = [site.join(queue_id).json() for site in islice(self.both(), people)]
        assert [join["position"] for join in joins] == list(range(1, people + 1))
        return [join["token"] for join in joins]

    def active(self, queue_id: str) -> int:
        return int(self.other.admin("GET", f"/queues/{queue_id}/stats").json()["current_active"])

    def change(self, site: Site, queue_id: str, **settings: object) -> None:
        assert site.admin("PATCH", f"/queues/{queue_id}", settings).status_code == 200

    def wait_for_passes(self) -> None:
        """Wait until each server has made another admission pass: that is when it learns of a change."""
        lobby = self.one.make_queue(status="paused")
        token = self.one.join(lobby).json()["token"]
        for site, elsewhere, interval_s in ((self.one, self.other, 7), (self.other, self.one, 8)):
            assert site.heartbeat(lobby, token).status_code == 200
            self.change(elsewhere, lobby, heartbeat_interval_seconds=interval_s)
            site.wait_for(
                lambda ask=site: ask.heartbeat(lobby, token),
                lambda beat, now=interval_s: beat.json()["next_heartbeat_seconds"] == now,
            )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("two")


@pytest.fixture(scope="module")
def servers(folder: Path) -> Iterator[tuple[ServerProcess, ServerProcess]]:
    settings = {"limit_enqueue": f"{JOINS_PER_MINUTE}/60"}
    with (
        running_engine("valkey", folder) as engine,
        starting_server(folder / "one", store_url=engine.url, **settings) as one,
        starting_server(folder / "other", store_url=engine.url, **settings) as other,
    ):
        yield one, other


@pytest.fixture
def pair(servers: tuple[ServerProcess, ServerProcess], folder: Path) -> Iterator[Pair]:
    one, other = servers
    store_url = one.process.args[one.process.args.index("--store-url") + 1]  # type: ignore[index,union-attr]
    with one.site() as one_site, other.site() as other_site:
        yield Pair(one_site, other_site, folder, str(store_url))


def test_together_they_let_in_at_the_rate_of_the_queue_and_not_at_twice_the_rate(pair: Pair) -> None:
    rate, people, lasts_s = 40, 260, 3.0
    queue_id = pair.one.make_queue(
        status="paused", admission_rate=rate, max_active_users=people, heartbeat_timeout_seconds=600
    )
    pair.joined(queue_id, people)
    before = time.monotonic()
    pair.change(pair.one, queue_id, status="active")
    after = time.monotonic()

    def enough() -> tuple[int, float, float] | None:
        read_from = time.monotonic()
        active = pair.active(queue_id)
        now = time.monotonic()
        assert active <= rate * (now - before) + rate + 1, "more than rate x time and one second's burst"
        return (active, read_from - after, now - before) if now - before > lasts_s else None

    admitted, at_least_s, _ = eventually(enough, f"{lasts_s} s have passed")
    assert admitted < people, "the line must not run dry, or it says nothing about the rate"
    assert admitted >= rate * at_least_s * 0.9


def test_together_they_fill_the_room_once(pair: Pair) -> None:
    room, people = 15, 40
    queue_id = pair.one.make_queue(
        status="paused", admission_rate=1000, max_active_users=room, heartbeat_timeout_seconds=600
    )
    tokens = pair.joined(queue_id, people)
    pair.change(pair.other, queue_id, status="active")
    eventually(lambda: pair.active(queue_id) == room, "the room is full")
    pair.wait_for_passes()
    assert pair.active(queue_id) == room
    assert pair.one.call("DELETE", f"/queues/{queue_id}/position", tokens[0]).status_code == 200
    assert pair.other.admitted(queue_id, tokens[room])["admitted"]
    pair.wait_for_passes()
    assert pair.active(queue_id) == room
    assert pair.other.status(queue_id, tokens[room + 1]).json()["position"] == 1


def test_people_who_join_here_and_there_stand_in_one_line_and_are_let_in_in_its_order(pair: Pair) -> None:
    people = 30
    queue_id = pair.one.make_queue(status="paused", admission_rate=20, heartbeat_timeout_seconds=600)
    tokens = pair.joined(queue_id, people)
    pair.change(pair.one, queue_id, status="active")

    def all_are_in() -> bool:
        # From the back: whoever stands before somebody who is in must be in when asked after that.
        are_in = [
            site.status(queue_id, token).json()["admitted"]
            for site, token in zip(pair.both(), reversed(tokens), strict=False)
        ]
        assert are_in == sorted(are_in), "somebody was let in before one who stands further ahead"
        return are_in[0]

    eventually(all_are_in, "everyone is in")


def test_a_pause_through_one_stops_the_admissions_of_both_at_once(pair: Pair) -> None:
    queue_id = pair.one.make_queue(status="paused", admission_rate=30, heartbeat_timeout_seconds=600)
    pair.joined(queue_id, 100)
    pair.change(pair.one, queue_id, status="active")
    eventually(lambda: pair.active(queue_id) > 0, "people are let in")
    pair.change(pair.one, queue_id, status="paused")
    paused_at = pair.active(queue_id)
    assert paused_at < 100
    pair.wait_for_passes()
    assert pair.active(queue_id) == paused_at


def test_a_change_through_one_holds_at_the_other(pair: Pair) -> None:
    queue_id = pair.one.make_queue(status="paused", heartbeat_interval_seconds=10)
    token = pair.other.join(queue_id).json()["token"]
    assert pair.other.heartbeat(queue_id, token).json()["next_heartbeat_seconds"] == 10
    pair.change(pair.one, queue_id, heartbeat_interval_seconds=7)
    # One interval is a quarter of a second; the machine may be slow, an hour would still be wrong.
    pair.other.wait_for(
        lambda: pair.other.heartbeat(queue_id, token),
        lambda beat: beat.json()["next_heartbeat_seconds"] == 7,
        seconds=5,
    )
    pair.change(pair.one, queue_id, status="maintenance")
    assert pair.other.join(queue_id).json()["error"]["code"] == "MAINTENANCE_MODE"


def test_a_queue_made_at_one_is_usable_at_the_other_and_gone_there_when_deleted(pair: Pair) -> None:
    queue_id = pair.one.make_queue()
    token = pair.other.join(queue_id).json()["token"]
    assert pair.one.admitted(queue_id, token)["admitted"]
    assert pair.other.admin("DELETE", f"/queues/{queue_id}").status_code == 200
    # The store may have forgotten a queue that is missing all at once: for two rounds the answer is 503.
    eventually(lambda: pair.one.join(queue_id).status_code == 404, "the other server knows")


def test_tokens_of_one_are_accepted_by_the_other(pair: Pair) -> None:
    queue_id = pair.one.make_queue(status="paused")
    token = pair.one.join(queue_id).json()["token"]
    assert pair.other.heartbeat(queue_id, token).json()["position"] == 1
    assert pair.other.join(queue_id, token=token).status_code == 200, "the place there already"
    pair.change(pair.other, queue_id, status="active")
    session_token = pair.one.admitted(queue_id, token)["session_token"]
    path = f"/sessions/{jwt.decode(session_token, options={'verify_signature': False})['sub']}"
    assert pair.other.call("GET", path, session_token).json()["status"] == "active"
    assert (
        pair.other.call("POST", f"{path}/activity", session_token, {"action": "page_view"}).json()[
            "page_views"
        ]
        == 1
    )
    assert pair.one.call("GET", path, session_token).json()["page_views"] == 1


def test_keys_rotated_at_one_are_honoured_by_the_other_before_they_sign_and_earlier_tokens_stay_valid(
    pair: Pair,
) -> None:
    queue_id = pair.one.make_queue(status="paused")
    early = pair.one.join(queue_id).json()["token"]
    early_kid = jwt.get_unverified_header(early)["kid"]
    rotated = pair.one.admin("POST", "/keys/rotate")
    assert rotated.status_code == 201, rotated.text

    def signed_with_a_new_key() -> str | None:
        published = {key["kid"] for key in pair.other.http.get("/.well-known/jwks.json").json()["keys"]}
        token = str(pair.one.join(queue_id).json()["token"])
        if jwt.get_unverified_header(token)["kid"] == early_kid:
            return None
        assert published >= {
            key["kid"] for key in pair.one.http.get("/.well-known/jwks.json").json()["keys"]
        }, "a key signs that the other server does not publish yet"
        return token

    late = eventually(signed_with_a_new_key, "the new key signs")
    for token in (early, late):
        assert pair.other.heartbeat(queue_id, token).status_code == 200
        assert pair.one.heartbeat(queue_id, token).status_code == 200


def test_the_rate_limits_of_both_are_one_and_exact(pair: Pair) -> None:
    queue_id = pair.one.make_queue(status="paused")

    def join_30_times() -> list[httpx.Response]:
        address = new_address()
        with ThreadPoolExecutor(6) as pool:
            return list(pool.map(lambda site: site.join(queue_id, address=address), islice(pair.both(), 30)))

    for _ in range(3):
        joins = join_30_times()
        windows = {join.headers["x-ratelimit-reset"] for join in joins}
        if len(windows) == 1:  # otherwise the minute was over in between, which may happen once
            break
    assert len(windows) == 1
    assert sorted(join.status_code for join in joins) == [201] * JOINS_PER_MINUTE + [429] * (
        30 - JOINS_PER_MINUTE
    )
    assert {int(join.headers["x-ratelimit-remaining"]) for join in joins} == set(range(JOINS_PER_MINUTE))


def test_when_one_is_killed_the_other_goes_on(pair: Pair) -> None:
    with running_server_process(pair.folder / "third", store_url=pair.store_url) as third:
        with third.site() as site:
            queue_id = site.make_queue(status="paused", admission_rate=100)
            tokens = [site.join(queue_id).json()["token"] for _ in range(5)]
        third.kill()
    pair.change(pair.one, queue_id, status="active")
    for token in tokens:
        assert pair.one.admitted(queue_id, token)["admitted"]
