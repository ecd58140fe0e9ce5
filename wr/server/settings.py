"""Every setting, once: type, default, environment name, help."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from wr.model.client_address import Network, parse_networks
from wr.model.limits import Limit, parse_limit
from wr.model.signing import Algorithm
from wr.server.setting_values import (
    algorithm,
    bind,
    boolean,
    choice,
    count,
    log_level,
    nats_url,
    on_or_off,
    origin,
    origins,
    positive_count,
    seconds,
    seconds_or_none,
)


class BadSetting(ValueError):
    """A setting has a value that it cannot have; the message names it and says what it takes."""


class Group(StrEnum):
    """The headings that settings are shown under, in that order."""

    NETWORK = "Network"
    STORE = "Store"
    ADMIN = "Admin key"
    LIMITS = "Rate limits (10/60 is ten times in 60 seconds, 0 is no limit)"
    ADMISSION = "Admission"
    TOKENS = "Tokens"
    EVENTS = "Events"
    RUNNING = "Running"


def _setting(
    default: Any, help_text: str, read: Any = str, *, group: Group, form: str = "TEXT", also: str = ""
) -> Any:
    """Describe a setting; `form` is what a value looks like, `read` makes it of text or raises ValueError.

    `also` is a variable without the prefix that platforms set; it counts where the setting's own is not set.
    """
    described = {"help": help_text, "read": read, "group": group, "form": form, "also": also}
    return field(default=default, metadata=described)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What `wr serve` is told. Each field `x_y` is the flag `--x-y` and the environment variable `WR_X_Y`."""

    bind: str = _setting(
        "127.0.0.1:8080",
        "Address and port to listen on: 127.0.0.1 is reached from this machine only, 0.0.0.0 from "
        "everywhere; port 0 picks a free one; an address alone is joined with PORT, or else with 8080",
        bind,
        group=Group.NETWORK,
        form="ADDRESS[:PORT]",
        also="PORT",
    )
    trusted_proxies: tuple[Network, ...] = _setting(
        parse_networks("127.0.0.0/8, ::1/128"),
        "Addresses or networks of your own proxies, separated by commas; nobody else is believed about whose "
        "address stands in X-Forwarded-For",
        parse_networks,
        group=Group.NETWORK,
        form="NETWORKS",
    )
    public_url: str = _setting(
        "",
        "Origin at which visitors reach the server, as https://wait.example.com, for QR codes and links; "
        "unless given, the one of each request",
        origin,
        group=Group.NETWORK,
        form="URL",
    )
    allowed_origins: tuple[str, ...] = _setting(
        (),
        "Sites whose pages may use the visitors' API from a browser, separated by commas, such as "
        "https://shop.example.com; * is all of them",
        origins,
        group=Group.NETWORK,
        form="ORIGINS",
    )
    tls_certificate_file: str = _setting(
        "",
        "PEM file with the server's certificate and those that vouch for it; with it, https is served and "
        "http is not",
        group=Group.NETWORK,
        form="FILE",
    )
    tls_key_file: str = _setting(
        "",
        "PEM file with the certificate's private key; unless given, it is in the certificate's file",
        group=Group.NETWORK,
        form="FILE",
    )
    http2: str = _setting(
        "off",
        "Where HTTP/2 is served: off (nowhere), tls (if a client asks for it in the TLS handshake) or on "
        "(also if a connection begins with it, in the clear too); a request over it costs several times as "
        "much as one over HTTP/1.1",
        choice("off", "tls", "on"),
        group=Group.NETWORK,
        form="off|tls|on",
    )
    fast_lane: bool = _setting(
        True,
        "Serve plain HTTP/1.1 requests and live streams without the general-purpose framework, several times "
        "as fast; off for comparison, or to tell where a fault lies",
        on_or_off,
        group=Group.NETWORK,
        form="on|off",
    )
    max_connections: int = _setting(
        0,
        "Connections served at once; a few more are answered with 503, any others wait to be accepted; 0 is "
        "as many as the limit on open files leaves room for",
        count,
        group=Group.NETWORK,
        form="COUNT",
    )
    connections_per_address: int = _setting(
        0,
        "Connections, and also live streams, that one client address (IPv4, or /64 of IPv6) may hold at "
        "once; trusted proxies may hold any number; 0 is a tenth of the connections served at once, at "
        "least 64",
        count,
        group=Group.NETWORK,
        form="COUNT",
    )
    requests_per_connection: int = _setting(
        10_000,
        "Requests on one connection, after which the client is asked to open another",
        positive_count,
        group=Group.NETWORK,
        form="COUNT",
    )
    idle_timeout: float = _setting(
        75.0,
        "Seconds that a connection may stay open between two requests; let it be longer than that of a proxy "
        "in front",
        seconds,
        group=Group.NETWORK,
        form="SECONDS",
    )
    head_timeout: float = _setting(
        10.0,
        "Seconds that the head of a request may take to arrive, and a new connection its first byte",
        seconds,
        group=Group.NETWORK,
        form="SECONDS",
    )
    body_timeout: float = _setting(
        20.0,
        "Seconds that the body of a request, which is at most a few kilobytes, may take to arrive",
        seconds,
        group=Group.NETWORK,
        form="SECONDS",
    )
    send_timeout: float = _setting(
        30.0,
        "Seconds that a client may take to read what it is sent",
        seconds,
        group=Group.NETWORK,
        form="SECONDS",
    )
    data_dir: Path = _setting(
        Path("data"),
        "Folder of the embedded store's data and of the admin-key file",
        Path,
        group=Group.STORE,
        form="FOLDER",
    )
    store_url: str = _setting(
        "",
        "DragonflyDB, Valkey or Redis server that keeps all state, such as redis://host:6379, "
        "rediss://host:6379 (TLS), unix:///path, redis+cluster://host:6379,host:6379 or "
        "redis+sentinel://host:26379,host:26379/name; unless given, wr starts a store of its own in the data "
        "folder",
        group=Group.STORE,
        form="URL",
        also="DRAGONFLYDB_URL",
    )
    store_fsync: str = _setting(
        "everysec",
        "How often the embedded Valkey makes sure that its data is on disk: everysec (a crash of the machine "
        "costs the last second) or always (costs nothing but speed); a dragonfly saves once a minute",
        choice("everysec", "always"),
        group=Group.STORE,
        form="everysec|always",
    )
    store_memory: int = _setting(
        0,
        "Most memory of the embedded store in MiB; when it is nearly full, joins are refused; 0 is half of "
        "what the machine or its container has, and with dragonfly what that takes by itself",
        count,
        group=Group.STORE,
        form="MIB",
    )
    store_patience: float = _setting(
        60.0,
        "Seconds that the start waits for a store that does not answer yet, then it fails; 0 does not wait",
        seconds_or_none,
        group=Group.STORE,
        form="SECONDS",
    )
    store_prefix: str = _setting(
        "wr",
        "First part of every key in the store; servers that share a store are one waiting room if they share "
        "this too, and know nothing of each other if not",
        group=Group.STORE,
    )
    admin_key: str = _setting(
        "",
        "Secret that admin calls send as X-Admin-Key; rather set the variable, for command lines are no "
        "secret; unless given, one is generated, printed once to a terminal, and kept in the store and in "
        "admin-key in the data folder",
        group=Group.ADMIN,
        form="KEY",
    )
    show_admin_key: bool = _setting(
        False,
        "Print the admin key at every start, not only when it is generated; either way to a terminal only",
        boolean,
        group=Group.ADMIN,
    )
    limit_enqueue: Limit = _setting(
        Limit(10),
        "Joins from one client address, over all queues",
        parse_limit,
        group=Group.LIMITS,
        form="COUNT/SECONDS",
    )
    limit_status: Limit = _setting(
        Limit(60),
        "Questions where one stands with one token, and, counted apart, leaving",
        parse_limit,
        group=Group.LIMITS,
        form="COUNT/SECONDS",
    )
    limit_heartbeat: Limit = _setting(
        Limit(30), "Heartbeats with one token", parse_limit, group=Group.LIMITS, form="COUNT/SECONDS"
    )
    limit_activity: Limit = _setting(
        Limit(100), "Activity reports of one session", parse_limit, group=Group.LIMITS, form="COUNT/SECONDS"
    )
    limit_guess: Limit = _setting(
        Limit(10),
        "Wrong keys, tokens and passes from one client address; beyond that not even the right one is "
        "looked at",
        parse_limit,
        group=Group.LIMITS,
        form="COUNT/SECONDS",
    )
    limit_caller: Limit = _setting(
        Limit(3000),
        "Calls of the second API (/api/v1/waiting-queue) from one client address, where they bring no token "
        "of a user and no key of the site; 500 visitors that ask every ten seconds are 3000/60",
        parse_limit,
        group=Group.LIMITS,
        form="COUNT/SECONDS",
    )
    limit_admin: Limit = _setting(
        Limit(100), "Admin calls with the admin key", parse_limit, group=Group.LIMITS, form="COUNT/SECONDS"
    )
    admission_interval: float = _setting(
        0.25,
        "Seconds between two rounds of letting people in; how many get in is each queue's own setting",
        seconds,
        group=Group.ADMISSION,
        form="SECONDS",
    )
    recovery_wait: float = _setting(
        60.0,
        "Seconds at most that no visitor is let in after the store came back without places that it had "
        "acknowledged; otherwise one heartbeat interval of the queue",
        seconds,
        group=Group.ADMISSION,
        form="SECONDS",
    )
    live_interval: float = _setting(
        2.0,
        "Seconds between two position updates on a live stream; people far back get them less often",
        seconds,
        group=Group.ADMISSION,
        form="SECONDS",
    )
    ping_interval: float = _setting(
        15.0,
        "Seconds between two pings on a WebSocket; a visitor who answers none of two is gone",
        seconds,
        group=Group.ADMISSION,
        form="SECONDS",
    )
    waiting_queue_auth: str = _setting(
        "none",
        "Whether the second API (/api/v1/waiting-queue) asks for your users' own tokens: none, or jwt (the "
        "bearer token's sub must be the userId)",
        choice("none", "jwt"),
        group=Group.TOKENS,
        form="none|jwt",
    )
    waiting_queue_key_file: str = _setting(
        "",
        "File with what checks those tokens: a PEM public key, or a shared secret of at least 32 bytes",
        group=Group.TOKENS,
        form="FILE",
    )
    position_token_lifetime: float = _setting(
        1800.0,
        "Seconds that a position token is valid; a visitor who keeps asking is given a fresh one in time",
        seconds,
        group=Group.TOKENS,
        form="SECONDS",
    )
    origin_key: str = _setting(
        "",
        "Secret with which the site behind the gate ends or extends sessions (X-WR-Origin-Key); unless "
        "given, only the admin key does",
        group=Group.ADMIN,
        form="KEY",
    )
    pass_key: str = _setting(
        "",
        "What checks the passes that your site signs: a file with a PEM public key or a shared secret of at "
        "least 32 bytes, or the URL of a JWKS; unless given, only passes of `wr pass issue` count",
        group=Group.TOKENS,
        form="FILE|URL",
    )
    position_algorithm: Algorithm = _setting(
        Algorithm.HS256,
        "How position tokens are signed; only wr reads them, so the quickest will do",
        algorithm,
        group=Group.TOKENS,
        form="|".join(Algorithm),
    )
    session_algorithm: Algorithm = _setting(
        Algorithm.RS256,
        "How session tokens are signed; your site checks them with the public key that wr publishes, which "
        "HS256 does not have",
        algorithm,
        group=Group.TOKENS,
        form="|".join(Algorithm),
    )
    session_key_file: str = _setting(
        "",
        "PEM file with the private key that signs session tokens; unless given, one is generated and kept in "
        "the store",
        group=Group.TOKENS,
        form="FILE",
    )
    nats_url: str = _setting(
        "",
        "NATS server with JetStream that events are published to, such as nats://host:4222 or "
        "tls://user:password@host:4222, or several of a cluster, separated by commas; rather set the "
        "variable where there is a password; unless given, nothing is published",
        nats_url,
        group=Group.EVENTS,
        form="URL",
        also="NATS_URL",
    )
    event_source: str = _setting(
        "",
        "What events call this server; unless given, the name of its machine",
        group=Group.EVENTS,
        form="NAME",
    )
    event_buffer: int = _setting(
        100_000,
        "Events kept for NATS, and for each webhook, while they cannot be sent; those beyond are dropped and "
        "counted; each takes 100 to 450 bytes and what metadata it has, and up to 1 KB more while a webhook "
        "is to be tried again",
        positive_count,
        group=Group.EVENTS,
        form="COUNT",
    )
    webhook_timeout: float = _setting(
        10.0,
        "Seconds that a webhook may take to answer",
        seconds,
        group=Group.EVENTS,
        form="SECONDS",
    )
    webhook_tries: int = _setting(
        8,
        "How often a delivery is tried before it becomes a dead letter",
        positive_count,
        group=Group.EVENTS,
        form="COUNT",
    )
    webhook_pause: float = _setting(
        2.0,
        "Seconds after the first failure of a delivery until the next try; twice as many after each other",
        seconds,
        group=Group.EVENTS,
        form="SECONDS",
    )
    webhook_forbidden: tuple[Network, ...] = _setting(
        parse_networks(
            "169.254.0.0/16, fe80::/10, fd00:ec2::254/128, fd20:ce::254/128, 100.100.100.200/32, "
            "168.63.129.16/32"
        ),
        "Addresses or networks that webhooks must not call, separated by commas; the default is where clouds "
        "tell machines their secrets",
        parse_networks,
        group=Group.EVENTS,
        form="NETWORKS",
    )
    grace: float = _setting(
        10.0,
        "Seconds that requests under way and then the last events share when the server is stopped",
        seconds,
        group=Group.RUNNING,
        form="SECONDS",
    )
    log_format: str = _setting(
        "text",
        "How the log is written: text for people, json for machines",
        choice("text", "json"),
        group=Group.RUNNING,
        form="text|json",
    )
    log_level: str = _setting(
        "info",
        "What is logged: everything from this level on",
        log_level,
        group=Group.RUNNING,
        form="debug|info|warning|error",
        also="LOG_LEVEL",
    )
    access_log: bool = _setting(
        False,
        "Log a line for each request: route, status, milliseconds, request id and client address; never the "
        "path itself, the query or a token",
        on_or_off,
        group=Group.RUNNING,
        form="on|off",
    )
    metrics_from: tuple[Network, ...] = _setting(
        parse_networks("127.0.0.0/8, ::1/128, 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, fc00::/7"),
        "Addresses or networks, separated by commas, that may read /metrics, as long as there is no metrics "
        "token; empty is nobody",
        parse_networks,
        group=Group.RUNNING,
        form="NETWORKS",
    )
    metrics_token: str = _setting(
        "",
        "Secret that a reader of /metrics sends as a bearer token, wherever from; rather set the variable",
        group=Group.RUNNING,
        form="TOKEN",
    )
    demo_queue: bool = _setting(
        False,
        "Make the queues demo, concert-tickets and concert-1 at the start if there is no queue yet",
        boolean,
        group=Group.RUNNING,
    )

    @property
    def limits(self) -> dict[str, Limit]:
        """The limits by scope."""
        return {
            "enqueue": self.limit_enqueue,
            "status": self.limit_status,
            "heartbeat": self.limit_heartbeat,
            "activity": self.limit_activity,
            "admin": self.limit_admin,
            "guess": self.limit_guess,
            "caller": self.limit_caller,
        }


