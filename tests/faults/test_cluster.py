"""A store of several machines: slots that move, machines that die or hang, and queues that go on."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from tests.faults.test_store_killed import is_unavailable
from tests.support.clusters import StoreCluster, running_sentinels
from tests.support.crowd import Crowd, coming, until
from tests.support.processes import ServerProcess, eventually, running_server_process
from tests.support.site import Site
from wr.model.refusals import Unavailable
from wr.store.connection import Connection
from wr.store.script import Script

PATIENT = {"heartbeat_timeout_seconds": 600}
QUICK = {"max_active_users": 10_000, "admission_rate": 1_000, **PATIENT}
A_PASS_AND_MORE_S = 2.0
"""Far more than a pass takes, and less than the store is waited for (3 s)."""


@pytest.fixture(scope="module")
def server(cluster: StoreCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that knows some nodes of the cluster, and the address of one that is none."""
    folder = tmp_path_factory.mktemp("server")
    with running_server_process(folder, store_url=cluster.url, limit_enqueue="100000/60") as running:
        yield running


@pytest.fixture(scope="module")
def site(server: ServerProcess) -> Iterator[Site]:
    with server.site() as running:
        yield running


@pytest.fixture
def whole(cluster: StoreCluster) -> Iterator[StoreCluster]:
    """The cluster, which is whole again after the test."""
    yield cluster
    cluster.revive()


def tag(queue_id: str) -> str:
    return f"{{{queue_id}}}"


def move_while_asked_for(cluster: StoreCluster, key: str) -> None:
    """Have a slot move, and be half here and half there until somebody has asked for its keys."""
    source = cluster.primary_of(key)
    source.ask("CONFIG", "RESETSTAT")

    def somebody_was_sent_away() -> bool:
        errors = source.client.info("errorstats")
        return "errorstat_TRYAGAIN" in errors or "errorstat_ASK" in errors

    cluster.move_slot(key, lambda: eventually(somebody_was_sent_away, "somebody asked"))


def someone_gets_in(site: Site, queue_id: str) -> None:
    """Somebody joins, and is let in as soon as where nothing is wrong."""
    joined = site.join(queue_id)
    assert joined.status_code == 201, joined.text
    token = joined.json()["token"]
    eventually(
        lambda: site.status(queue_id, token).json()["status"] == "admitted", "let in", A_PASS_AND_MORE_S
    )


def test_the_address_of_any_node_is_enough(cluster: StoreCluster, tmp_path: Path) -> None:
    replica = cluster.nodes[-1]
    with running_server_process(tmp_path, store_url=replica.url) as server, server.site() as site:
        queue_ids = cluster.queue_ids("any")
        assert len({cluster.primary_of(tag(queue_id)).port for queue_id in queue_ids}) == 3
        for queue_id in queue_ids:
            site.make_queue(id=queue_id, **QUICK)
            someone_gets_in(site, queue_id)
        listed = {queue["queue"]["id"] for queue in site.admin("GET", "/queues").json()["queues"]}
        assert listed >= set(queue_ids)
        assert site.http.get("/health").status_code == 200
        assert "Traceback" not in server.log


@pytest.mark.parametrize("whose", ["the queue's", "what belongs to all queues"])
async def test_nobody_is_turned_away_or_loses_a_place_while_slots_move(
    whole: StoreCluster, server: ServerProcess, site: Site, whose: str
) -> None:
    (queue_id, *_) = whole.queue_ids(f"moving-{len(whose)}")
    site.make_queue(id=queue_id, status="paused", **PATIENT)
    slot = tag(queue_id) if whose == "the queue's" else "{*}"
    before = whole.primary_of(slot).port
    crowd = Crowd(server.url, queue_id)
    async with coming(crowd):
        for number in (1, 2, 3):
            wanted = 20 * number
            await until(lambda: len(crowd.tokens) >= wanted, "a crowd has joined")  # noqa: B023 - waited for
            await trio.to_thread.run_sync(move_while_asked_for, whole, slot)
        joined = len(crowd.tokens)
        await until(lambda: len(crowd.tokens) > joined + 10, "people join again")
    assert whole.primary_of(slot).port != before
    assert crowd.turned_away == 0
    crowd.check_everyone_stands_where_they_stood(site)


