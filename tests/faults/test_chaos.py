"""A sale with faults: two servers and their store are killed and frozen mid-sale, and every promise is kept.

The long run is a command: `wr rehearse --chaos all --chaos-faults 300 --chaos-servers 3`.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import eventually

pytestmark = pytest.mark.alone

SALE = (
    "--chaos-faults",
    "8",
    "--chaos-every",
    "0.7",
    "--chaos-longest",
    "1.2",
    "--visitors",
    "40",
    "--seed",
    "11",
)


def processes_below(folder: Path) -> list[str]:
    """The commands of all processes of this machine that name a folder."""
    found = []
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = command.read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if os.fsencode(folder) in words:
            found.append(words.decode(errors="replace"))
    return found


def test_every_promise_is_kept_while_servers_and_store_are_killed_and_frozen(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "wr", "rehearse", "--chaos", "all", *SALE]
    played = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    output = played.stdout
    assert played.returncode == 0, output + played.stderr
    assert "No promise was broken" in output
    # On a slow machine the last ones do not come to their turn before the last visitor has gone.
    assert len(re.findall(r"(?m)^ +[\d.]+ s  fault \d+:", output)) >= 4, output
    eventually(lambda: not processes_below(tmp_path), "all processes have ended")
    assert not list(tmp_path.glob("wr-chaos-*")), "the throwaway folder is still there"
