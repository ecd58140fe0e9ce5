"""The store's address, read from its URL: one server, a cluster, or a server that Sentinel names."""

from collections.abc import Mapping
from enum import Enum
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec
import redis
from redis.backoff import NoBackoff
from redis.connection import SSLConnection, parse_url
from redis.retry import Retry
from redis.sentinel import Sentinel

from wr.store.server_link import SHORT_S, MakeClient

_SCHEMES = {"redis": "redis", "valkey": "redis", "rediss": "rediss", "valkeys": "rediss", "unix": "unix"}
_FORMS = (
    "redis://host:6379, rediss://host:6379 (TLS), unix:///path, redis+cluster://host:6379,host:6379 or "
    "redis+sentinel://host:26379,host:26379/name"
)
_SENTINEL_PORT = 26379
_OWN_SENTINEL = "sentinel_"


class StoreKind(Enum):
    """How the server that has a key is found."""

    SERVER = ""
    """By its address. The server itself says whether it is a node of a cluster."""
    CLUSTER = "cluster"
    """Any node tells which node has the key."""
    SENTINEL = "sentinel"
    """The sentinels tell which server is the primary."""


class StoreAddress(msgspec.Struct, frozen=True):
    """Where the store is, and how connections to it are opened."""

    kind: StoreKind
    endpoints: tuple[tuple[str, int], ...]
    """Hosts and ports of the server, of nodes of the cluster, or of sentinels; empty for a socket."""
    options: Mapping[str, Any]
    """Options of a connection, as the client library spells them, without host and port."""
    service: str = ""
    """The name of the primary at the sentinels."""
    sentinel_options: Mapping[str, Any] = {}
    """Options of a connection to a sentinel."""

    def make_client(self, endpoint: tuple[str, int] | None = None) -> MakeClient:
        """Return what makes clients of the server at `endpoint`; without one, of the first or only server."""
        if self.kind is StoreKind.SENTINEL:
            return self._make_client_of_primary
        host, port = endpoint or (self.endpoints or (("", 0),))[0]
        options = {**self.options, **({"host": host, "port": port} if host else {})}

        def make(timeout_s: float, connections: int) -> redis.Redis:
            pool = redis.ConnectionPool(**options, **_patience(timeout_s), max_connections=connections)
            return redis.Redis.from_pool(pool)

        return make

    def _make_client_of_primary(self, timeout_s: float, connections: int) -> redis.Redis:
        patience = _patience(min(SHORT_S, timeout_s))
        # The library has no types for these.
        sentinel: Any = Sentinel(list(self.endpoints), sentinel_kwargs={**self.sentinel_options, **patience})  # type: ignore[no-untyped-call]
        client: redis.Redis = sentinel.master_for(
            self.service, **self.options, **_patience(timeout_s), max_connections=connections
        )
        return client


def _patience(timeout_s: float) -> dict[str, Any]:
    """Spell the options of connections that wait that long, and that never repeat a command."""
    return {
        "protocol": 2,
        "socket_timeout": timeout_s,
        "socket_connect_timeout": timeout_s,
        "retry": Retry(NoBackoff(), 0),
        "driver_info": None,
    }


def read_store_url(url: str) -> StoreAddress:
    """Read a store's URL.

    Raises:
        ValueError: it is no such URL. The message may repeat a part of it.
    """
    scheme, _, rest = url.partition("://")
    base, _, kind_name = scheme.lower().partition("+")
    if base not in _SCHEMES or kind_name not in {kind.value for kind in StoreKind}:
        raise ValueError(f"it must be {_FORMS}")
    kind = StoreKind(kind_name)
    base = _SCHEMES[base]
    if base == "unix":
        if kind is not StoreKind.SERVER:
            raise ValueError("a cluster and sentinels are not reached by a socket")
        return StoreAddress(kind, (), _parse(f"unix://{rest}"))
    if kind is StoreKind.SENTINEL:
        return _sentinel_address(base, rest)
    endpoints, options = _endpoints(base, rest, 6379)
    if kind is StoreKind.SERVER and len(endpoints) > 1:
        raise ValueError("several servers are those of redis+cluster:// or redis+sentinel://")
    if kind is StoreKind.CLUSTER and options.pop("db", 0):
        raise ValueError("a cluster has no other database than 0")
    return StoreAddress(kind, endpoints, options)


def _sentinel_address(base: str, rest: str) -> StoreAddress:
    parts = urlsplit(f"//{rest}")
    service, _, database = parts.path.strip("/").partition("/")
    if not service:
        raise ValueError(
            "after the sentinels comes the name of the primary: redis+sentinel://host:26379/name"
        )
    query = f"?{parts.query}" if parts.query else ""
    endpoints, options = _endpoints(base, f"{parts.netloc}/{database}{query}", _SENTINEL_PORT)
    own = {
        name.removeprefix(_OWN_SENTINEL): options.pop(name)
        for name in list(options)
        if name.startswith(_OWN_SENTINEL)
    }
    if unknown := own.keys() - {"username", "password", "ssl"}:
        raise ValueError(f"unexpected option {_OWN_SENTINEL}{min(unknown)}")
    is_tls = options.pop("connection_class", None) is SSLConnection
    if is_tls:
        options["ssl"] = True
        if str(own.pop("ssl", "yes")).lower() in ("yes", "true", "1", "on"):
            own |= {name: value for name, value in options.items() if name.startswith("ssl")}
    return StoreAddress(StoreKind.SENTINEL, endpoints, options, unquote(service), own)


def _parse(url: str) -> dict[str, Any]:
    options: dict[str, Any] = parse_url(url)  # type: ignore[no-untyped-call]
    return options


def _endpoints(base: str, rest: str, usual_port: int) -> tuple[tuple[tuple[str, int], ...], dict[str, Any]]:
    """Read the hosts, separated by commas, and the options of connections to all of them."""
    ends = [at for at in (rest.find(mark) for mark in "/?#") if at >= 0]
    authority, tail = rest[: min(ends, default=len(rest))], rest[min(ends, default=len(rest)) :]
    secret, at, hosts = authority.rpartition("@")
    endpoints = []
    options: dict[str, Any] = {}
    for host in hosts.split(","):
        options = _parse(f"{base}://{secret}{at}{host.strip()}{tail}")
        endpoints.append((options.pop("host", "localhost"), options.pop("port", usual_port)))
    return tuple(endpoints), options
