"""The nodes of a cluster: which node has which slot, as the client library finds it out."""

from collections.abc import Mapping, Sequence
from typing import Any

import redis
import trio
from redis.cluster import ClusterNode, NodesManager
from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot

from wr.model.refusals import Unavailable
from wr.store.server_link import SHORT_S

PAUSE_S = 0.25
"""The pause between two look-ups of the nodes: when a node dies, many callers want one at once."""
_NOBODY = "No node of the waiting room's store tells where its data is just now"

Endpoint = tuple[str, int]


def slot_of(key: str) -> int:
    """Compute the slot of a key."""
    return key_slot(key.encode())


class ClusterTopology:
    """Knows which node has a slot, and asks the nodes again when that may have changed.

    It asks the nodes that it found before and those that the operator named, until one answers. `options` are
    options of connections.
    """

    def __init__(self, endpoints: Sequence[Endpoint], options: Mapping[str, Any]) -> None:
        self._named = list(endpoints)
        self._options = dict(options)
        self._manager: NodesManager | None = None
        self._limiter = trio.CapacityLimiter(1)
        self._looking: trio.Event | None = None
        self._looked_at = -PAUSE_S

    def owner(self, slot: int) -> Endpoint | None:
        """Return the node that has a slot; None if that is not known."""
        nodes = None if self._manager is None else self._manager.slots_cache.get(slot)
        return (nodes[0].host, nodes[0].port) if nodes else None

    def primaries(self) -> list[Endpoint]:
        """List the nodes that have slots, in the order of their slots; empty before the first look-up."""
        cache = {} if self._manager is None else dict(self._manager.slots_cache)
        owners = (cache[slot][0] for slot in sorted(cache) if cache[slot])
        return list(dict.fromkeys((node.host, node.port) for node in owners))

    def without_replica(self) -> list[Endpoint]:
        """List the primaries that have no replica."""
        cache = {} if self._manager is None else dict(self._manager.slots_cache)
        return list(
            dict.fromkeys((nodes[0].host, nodes[0].port) for nodes in cache.values() if len(nodes) == 1)
        )

    def missing_slots(self) -> int:
        """Count the slots that no node has."""
        return REDIS_CLUSTER_HASH_SLOTS - (0 if self._manager is None else len(self._manager.slots_cache))

    def moved(self, error: redis.exceptions.MovedError) -> bool:
        """Note that a slot has moved; False if the error does not say where to: then look it up."""
        if self._manager is None or not error.host or error.slot_id not in self._manager.slots_cache:
            return False
        self._manager.move_slot(error)
        return True

    async def look(self, failed: Endpoint | None = None) -> None:
        """Ask a node which node has which slot; the node `failed` is asked last.

        At most one look-up runs at a time, and at most four in a second.

        Raises:
            Unavailable: no node answers.
        """
        if self._looking is not None:
            await self._looking.wait()
            return
        if trio.current_time() - self._looked_at < PAUSE_S:
            return
        self._looking = done = trio.Event()
        try:
            await trio.to_thread.run_sync(
                self.look_now, failed, limiter=self._limiter, abandon_on_cancel=True
            )
        finally:
            self._looked_at = trio.current_time()
            self._looking = None
            done.set()

    def look_now(self, failed: Endpoint | None = None) -> None:
        """Ask a node which node has which slot. It blocks, so call it in a thread. Raises as `look`."""
        try:
            if self._manager is None:
                self._manager = self._find()
            else:
                name = None if failed is None else f"{failed[0]}:{failed[1]}"
                self._manager.initialize(self._named, last_failed_node_name=name)
        except (redis.RedisError, redis.exceptions.RedisClusterException, OSError) as error:
            raise Unavailable(_NOBODY) from error

    def _find(self) -> NodesManager:
        nodes = [ClusterNode(host, port) for host, port in self._named]  # type: ignore[no-untyped-call]
        return NodesManager(
            nodes,
            from_url=True,
            require_full_coverage=False,
            **{**self._options, "socket_timeout": SHORT_S, "socket_connect_timeout": SHORT_S},
            protocol=2,
            driver_info=None,
        )

    def close(self) -> None:
        """Close the connections of look-ups."""
        if self._manager is not None:
            self._manager.close()
