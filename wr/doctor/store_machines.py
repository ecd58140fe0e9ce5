"""Finds the machines of a store (one server, or the primaries of a cluster) and checks them."""

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
    """A store's URL cannot be used."""


@dataclass(frozen=True)
class Machines:
    """The machines of a store, each with a client."""

    first: redis.Redis
    primaries: dict[str, redis.Redis] | None
    """The machines of a cluster that have slots, by address; None if the store is not a cluster."""
    without_replica: list[str]
    missing_slots: int

    def each(self, name: str) -> list[tuple[str, redis.Redis]]:
        """List the machines to check; `name` is the name of the machine if there is only one."""
        return [(name, self.first)] if self.primaries is None else list(self.primaries.items())


@contextmanager
def find_machines(url: str) -> Iterator[Machines]:
    """Find the machines of the store at `url`.

    Raises:
        OddUrl: the URL cannot be used.
        redis.RedisError, Unavailable: the store does not answer.
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
    """Check that a cluster serves every queue, and survives the loss of one machine."""
    subject = "store's cluster"
    primaries = machines.primaries or {}
    found = f"{len(primaries)} primaries: {', '.join(primaries)}"
    if machines.missing_slots:
        return [
            bad(
                subject,
                f"{found}; {machines.missing_slots} slots belong to no machine",
                "assign the slots, or fail over to a replica",
            )
        ]
    findings = [good(subject, found)]
    if machines.without_replica:
        findings.append(
            unsure(
                subject,
                f"without a replica: {', '.join(machines.without_replica)}",
                "add a replica on another machine for each primary",
            )
        )
    if len(primaries) > 1 and any(_stops_as_a_whole(client) for client in primaries.values()):
        findings.append(
            unsure(
                subject,
                "if one part is unreachable, the whole cluster stops",
                "set `cluster-require-full-coverage no`: then only the queues of that part stop",
            )
        )
    return findings


def _stops_as_a_whole(client: redis.Redis) -> bool:
    try:
        told: Any = client.config_get("cluster-require-full-coverage")
    except redis.RedisError:
        return False
    return "yes" in told.values() or b"yes" in told.values()
