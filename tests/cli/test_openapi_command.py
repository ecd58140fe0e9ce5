"""`wr openapi`."""

import json
from pathlib import Path

from tests.cli.conftest import run_wr
from tests.support import plain_http
from wr.server.lifecycle import Ready


def test_it_prints_the_document_that_the_server_serves(server: Ready) -> None:
    result = run_wr("openapi")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == plain_http.get(f"{server.url}/api/v1/openapi.json").json()


def test_it_writes_the_same_document_to_a_file(tmp_path: Path) -> None:
    file = tmp_path / "openapi.json"
    result = run_wr("openapi", "--output", str(file))
    assert (result.exit_code, result.stdout) == (0, "")
    assert file.read_text() == run_wr("openapi").stdout


def test_a_file_that_cannot_be_written_is_reported_in_one_line(tmp_path: Path) -> None:
    result = run_wr("openapi", "-o", str(tmp_path / "no" / "openapi.json"))
    assert result.exit_code == 1
    assert result.stderr == f"wr: cannot write {tmp_path}/no/openapi.json: No such file or directory\n"
