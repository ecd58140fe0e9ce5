"""One version, wherever it is told."""

import re
import tomllib
from pathlib import Path

from tests.support import plain_http
from tests.support.clock import HandClock
from tests.support.server import running_server

ROOT = Path(__file__).parents[1]


def test_the_package_its_change_log_and_what_it_serves_are_of_one_version(tmp_path: Path) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest is not None
    assert newest[1] == version
    with running_server(HandClock(), data_dir=str(tmp_path)) as ready:
        assert plain_http.get(f"{ready.url}/health").json()["version"] == version
        assert plain_http.get(f"{ready.url}/api/v1/openapi.json").json()["info"]["version"] == version
