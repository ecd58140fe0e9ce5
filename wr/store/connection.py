"""The connection to the store: to one server, or to all nodes of a cluster, as the store's URL says."""

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
    """What calls go to: a `ServerLink` or a `Cluster`, which describe the methods."""

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
    """Runs commands and scripts on the server that has their keys. All methods raise `Unavailable` if it is
    away.

    Before the first call, a server at a plain address is asked once whether it is a node of a cluster. If so,
    the other nodes are found through it.

    Raises:
        ValueError: the URL is not one of a store.
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
        # Nothing is sent yet, but an unknown option in the URL raises here.
        self._first = self._link()
        self._servers: _Servers | None = None
        if self._address.kind is StoreKind.CLUSTER:
            self._servers = self._cluster(self._address)
        elif self._address.kind is StoreKind.SENTINEL or not self._address.endpoints:
            self._servers = self._first

    @property
    def is_sharded(self) -> bool:
        """Whether queues may be on several machines, as far as is known by now."""
        return self._servers is not None and self._servers.is_sharded

    async def run(self, key: str, command: Callable[[redis.Redis], T]) -> T:
        """Run `command` on the server that has `key`, in a worker thread. All its keys must be in one slot.

        It may be run more than once, if the slot moves meanwhile.
        """
        servers = self._servers or await self._find_servers()
        return await servers.run(key, command)

    async def run_each(self, keys: Sequence[str], command: EachCommand[T]) -> Sequence[T | Exception]:
        """Run `command` on each machine with the keys that it has; returns replies in the order of the keys.

        The reply for a key whose machine failed is the exception. If all have failed, the first is raised.
        """
        servers = self._servers or await self._find_servers()
        return await servers.run_each(keys, command)

    async def call(self, script: Script[Raw], keys: Sequence[str], arguments: Sequence[Argument]) -> Raw:
        """Run one script in one round trip (three if the store does not know the script yet)."""
        servers = self._servers or await self._find_servers()
        return await servers.call(script, keys, arguments)

    async def call_each(
        self, script: Script[Raw], calls: Sequence[tuple[Sequence[str], Sequence[Argument]]]
    ) -> list[Raw | Exception]:
        """Run one script for several queues, in one round trip to each machine.

        Returns replies in the order of the calls; the reply of a call that failed is its exception. If all
        have failed, the first is raised.
        """
        servers = self._servers or await self._find_servers()
        return await servers.call_each(script, calls)

    async def ping(self) -> None:
        """Make one round trip. Of a cluster, one node must answer."""
        servers = self._servers or await self._find_servers()
        await servers.ping()

    async def client_for(self, key: str) -> redis.Redis:
        """Return a client of the server that has `key`, to use in a thread."""
        servers = self._servers or await self._find_servers()
        return await servers.client_for(key)

    def machine_of(self, key: str) -> str:
        """Name the machine that has `key`; empty if there is only one, or if it is not known."""
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
    """Ask a server whether it is a node of a cluster. A server that refuses to tell counts as none."""
    try:
        told: Any = client.info("cluster")
    except redis.ResponseError:
        return False
    return str(told.get("cluster_enabled", 0)) == "1"
