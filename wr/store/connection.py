"""The connection to the store: to one server, or to those of a cluster, as the store's URL says."""

import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import redis

from wr.metrics.server_metrics import StoreMetrics
from wr.store.address import StoreAddress, StoreKind, read_store_url
from wr.store.cluster import Cluster
from wr.store.cluster_topology import ClusterTopology, Endpoint
from wr.store.script import Argument, Raw, Script
from wr.store.server_link import EachCommand, ServerLink

T = TypeVar("T")


class _Servers(Protocol):
    """Where calls go: a `ServerLink`, or a `Cluster`, which say more about each."""

    @property
    def is_sharded(self) -> bool: ...
    async def run(self, key: str, command: Callable[[redis.Redis], T], /) -> T: ...
    async def run_each(self, keys: Sequence[str], command: EachCommand[T], /) -> Sequence[T | Exception]: ...
    async def call(
        self, script: Script[Raw], keys: Sequence[str], arguments: Sequence[Argument], /
    ) -> Raw: ...
    async def call_each(
        self, script: Script[Raw], calls: Sequence[tuple[Sequence[str], Sequence[Argument]]], /
    ) -> list[Raw | Exception]: ...
    async def ping(self) -> None: ...
    async def client_for(self, key: str, /) -> redis.Redis: ...
    def machine_of(self, key: str, /) -> str: ...
    def close(self) -> None: ...


class Connection:
    """Runs commands and scripts where their keys are. All methods raise `Unavailable` when that is away.

    A server at a plain address is asked once whether it is a node of a cluster, before anything else: then
    the others are found through it.

    Raises:
        ValueError: the URL makes no sense.
    """

    def __init__(
        self,
        url: str,
        *,
        connections: int = 16,
        timeout_s: float = 3.0,
        metrics: StoreMetrics | None = None,
    ) -> None:
        self._address = read_store_url(url)
        self._connections = connections
        self._timeout_s = timeout_s
        self._metrics = metrics or StoreMetrics(time.perf_counter)
        # Nothing is sent yet, but an option that no connection knows is found.
        self._first = self._link()
        self._servers: _Servers | None = None
        if self._address.kind is StoreKind.CLUSTER:
            self._servers = self._cluster(self._address)
        elif self._address.kind is StoreKind.SENTINEL or not self._address.endpoints:
            self._servers = self._first

    @property
    def is_sharded(self) -> bool:
        """Whether keys of several queues may be on several machines, as far as is known by now."""
        return self._servers is not None and self._servers.is_sharded

    async def run(self, key: str, command: Callable[[redis.Redis], T]) -> T:
        """Run `command` where `key` is, in a worker thread; all its keys must be in one slot.

        The command must bear to be run again, which happens if the slot moves just then.
        """
        servers = self._servers or await self._find_servers()
        return await servers.run(key, command)

    async def run_each(self, keys: Sequence[str], command: EachCommand[T]) -> Sequence[T | Exception]:
        """Run `command` on each machine with those of these keys that it has; replies, or why there is none,
        in the order of the keys. Raises when all have failed."""
        servers = self._servers or await self._find_servers()
        return await servers.run_each(keys, command)

    async def call(self, script: Script[Raw], keys: Sequence[str], arguments: Sequence[Argument]) -> Raw:
        """Run one script in one round trip (three when the store does not know it yet)."""
        servers = self._servers or await self._find_servers()
        return await servers.call(script, keys, arguments)

    async def call_each(
        self, script: Script[Raw], calls: Sequence[tuple[Sequence[str], Sequence[Argument]]]
    ) -> list[Raw | Exception]:
        """Run one script for several queues, in one round trip to each machine; replies, or why there is
        none, in their order. Raises when all have failed."""
        servers = self._servers or await self._find_servers()
        return await servers.call_each(script, calls)

    async def ping(self) -> None:
        """Make one round trip; a cluster is there as long as one machine of it answers."""
        servers = self._servers or await self._find_servers()
        await servers.ping()

    async def client_for(self, key: str) -> redis.Redis:
        """Return a client of the server that has `key`, for use in a thread."""
        servers = self._servers or await self._find_servers()
        return await servers.client_for(key)

    def machine_of(self, key: str) -> str:
        """Name the machine that has `key`; empty where there is one only, or none is known."""
        return "" if self._servers is None else self._servers.machine_of(key)

    def close(self) -> None:
        """Close every connection."""
        self._first.close()
        if self._servers is not None and self._servers is not self._first:
            self._servers.close()

    async def _find_servers(self) -> _Servers:
        is_node: bool = await self._first.run("", is_cluster_node)
        if self._servers is None:
            self._servers = self._cluster(self._address) if is_node else self._first
        return self._servers

    def _link(self, node: Endpoint | None = None) -> ServerLink:
        return ServerLink(
            self._address.make_client(node),
            connections=self._connections,
            timeout_s=self._timeout_s,
            metrics=self._metrics,
        )

    def _cluster(self, address: StoreAddress) -> Cluster:
        options = {name: value for name, value in address.options.items() if name != "db"}
        return Cluster(ClusterTopology(address.endpoints, options), self._link, patience_s=self._timeout_s)


def is_cluster_node(client: redis.Redis) -> bool:
    """Ask a server whether it is a node of a cluster; one that does not let us know is none."""
    try:
        told: Any = client.info("cluster")
    except redis.ResponseError:
        return False
    return str(told.get("cluster_enabled", 0)) == "1"
