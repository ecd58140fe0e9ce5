"""A line that is held says so to everyone in it: paused, or in maintenance."""

from collections.abc import Iterator

import pytest
import trio

from tests.conftest import TEST_SETTINGS
from tests.contract.conftest import running_site
from tests.contract.helpers import open_queue, waiting
from tests.support.site import Site
from tests.support.sockets import websocket


@pytest.mark.parametrize("status", ["paused", "maintenance"])
def test_every_answer_to_somebody_in_a_held_line_says_why(site: Site, status: str) -> None:
    queue_id = site.make_queue(status="paused")
    token = waiting(site, queue_id)
    site.admin("PATCH", f"/queues/{queue_id}", {"status": status})
    for answer in (
        site.join(queue_id, token=token),
        site.status(queue_id, token),
        site.heartbeat(queue_id, token),
    ):
        assert answer.json()["queue_status"] == status


def test_in_a_line_that_moves_nothing_is_said_of_it(site: Site) -> None:
    queue_id = open_queue(site, max_active_users=1)
    site.admitted(queue_id, waiting(site, queue_id))
    token = waiting(site, queue_id)
    for answer in (
        site.join(queue_id, token=token),
        site.status(queue_id, token),
        site.heartbeat(queue_id, token),
    ):
        assert (answer.json()["status"], "queue_status" in answer.json()) == ("waiting", False)


@pytest.fixture(scope="module")
def unhurried(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server whose streams are looked at once in a minute, unless there is news that cannot wait."""
    settings = {**TEST_SETTINGS, "live_interval": "60"}
    with running_site(site.engine, site.prefix, site.clock, tmp_path_factory, **settings) as running:
        yield running


async def test_a_stream_hears_of_a_pause_and_of_its_end_at_once_though_nobody_moved(unhurried: Site) -> None:
    site = unhurried
    queue_id = open_queue(site, max_active_users=1)
    site.admitted(queue_id, waiting(site, queue_id))
    token = waiting(site, queue_id)
    async with websocket(site, queue_id, token) as socket:
        told = [await socket.message()]
        for status in ("paused", "maintenance", "active"):
            await trio.to_thread.run_sync(
                lambda status=status: site.admin("PATCH", f"/queues/{queue_id}", {"status": status})
            )
            told.append(await socket.message())
    assert [message["data"]["position"] for message in told] == [1, 1, 1, 1]
    assert [message["data"].get("queue_status") for message in told] == [None, "paused", "maintenance", None]
