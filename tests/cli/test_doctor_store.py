"""The doctor's checks of the store: facts from real ones, judgement by table."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.support.clusters import StoreCluster
from tests.support.engines import Engine, free_port, running_engine
from wr.doctor import store_server
from wr.doctor.finding import Finding, Severity
from wr.doctor.store_server import StoreFacts

VALKEY = StoreFacts(
    engine="Valkey",
    version="9.1.0",
    is_append_only=True,
    fsync="everysec",
    save="",
    policy="noeviction",
    used_bytes=10 * 2**20,
    max_bytes=100 * 2**20,
)
DRAGONFLY = StoreFacts(
    engine="DragonflyDB", version="1.40.0", snapshot_cron="* * * * *", snapshot_name="wr", policy="noeviction"
)


def changed(facts: StoreFacts, **changes: object) -> StoreFacts:
    return StoreFacts(**{**vars(facts), **changes})  # type: ignore[arg-type]


def verdicts(findings: list[Finding]) -> dict[str, str]:
    return {finding.subject: str(finding.severity) for finding in findings}


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with running_engine("valkey", tmp_path_factory.mktemp("doctor")) as engine:
        yield engine


def test_the_embedded_engine_is_named_with_its_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    finding = store_server.check_engine(tmp_path)
    assert finding.severity is Severity.GOOD
    assert finding.found.startswith("valkey 9.")


def test_an_embedded_dragonfly_is_warned_of_for_what_its_crash_costs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "dragonfly"
    fake.write_text("#!/bin/sh\necho dragonfly v1.40.0-0123abc\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    finding = store_server.check_engine(tmp_path)
    assert finding.severity is Severity.UNSURE
    assert finding.found.startswith(f"dragonfly 1.40.0, {fake}: ")
    assert "with an empty data folder" in finding.fix
    (tmp_path / "appendonlydir").mkdir()
    (tmp_path / "appendonlydir" / "wr.aof.manifest").touch()
    finding = store_server.check_engine(tmp_path)
    assert finding.is_bad
    assert "holds appendonlydir of valkey" in finding.found


def test_an_engine_that_does_not_run_is_bad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "dragonfly"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    finding = store_server.check_engine(tmp_path)
    assert finding.is_bad
    assert str(broken) in finding.found


def test_a_real_store_without_persistence_is_found_out(valkey: Engine) -> None:
    findings = store_server.check_store(valkey.url)
    assert verdicts(findings) == {
        "store": "✓",
        "store's data": "✗",
        "store's memory": "!",
        "store's clock": "✓",
    }
    assert findings[0].found.startswith("Valkey 9")
    assert "without a limit" in findings[2].found


def test_a_real_store_is_good_once_it_is_mended_as_the_findings_say(valkey: Engine) -> None:
    with valkey.client() as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        assert verdicts(store_server.check_store(valkey.url))["store's memory"] == "✗"
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", "100mb")
        client.config_set("save", "60 1")
        assert verdicts(store_server.check_store(valkey.url))["store's data"] == "!"
        client.config_set("save", "")
        client.config_set("appendonly", "yes")
        assert set(verdicts(store_server.check_store(valkey.url)).values()) == {"✓"}
        client.config_set("appendonly", "no")


def test_a_store_that_tells_little_is_warned_of_not_condemned(valkey: Engine) -> None:
    with valkey.client() as client:
        client.execute_command(
            *("ACL", "SETUSER", "guest", "on", ">my-secret", "~*", "+@all", "-config", "-info")
        )
    url = valkey.url.replace("redis://", "redis://guest:my-secret@")
    findings = store_server.check_store(url)
    assert verdicts(findings) == {
        "store": "✓",
        "store's data": "!",
        "store's memory": "!",
        "store's clock": "✓",
    }
    assert "my-secret" not in " ".join(map(str, findings))
    (refused,) = store_server.check_store(url.replace("my-secret", "my-other-secret"))
    assert refused.is_bad
    assert "refuses the user name or password" in refused.found
    assert "secret" not in str(refused)


def test_a_store_that_is_not_there_is_bad() -> None:
    (finding,) = store_server.check_store(f"redis://:my-secret@127.0.0.1:{free_port()}")
    assert finding.is_bad
    assert "Connection refused" in finding.found
    assert "my-secret" not in str(finding)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://127.0.0.1:6379", "redis://127.0.0.1:6379"),
        ("unix:///run/store.sock", "unix:///run/store.sock"),
        ("rediss://me:my-secret@store.example:6380/2", "rediss://***@store.example:6380/2"),
        ("redis://:my-secret/with@odd?signs#in@store.example", "redis://***@store.example"),
        ("unix://:my-secret@/run/store.sock?db=1", "unix://***@/run/store.sock"),
        ("redis://store.example?password=my-secret", "redis://***"),
        ("redis://store.example?ssl_password=my@secret", "redis://***"),
    ],
)
def test_a_url_is_shown_without_its_secrets(url: str, shown: str) -> None:
    assert store_server.redacted(url) == shown
    assert "secret" not in " ".join(map(str, store_server.check_store(f"nonsense{url}")))


@pytest.mark.parametrize(
    "url",
    [
        "redis://:my-secret/x@127.0.0.1:1",
        "redis://:my-secret[x@127.0.0.1:1",
        "my-secret",
        "redis://h:port",
    ],
)
def test_a_url_that_is_none_is_not_repeated_in_parts(url: str) -> None:
    (finding,) = store_server.check_store(url)
    assert finding.is_bad
    assert "my-secret" not in finding.found.replace(store_server.redacted(url), "")


@pytest.mark.parametrize(
    ("facts", "verdict"),
    [
        (VALKEY, Severity.GOOD),
        (changed(VALKEY, fsync="always"), Severity.GOOD),
        (changed(VALKEY, fsync=None), Severity.GOOD),
        (changed(VALKEY, fsync="no"), Severity.UNSURE),
        (changed(VALKEY, is_append_only=False, save="60 1"), Severity.UNSURE),
        (changed(VALKEY, is_append_only=False, save=""), Severity.BAD),
        (changed(VALKEY, is_append_only=False, save=None), Severity.UNSURE),
        (changed(VALKEY, is_append_only=None, save=None), Severity.UNSURE),
        (DRAGONFLY, Severity.GOOD),
        (changed(DRAGONFLY, snapshot_cron=""), Severity.UNSURE),
        (changed(DRAGONFLY, snapshot_cron=None), Severity.UNSURE),
        (changed(DRAGONFLY, snapshot_name=""), Severity.BAD),
    ],
)
def test_what_a_crash_of_the_store_would_lose_is_judged(facts: StoreFacts, verdict: Severity) -> None:
    finding = store_server.judge_persistence(facts)
    assert finding.severity is verdict
    assert bool(finding.fix) is (verdict is not Severity.GOOD)


@pytest.mark.parametrize(
    ("policy", "verdict"),
    [
        ("noeviction", Severity.GOOD),
        ("allkeys-lru", Severity.BAD),
        ("volatile-ttl", Severity.BAD),
        ("cache_mode", Severity.BAD),
        (None, Severity.UNSURE),
    ],
)
def test_a_store_that_forgets_people_when_it_is_full_is_bad(policy: str | None, verdict: Severity) -> None:
    assert store_server.judge_memory(changed(VALKEY, policy=policy)).severity is verdict


@pytest.mark.parametrize(
    ("used", "most", "verdict"),
    [
        (79, 100, Severity.GOOD),
        (80, 100, Severity.UNSURE),
        (94, 100, Severity.UNSURE),
        (95, 100, Severity.BAD),
        (10, 0, Severity.UNSURE),
        (None, None, Severity.UNSURE),
    ],
)
def test_a_store_that_is_nearly_full_or_has_no_limit_is_warned_of(
    used: int | None, most: int | None, verdict: Severity
) -> None:
    finding = store_server.judge_memory(changed(VALKEY, used_bytes=used, max_bytes=most, machine_bytes=2**30))
    assert finding.severity is verdict
    assert bool(finding.fix) is (verdict is not Severity.GOOD)


@pytest.mark.parametrize(("skew_s", "is_bad"), [(0.9, False), (-0.9, False), (1.1, True), (-1.1, True)])
def test_a_clock_more_than_a_second_away_is_bad(skew_s: float, is_bad: bool) -> None:
    finding = store_server.judge_clock(changed(VALKEY, skew_s=skew_s))
    assert finding.is_bad is is_bad
    assert ("ahead" in finding.found) is (skew_s > 0)


def test_a_redis_older_than_7_is_bad() -> None:
    assert store_server.judge_version(changed(VALKEY, engine="Redis", version="6.2.14"), "").is_bad
    assert not store_server.judge_version(changed(VALKEY, engine="Redis", version="7.0.15"), "").is_bad
    assert not store_server.judge_version(changed(DRAGONFLY, version="1.40.0"), "").is_bad


def test_what_dragonfly_tells_of_itself_is_understood() -> None:
    facts = store_server.facts_of(Dragonfly(cache_mode="store", maxmemory_policy="noeviction"), 0.25)  # type: ignore[arg-type]
    assert facts == changed(DRAGONFLY, skew_s=0.25)
    assert store_server.facts_of(Dragonfly(cache_mode="cache"), 0.0).policy == "cache_mode"  # type: ignore[arg-type]


class Dragonfly:
    """Answers as DragonflyDB 1.40 does: no append-only file, its own names for snapshots."""

    def __init__(self, **memory: str) -> None:
        self._memory = memory

    def info(self, section: str) -> dict[str, object]:
        server = {"redis_version": "7.4.0", "dragonfly_version": "df-v1.40.0", "redis_mode": "standalone"}
        return {"server": server, "memory": self._memory, "persistence": {"loading": 0}}[section]  # type: ignore[return-value]

    def config_get(self, *patterns: str) -> dict[str, str]:
        if len(patterns) > 1:
            raise redis.ResponseError("wrong number of arguments for 'config' command")
        known = {"snapshot_cron": "* * * * *", "dbfilename": "wr"}
        return {name: value for name, value in known.items() if name in patterns}


def test_of_a_cluster_each_primary_is_looked_at(cluster: StoreCluster) -> None:
    findings = store_server.check_store(cluster.nodes[-1].url)
    by_subject = [finding for finding in findings if finding.subject == "store's cluster"]
    assert [str(finding.severity) for finding in by_subject] == ["✓"], findings
    assert by_subject[0].found.startswith("3 primaries: ")
    looked_at = {finding.found.rpartition(" ")[2] for finding in findings if finding.subject == "store"}
    assert looked_at == {f"127.0.0.1:{node.port}" for node in cluster.primaries()}


def test_a_cluster_that_stops_as_a_whole_is_warned_of(cluster: StoreCluster) -> None:
    node = cluster.primaries()[0]
    node.client.config_set("cluster-require-full-coverage", "yes")
    try:
        findings = store_server.check_store(cluster.url)
    finally:
        node.client.config_set("cluster-require-full-coverage", "no")
    warned = [
        finding for finding in findings if str(finding.severity) == "!" and "cluster" in finding.subject
    ]
    assert ["cluster-require-full-coverage no" in finding.fix for finding in warned] == [True]


@pytest.mark.parametrize(
    "url",
    [
        "redis+cluster://127.0.0.1:1/3",
        "redis+sentinel://127.0.0.1:1",
        "redis+sentinel://127.0.0.1:1/name?sentinel_colour=red",
        "redis://127.0.0.1:1,127.0.0.1:2",
        "unix+cluster:///somewhere",
        "redis+moon://127.0.0.1:1",
    ],
)
def test_addresses_of_several_machines_that_make_no_sense_are_refused(url: str) -> None:
    (finding,) = store_server.check_store(url)
    assert "not a valid URL of a store" in finding.found