@pytest.mark.parametrize("may_repeat", [True, False])
async def test_a_script_that_breaks_off_because_a_slot_moves_is_sent_again_only_if_it_may_be(
    whole: StoreCluster, may_repeat: bool
) -> None:
    key = f"{{moved-under-a-script-{may_repeat}}}"
    text = "redis.call('DEL', KEYS[1]) return redis.call('INCR', KEYS[1])"
    script: Script[int] = Script("count_anew", text, may_repeat=may_repeat)
    connection = Connection(whole.url)
    outcomes: list[int | str] = []

    async def call_it() -> None:
        try:
            outcomes.append(await connection.call(script, [key], []))
        except Unavailable as error:
            outcomes.append(type(error).__name__)

    def call_it_once() -> None:
        if not outcomes:
            trio.from_thread.run(call_it)

    try:
        assert await connection.call(script, [key], []) == 1
        await trio.to_thread.run_sync(whole.move_slot, key, call_it_once)
        # Asked again, the node sends the caller to the one that the slot moves to.
        assert outcomes == [1 if may_repeat else "BrokenOff"]
        assert await connection.call(script, [key], []) == 1
    finally:
        connection.close()


def test_a_machine_that_dies_costs_its_queues_a_short_outage_and_the_others_nothing(
    whole: StoreCluster, server: ServerProcess, site: Site
) -> None:
    struck, other, _ = whole.queue_ids("dying")
    site.make_queue(id=struck, status="paused", **PATIENT)
    site.make_queue(id=other, **QUICK)
    tokens = [site.join(struck).json()["token"] for _ in range(20)]
    eventually(lambda: whole.has_replicated(tag(struck)), "the replica has all")
    dead = whole.primary_of(tag(struck))
    dead.kill()
    assert is_unavailable(site.status(struck, tokens[0])), "nobody can serve it yet"

    def is_back() -> bool:
        someone_gets_in(site, other)
        assert site.http.get("/health").status_code == 200
        return not is_unavailable(site.heartbeat(struck, tokens[0])) and not is_unavailable(site.join(struck))

    eventually(is_back, "the replica has taken over")
    assert whole.primary_of(tag(struck)) is not dead
    assert [site.status(struck, token).json()["position"] for token in tokens] == list(range(1, 21))
    assert server.log.count("a machine of the store is away") >= 1
    assert "Traceback" not in server.log


def test_without_what_belongs_to_all_queues_visitors_join_and_get_in(
    whole: StoreCluster, server: ServerProcess, site: Site
) -> None:
    one, other, _ = whole.queue_ids("orphans")
    for queue_id in (one, other):
        site.make_queue(id=queue_id, **QUICK)
        someone_gets_in(site, queue_id)
    eventually(lambda: whole.has_replicated("{*}"), "the replica has all")
    whole.primary_of("{*}").kill()
    rounds = 0

    def is_back() -> bool:
        nonlocal rounds
        rounds += 1
        for queue_id in (one, other):
            someone_gets_in(site, queue_id)
        return site.admin("GET", "/queues").status_code == 200

    eventually(is_back, "the replica has taken over")
    assert rounds > 1, "it was away for a while"
    assert "Traceback" not in server.log


def test_a_machine_that_hangs_holds_up_no_queue_of_another(
    whole: StoreCluster, server: ServerProcess, site: Site
) -> None:
    struck, other, _ = whole.queue_ids("hanging")
    site.make_queue(id=struck, **QUICK)
    site.make_queue(id=other, **QUICK)
    token = site.join(struck).json()["token"]
    eventually(lambda: whole.has_replicated(tag(struck)), "the replica has all")
    frozen = whole.primary_of(tag(struck))
    frozen.freeze()

    def is_back() -> bool:
        someone_gets_in(site, other)
        return whole.primary_of(tag(struck)) is not frozen and not is_unavailable(site.join(struck))

    eventually(is_back, "the replica has taken over")
    assert site.status(struck, token).json()["status"] == "admitted"


@pytest.mark.parametrize("how", ["dies", "hangs"])
def test_where_sentinels_name_another_primary_the_line_goes_on_there(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, how: str
) -> None:
    with (
        running_sentinels(tmp_path_factory.mktemp("sentinels")) as pair,
        running_server_process(tmp_path, store_url=pair.url) as server,
        server.site() as site,
    ):
        queue_id = site.make_queue(status="paused", **PATIENT)
        tokens = [site.join(queue_id).json()["token"] for _ in range(20)]
        eventually(pair.has_replicated, "the replica has all")
        if how == "dies":
            pair.primary().kill()
        else:
            pair.primary().freeze()
        assert is_unavailable(site.join(queue_id)), "nobody can serve it yet"
        eventually(lambda: not is_unavailable(site.join(queue_id)), "the replica has taken over")
        # Calls that had been sent before may still end without an answer.
        eventually(
            lambda: (
                [site.status(queue_id, token).json().get("position") for token in tokens]
                == list(range(1, 21))
            ),
            "each stands where they stood",
        )
        assert site.http.get("/health").status_code == 200
