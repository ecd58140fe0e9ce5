"""Which faults happen and when; and that no process is touched but a rehearsal's own."""

import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
from click.testing import CliRunner

from tests.support.processes import eventually
from wr.cli.main import main
from wr.rehearse.chaos.faults import Fault, FaultKind, parse_kinds, schedule
from wr.rehearse.chaos.own_processes import OwnProcess, own_environment
from wr.rehearse.chaos.own_store import BadCommand, OwnStore

SLEEPS = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]


def faults(seed: int = 1, number: int = 270, servers: int = 3, longest_s: float = 9.0) -> list[Fault]:
    return list(
        schedule(
            tuple(FaultKind),
            faults=number,
            every_s=4.0,
            longest_s=longest_s,
            servers=servers,
            heartbeat_timeout_s=6,
            random=Random(seed),
        )
    )


def test_the_same_seed_has_the_same_faults_happen() -> None:
    assert faults(7) == faults(7)
    assert faults(7) != faults(8)


def test_every_kind_happens_equally_often_and_some_last_longer_than_a_visitor_may_be_silent() -> None:
    planned = faults()
    assert [fault.number for fault in planned] == list(range(1, 271))
    for kind in FaultKind:
        of_kind = [fault for fault in planned if fault.kind is kind]
        assert len(of_kind) == 30
        assert kind.may_be_long == any(fault.lasts_s > 6 for fault in of_kind), kind
    assert {fault.server for fault in planned if fault.kind is FaultKind.KILL_SERVER} == {0, 1, 2}
    assert all(before.at_s < after.at_s for before, after in pairwise(planned))
    assert max(fault.lasts_s for fault in faults(longest_s=1.0)) == 1.0
    assert 900 < planned[-1].at_s < 1260


def test_faults_are_named_as_the_help_says() -> None:
    assert parse_kinds("all") == tuple(FaultKind)
    assert parse_kinds("kill-store, freeze-server,kill-store") == (
        FaultKind.KILL_STORE,
        FaultKind.FREEZE_SERVER,
    )
    with pytest.raises(ValueError, match=r"no fault 'kill-all'.*there are: kill-server"):
        parse_kinds("kill-all")
    with pytest.raises(ValueError, match="no fault is named"):
        parse_kinds(" ,")
    described = CliRunner().invoke(main, ["rehearse", "--help"]).output
    assert all(kind.value in " ".join(described.split()).replace("- ", "-") for kind in FaultKind)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--chaos", "all", "--url", "http://127.0.0.1:1"], "leave out --url"),
        (["--chaos", "all", "--queue", "sale"], "leave out --queue"),
        (["--chaos", "all", "--data-dir", "data"], "leave out --data-dir"),
        (["--chaos-faults", "5"], "--chaos-faults needs --chaos"),
        (["--chaos", "nonsense"], "--chaos: there is no fault 'nonsense'"),
        (["--chaos", "all", "--chaos-store-command", "sleep 1"], "must contain {folder}"),
        (
            ["--chaos", "all", "--chaos-store-command", "no-such-store {folder} {port}"],
            "there is no command 'no-such-store'",
        ),
    ],
)
def test_what_cannot_be_played_is_said_before_anything_is_started(options: list[str], message: str) -> None:
    result = CliRunner().invoke(main, ["rehearse", *options])
    assert result.exit_code == 2
    assert message in result.output
    assert result.output.count("\n") == 1


def test_a_process_is_killed_and_frozen_through_the_object_that_started_it_only(tmp_path: Path) -> None:
    own = OwnProcess("own", SLEEPS, tmp_path / "log", own_environment())
    own.kill()
    own.freeze()
    with subprocess.Popen(SLEEPS, stdout=subprocess.DEVNULL) as stranger:
        own.start()
        eventually(lambda: "up" in own.log_file.read_text(), "it runs")
        own.freeze()
        own.kill()
        assert own.exit_code == -9
        # Its number may be another process's by now: no signal goes anywhere.
        own.thaw()
        own.kill()
        assert stranger.poll() is None
        own.start()
        own.ask_to_stop()
        assert own.wait()
        stranger.kill()


def test_own_processes_take_no_settings_of_the_operators_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WR_STORE_URL", "redis://production:6379")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318")
    monkeypatch.setenv("REHEARSAL_KEEPS_THIS", "yes")
    kept = own_environment()
    assert kept["REHEARSAL_KEEPS_THIS"] == "yes"
    assert not any(name.startswith(("WR_", "OTEL_")) for name in kept)


def test_a_store_is_emptied_and_set_back_to_the_older_of_two_snapshots(tmp_path: Path) -> None:
    store = OwnStore(tmp_path, "")
    data = tmp_path / "store"
    assert store.rewind() == float("-inf"), "without a snapshot nothing is left"
    for at_s, content in ((1.0, "first"), (2.0, "second"), (3.0, "third")):
        (data / "file").write_text(content)
        store.take_snapshot(at_s)
    (data / "file").write_text("newest")
    assert store.rewind() == 2.0
    assert (data / "file").read_text() == "second"
    store.forget()
    assert not any(data.iterdir())


def test_another_store_is_started_with_the_operators_command(tmp_path: Path) -> None:
    store = OwnStore(tmp_path, f"{sys.executable} -c pass --port={{port}} --dir {{folder}}")
    assert store.url.startswith("redis://127.0.0.1:")
    assert not store.keeps_all
    with pytest.raises(BadCommand, match="cannot be read"):
        OwnStore(tmp_path / "store", "'{folder} {port}")
