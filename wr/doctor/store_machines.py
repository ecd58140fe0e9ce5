"""The machines of a store: one server, or the primaries of a cluster, and whether these cover everything."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import redis

from wr.doctor.finding import Finding, bad, good, unsure
from wr.store.address import StoreAddress, StoreKind, read_store_url
from wr.store.cluster_topology import ClusterTopology
from wr.store.connection import is_cluster_node

_PATIENCE_S = 3.0


class OddUrl(Exception):
    """A URL makes no sense."""


@dataclass(frozen=True)
class Machines:
    """A store's machines; each of these has a client."""

    first: redis.Redis
    primaries: dict[str, redis.Redis] | None
    """Those of a cluster that have slots, by address; None where there is one server only."""
    without_replica: list[str]
    missing_slots: int

    def each(self, name: str) -> list[tuple[str, redis.Redis]]:
        """List the machines to look at; `name` is that of a single one."""
        return [(name, self.first)] if self.primaries is None else list(self.primaries.items())


@contextmanager
def find_machines(url: str) -> Iterator[Machines]:
    """Find the machines of the store at `url`.

    Raises:
        OddUrl: it makes no sense.
        redis.RedisError, Unavailable: it does not answer.
    """
    try:
        address = read_store_url(url)
        client = address.make_client()(_PATIENCE_S, 2)
        client.connection_pool.connection_class(**client.connection_pool.connection_kwargs)
    except (ValueError, TypeError) as error:
        raise OddUrl(str(error)) from error
    is_cluster = address.kind is StoreKind.CLUSTER
    with client:
        if address.kind is StoreKind.SERVER and address.endpoints:
            is_cluster = is_cluster_node(client)
        if not is_cluster:
            yield Machines(client, None, [], 0)
            return
        machines = _machines_of_cluster(address, client)
        try:
            yield machines
        finally:
            for each in (machines.primaries or {}).values():
                each.close()


def _machines_of_cluster(address: StoreAddress, first: redis.Redis) -> Machines:
    topology = ClusterTopology(
        address.endpoints, {name: value for name, value in address.options.items() if name != "db"}
    )
    try:
        topology.look_now()
        owners = topology.primaries()
        found = {f"{host}:{port}": address.make_client((host, port))(_PATIENCE_S, 2) for host, port in owners}
        alone = [f"{host}:{port}" for host, port in topology.without_replica()]
        return Machines(first, found, alone, topology.missing_slots())
    finally:
        topology.close()


def judge_machines(machines: Machines) -> list[Finding]:
    """Judge whether a cluster serves every queue, and goes on when one machine dies."""
    subject = "store's cluster"
    primaries = machines.primaries or {}
    found = f"{len(primaries)} primaries: {', '.join(primaries)}"
    if machines.missing_slots:
        return [
            bad(
                subject,
                f"{found}; {machines.missing_slots} slots have no machine",
                "assign them, or fail over",
            )
        ]
    findings = [good(subject, found)]
    if machines.without_replica:
        findings.append(
            unsure(
                subject,
                f"no replica has what is on {', '.join(machines.without_replica)}",
                "give each primary a replica on another machine",
            )
        )
    if len(primaries) > 1 and any(_stops_as_a_whole(client) for client in primaries.values()):
        findings.append(
            unsure(
                subject,
                "while a part of it is away, all of it stops",
                "set `cluster-require-full-coverage no`: then only the queues of that part wait",
            )
        )
    return findings


def _stops_as_a_whole(client: redis.Redis) -> bool:
    try:
        told: Any = client.config_get("cluster-require-full-coverage")
    except redis.RedisError:
        return False
    return "yes" in told.values() or b"yes" in told.values()
