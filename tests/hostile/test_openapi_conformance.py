"""Whatever is sent to the API, the answer is one that its own OpenAPI document describes.

Schemathesis makes the requests from the document that the server gives out: about 1,500, sound ones and wrong
ones. Some 30 seconds on a quiet machine, nearly all of it for making them.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.processes import ADMIN_KEY, ServerProcess, running_server_process
from tests.support.site import BASE
from wr.server.settings import describe_settings

CONFIGURATION = Path(__file__).with_name("openapi_conformance.toml")
ROOT = Path(__file__).parents[2]
PATIENCE_S = 300.0
"""Ten times what it takes: other work may share the machine. It ends a run that hangs."""

# A plain request opens no WebSocket.
NEVER_SUCCEEDS = {"queue_feed_websocket"}
SETTINGS = {
    # Without limits: a client that is told to wait is not told what the document promises.
    **{setting.name: "0" for setting in describe_settings() if setting.name.startswith("limit_")},
    "admission_interval": "0.02",
    # The webhooks that are made up may be called nowhere, and what is to be told is given up at once.
    "webhook_forbidden": "0.0.0.0/0,::/0",
    "webhook_tries": "1",
}


@dataclass(frozen=True)
class Run:
    """A run that has ended: what it found, and how often each operation gave which status."""

    exit_code: int
    output: str
    statuses: dict[str, dict[str, int]]


def run_against(servers: Sequence[ServerProcess], folder: Path) -> Run:
    """Have Schemathesis send its requests to servers of one room, which take turns."""
    report = folder / "statuses.json"
    run = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIGURATION)),
            *("run", f"{servers[0].url}{BASE}/openapi.json", "--no-color"),
        ],
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "SCHEMATHESIS_HOOKS": "tests.hostile.openapi_scene",
            "WR_SCENE_URLS": " ".join(server.url for server in servers),
            "WR_SCENE_ADMIN_KEY": ADMIN_KEY,
            "WR_SCENE_REPORT": str(report),
        },
        # It keeps what it found in the current folder.
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    return Run(run.returncode, run.stdout, json.loads(report.read_text()))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """One run against both lanes."""
    folder = tmp_path_factory.mktemp("conformance")
    with running_server_process(folder / "fast", **SETTINGS) as fast:
        settings = {**SETTINGS, "store_url": fast.store.url, "fast_lane": "off"}
        with running_server_process(folder / "general", **settings) as general:
            yield run_against((fast, general), folder)
            assert "Traceback" not in fast.log + general.log


def test_every_answer_is_one_that_the_document_describes(run: Run) -> None:
    assert run.exit_code == 0, run.output


def test_every_operation_is_reached_and_not_only_refused(run: Run) -> None:
    # A server that refuses everything answers as the document says, too.
    succeeded = {name for name, counts in run.statuses.items() if any(each[0] == "2" for each in counts)}
    assert set(run.statuses) - succeeded == NEVER_SUCCEEDS
