"""Announcements between replicas, over each engine's own publish and subscribe."""

import trio

from tests.support.engines import Engine
from wr.store.announcements import Announcements
from wr.store.connection import Connection
from wr.store.key_names import KeyNames

IDS = [bytes([n]) * 16 for n in (1, 42, 43, 255)]  # 42 and 43 are the marks of the message form


class Ear:
    """Notes what it hears, and wakes who waits for the last of it."""

    def __init__(self, count: int) -> None:
        self.heard: list[tuple[str, list[bytes] | None]] = []
        self.all_heard = trio.Event()
        self._count = count

    def __call__(self, queue_id: str, ids: list[bytes] | None) -> None:
        self.heard.append((queue_id, ids))
        if len(self.heard) == self._count:
            self.all_heard.set()


async def test_what_one_replica_announces_all_hear(engine: Engine, prefix: str) -> None:
    connections = [Connection(engine.url), Connection(engine.url)]
    here, there = (Announcements(connection, KeyNames(prefix)) for connection in connections)
    ear = Ear(3)
    async with trio.open_nursery() as nursery:
        await nursery.start(there.listen, ear)
        await here.announce({"concert-1": IDS, "a.b_c-9": None, "empty": []})
        with trio.fail_after(5):
            await ear.all_heard.wait()
        nursery.cancel_scope.cancel()
    for connection in connections:
        connection.close()
    assert ear.heard == [("concert-1", IDS), ("a.b_c-9", None), ("empty", [])]


async def test_rooms_with_another_prefix_hear_nothing(engine: Engine, prefix: str) -> None:
    connection = Connection(engine.url)
    stranger = Announcements(connection, KeyNames(f"{prefix}-other"))
    ours = Announcements(connection, KeyNames(prefix))
    ear = Ear(1)
    async with trio.open_nursery() as nursery:
        await nursery.start(ours.listen, ear)
        await stranger.announce({"theirs": None})
        await ours.announce({"ours": None})
        with trio.fail_after(5):
            await ear.all_heard.wait()
        nursery.cancel_scope.cancel()
    connection.close()
    assert ear.heard == [("ours", None)]