@dataclass(frozen=True, kw_only=True)
class SettingDescription:
    """One setting as operators know it: on the command line, in the environment and in the documentation."""

    name: str
    flag: str
    variable: str
    also: str
    """A variable without the prefix that counts where `variable` is not set; empty for none."""
    form: str
    """What a value looks like; empty for a switch."""
    default: str
    """The default as one would write it; empty when there is none."""
    help: str
    group: Group
    is_switch: bool


def describe_settings() -> tuple[SettingDescription, ...]:
    """Describe every setting, by group."""
    described = [
        SettingDescription(
            name=setting.name,
            flag=f"--{setting.name.replace('_', '-')}",
            variable=f"WR_{setting.name.upper()}",
            also=setting.metadata["also"],
            form="" if setting.metadata["read"] is boolean else setting.metadata["form"],
            default=_spell(setting.default, setting.metadata["form"]),
            help=_help(setting.name, setting.metadata),
            group=setting.metadata["group"],
            is_switch=setting.metadata["read"] is boolean,
        )
        for setting in fields(Settings)
    ]
    order = list(Group)
    return tuple(sorted(described, key=lambda setting: order.index(setting.group)))


def with_port(bind: str | None, environment: Mapping[str, str] = os.environ) -> str | None:
    """Complete the address to listen on: one without a port takes `PORT`, or 8080, and none at all becomes
    the usual address with `PORT`; without `PORT` it stays None."""
    port = environment.get("PORT", "")
    host, _, default_port = Settings.bind.rpartition(":")
    if bind is None:
        return f"{host}:{port}" if port else None
    try:
        address = ip_address(bind.removeprefix("[").removesuffix("]"))
    except ValueError:
        return bind
    name = f"[{address}]" if ":" in str(address) else str(address)
    return f"{name}:{port or default_port}"


