"""What the one-file `wr` does before it is `wr`, without building it; and the unit for systemd."""

import fcntl
import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

from tests.support.image import ROOT
from wr.server.settings import load_settings
from wr.store import embedded_store

UNIT = ROOT / "scripts/examples/wr.service"


@pytest.fixture(scope="module")
def start() -> ModuleType:
    spec = importlib.util.spec_from_file_location("start", ROOT / "scripts/binary/start.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def unpacked(folder: Path, name: str, age_s: float, *, whose: str = "wr") -> Path:
    made = folder / f"_MEI{name}"
    (made / whose).mkdir(parents=True)
    (made / whose / "file").write_text("")
    os.utime(made, (1_700_000_000 - age_s,) * 2)
    return made


def test_what_was_left_behind_is_removed_and_what_is_needed_is_not(tmp_path: Path, start: ModuleType) -> None:
    mine, left = unpacked(tmp_path, "mine", 1000), unpacked(tmp_path, "left", 1000)
    needed, new = unpacked(tmp_path, "needed", 1000), unpacked(tmp_path, "new", 5)
    foreign = unpacked(tmp_path, "foreign", 1000, whose="other_program")
    elsewhere = unpacked(tmp_path / "elsewhere", "linked", 1000)
    (tmp_path / "_MEIlink").symlink_to(elsewhere)
    descriptor = os.open(needed, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        start.clear_what_others_left(mine, 1_700_000_000)
    finally:
        os.close(descriptor)
    assert not left.exists()
    assert all((folder / "wr/file").exists() for folder in (mine, needed, new, elsewhere))
    assert foreign.exists(), "other programs unpack themselves alike, and lock nothing"


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("systemd-analyze is not installed")
    made = tmp_path / "wr.service"
    # What it starts is to be there.
    made.write_text(UNIT.read_text().replace("/usr/local/bin/wr", "/bin/true"))
    done = subprocess.run([analyze, "verify", made], capture_output=True, text=True, check=False, timeout=60)
    about = [line for line in done.stderr.splitlines() if "wr.service" in line]
    assert (done.returncode, about) == (0, []), done.stderr


def test_the_unit_signals_the_first_process_alone_and_waits_for_the_store() -> None:
    told = dict(re.findall(r"^(\w+)=(.*)$", UNIT.read_text(), re.MULTILINE))
    assert told["KillMode"] == "mixed"
    assert float(told["TimeoutStopSec"]) > load_settings({}, {}).grace + embedded_store.STOP_S + 5
    assert int(told["LimitNOFILE"]) >= 65536
