"""Fills a queue with visitors: runs the server's own script directly on the store, and signs real tokens."""

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import redis
import trio

from bench.servers import StoreServer
from wr.model.ids import new_position_id
from wr.model.limits import Limit
from wr.model.places import Waiting
from wr.model.signing import KeyRing
from wr.model.tokens import PositionClaims, sign_position
from wr.store.connection import Connection
from wr.store.enqueue import EnqueueScript, Join
from wr.store.key_names import KeyNames
from wr.store.script import evaluate
from wr.store.secret_repository import SecretRepository

MANY = "999999999/60"
"""A limit that no visitor reaches; the server still counts, which is part of the cost."""
LIMITS = {f"limit_{scope}": MANY for scope in ("enqueue", "status", "heartbeat", "activity")}
_BATCH = 500
_TOKEN_LIFETIME_S = 1800
_NOT_COUNTED = Limit(0)


class TurnedAway(Exception):
    """A visitor could not join; the message contains the answer."""


class Place(msgspec.Struct, frozen=True):
    """A place, as its token names it."""

    position_id: bytes
    enqueued_ms: int


def newcomer(number: int, priority: int = 0) -> Join:
    """Create a visitor's join, each from a different address, because places per address are limited."""
    tag = os.urandom(4)
    subject = b"10.0.0.%d" % (number % 256)
    return Join(new_position_id(os.urandom, tag), b"", priority, subject, b"", b"", address=tag)


class Line:
    """The waiting visitors of one queue, as the store sees them."""

    def __init__(self, store: StoreServer, queue_id: str) -> None:
        self.client: Any = redis.Redis.from_url(store.url, protocol=2)
        self.queue_id = queue_id
        self._keys = KeyNames()
        (self._waiting_key,) = self._keys.queue(queue_id, "waiting")

    def waiting(self) -> int:
        """Count the waiting visitors. One round trip."""
        return int(self.client.zcard(self._waiting_key))

    def fill(
        self,
        people: int,
        *,
        chosen: int = 0,
        priority: int = 0,
        limit: Limit = _NOT_COUNTED,
        advance: Callable[[int], object] = lambda _: None,
    ) -> list[Place]:
        """Let visitors join; return the places of `chosen` of them, spread evenly from front to back.

        Raises:
            TurnedAway: somebody was.
        """
        script = EnqueueScript(self._keys, limit)
        wanted = iter([number * people // chosen for number in range(chosen)])
        next_wanted = next(wanted, people)
        places: list[Place] = []
        for start in range(0, people, _BATCH):
            joins = [newcomer(number, priority) for number in range(start, min(start + _BATCH, people))]
            keys, arguments = script.call(self.queue_id, 0, joins)
            for offset, joined in enumerate(
                script.replies(evaluate(self.client, script.script, keys, arguments))
            ):
                if not isinstance(joined.place, Waiting):
                    raise TurnedAway(f"{joined.place}")
                if start + offset == next_wanted:
                    places.append(Place(joined.position_id, joined.enqueued_ms))
                    next_wanted = next(wanted, people)
            advance(len(joins))
        return places

    def close(self) -> None:
        """Close the connection."""
        self.client.close()


def read_ring(store: StoreServer) -> KeyRing:
    """Read the signing keys of the servers of a store."""

    async def read() -> KeyRing:
        connection = Connection(store.url)
        try:
            return KeyRing(await SecretRepository(connection, KeyNames()).signing_keys())
        finally:
            connection.close()

    return trio.run(read)


def write_tokens(path: Path, queue_id: str, places: Sequence[Place], ring: KeyRing) -> Path:
    """Sign a position token for each place, one per line. About 20 µs each."""
    now_s = int(time.time())
    with path.open("w") as file:
        for place in places:
            claims = PositionClaims(
                position_id=place.position_id,
                queue_id=queue_id,
                priority=0,
                enqueued_ms=place.enqueued_ms,
                issued_s=now_s,
                expires_s=now_s + _TOKEN_LIFETIME_S,
            )
            file.write(sign_position(claims, ring, now_s * 1000) + "\n")
    return path
