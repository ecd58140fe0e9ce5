"""A real server on its embedded store, and the command line beside it."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.support.server import running_server
from wr.cli.main import main
from wr.server.lifecycle import Ready

Wr = Callable[..., Result]


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cli") / "data"


@pytest.fixture(scope="session")
def server(data_dir: Path) -> Iterator[Ready]:
    with running_server(None, data_dir=str(data_dir), limit_admin="0") as ready:
        yield ready


def run_wr(*arguments: str, answer: str = "", **environment: str) -> Result:
    """Run `wr` with no settings in its environment but what is given."""
    ours = {name: None for name in os.environ if name.startswith("WR_")}
    return CliRunner().invoke(main, arguments, input=answer, env={**ours, "COLUMNS": "200", **environment})


@pytest.fixture
def wr(server: Ready, data_dir: Path) -> Wr:
    """The command line as an operator uses it on the server's own machine: the key is found by itself."""

    def run(*arguments: str, answer: str = "") -> Result:
        return run_wr(*arguments, answer=answer, WR_URL=server.url, WR_DATA_DIR=str(data_dir))

    return run