def _help(name: str, metadata: Mapping[str, Any]) -> str:
    text: str = metadata["help"]
    also = metadata["also"]
    return f"{text}; where WR_{name.upper()} is not set, {also} counts" if also else text


def _spell(default: Any, form: str) -> str:
    if isinstance(default, bool):
        yes, no = form.split("|") if "|" in form else ("yes", "no")
        return yes if default else no
    if isinstance(default, float):
        return f"{default:g}"
    if isinstance(default, tuple):
        return ", ".join(map(str, default))
    return str(default)


def load_settings(flags: Mapping[str, str | None], environment: Mapping[str, str] = os.environ) -> Settings:
    """Put settings together: a flag wins over the environment, the environment over the default.

    A variable without the prefix counts where neither the flag nor the setting's own variable is given; an
    empty one counts as not set.

    Raises:
        BadSetting: one has a value that it cannot have.
    """
    values: dict[str, Any] = {}
    readers = {setting.name: setting.metadata["read"] for setting in fields(Settings)}
    for setting in describe_settings():
        text, source = flags.get(setting.name), setting.flag
        if text is None:
            text, source = environment.get(setting.variable), setting.variable
        if setting.name == "bind":
            text, source = with_port(text, environment), setting.also if text is None else source
        elif text is None and setting.also:
            text, source = environment.get(setting.also) or None, setting.also
        if text is None:
            continue
        try:
            values[setting.name] = readers[setting.name](text)
        except ValueError as error:
            raise BadSetting(f"{source}: {error}") from error
    return Settings(**values)
