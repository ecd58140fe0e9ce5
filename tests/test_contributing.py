"""CONTRIBUTING.md holds: its paths exist, its commands work, its examples run in a copy of the program."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path

import pytest

from tests.support.processes import ServerProcess, running_server_process
from tests.test_layers import FLOORS

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text()
MOST_BYTES = 9_500
_SPAN = re.compile(r"`((?:wr|tests|scripts|bench)/[\w./-]*|[A-Z]+\.md)`")
_NEW_FILE = re.compile(r"^`(\S+)`:\n\n```(?:lua|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_DIFF = re.compile(r"^```diff\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SHELL = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)

NEW_FILES = dict(_NEW_FILE.findall(TEXT))
COMMANDS = [line for block in _SHELL.findall(TEXT) for line in block.splitlines()]


def hunks(diff: str) -> Iterator[tuple[str, str, str]]:
    """The hunks of a diff: the file, the lines as they are, and the lines as they shall be."""
    for part in re.split(r"^--- ", diff, flags=re.MULTILINE)[1:]:
        name, *blocks = re.split(r"\n@@\n", part)
        for block in blocks:
            lines = [line or " " for line in block.removesuffix("\n").split("\n")]
            before = "".join(f"{line[1:]}\n" for line in lines if line[0] != "+")
            after = "".join(f"{line[1:]}\n" for line in lines if line[0] != "-")
            yield name, before, after


def follow_the_examples(folder: Path) -> None:
    """Do what the examples say, in this copy of the program."""
    for name, content in NEW_FILES.items():
        file = folder / name
        assert not file.exists(), f"{name} is no new file"
        file.write_text(content)
    for diff in _DIFF.findall(TEXT):
        for name, before, after in hunks(diff):
            file = folder / name
            text = file.read_text()
            assert text.count(before) == 1, f"{name} should have these lines once:\n{before}"
            file.write_text(text.replace(before, after))


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the program and its tests, with the script and the endpoint of the examples."""
    folder = tmp_path_factory.mktemp("contributing")
    unwanted = shutil.ignore_patterns("__pycache__", "output", "pictures")
    for name in ("wr", "tests", "bench"):
        shutil.copytree(ROOT / name, folder / name, ignore=unwanted)
    for name in ("pyproject.toml", "README.md", "CHANGELOG.md"):
        shutil.copy(ROOT / name, folder)
    follow_the_examples(folder)
    return folder


@pytest.fixture(scope="module")
def server(copy: Path) -> Iterator[ServerProcess]:
    """A server that runs the copy. Python looks for a module in the working folder first."""
    with chdir(copy), running_server_process(copy / "data") as server:
        yield server


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder, with what it imports from there."""
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


def succeeds(folder: Path, *command: str) -> str:
    """Run a command that has to succeed; returns what it wrote."""
    done = run(folder, *command)
    assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_the_page_stays_a_page() -> None:
    assert len(TEXT.encode()) <= MOST_BYTES


@pytest.mark.parametrize("name", sorted(set(_SPAN.findall(TEXT)) - set(NEW_FILES)))
def test_each_file_that_is_named_exists(name: str) -> None:
    path = ROOT / name
    assert path.is_dir() if name.endswith("/") else path.is_file()


def test_the_rooms_are_the_folders_from_the_lowest_floor_to_the_highest() -> None:
    rooms = re.findall(r"^\| `wr/(\w+)/` \| \S.*\|$", TEXT, re.MULTILINE)
    folders = {file.parent.name for file in (ROOT / "wr").glob("*/__init__.py")}
    assert sorted(rooms) == sorted(folders)
    floors = [next(floor for floor, units in enumerate(FLOORS) if room in units) for room in rooms]
    assert floors == sorted(floors)


@pytest.mark.parametrize("line", COMMANDS)
def test_each_command_works_as_far_as_a_cheap_run_shows(line: str) -> None:
    words = shlex.split(line, comments=True)
    match words:
        case [".venv/bin/python", "-m", "pytest", *arguments]:
            listed = succeeds(ROOT, sys.executable, "-m", "pytest", "--collect-only", *arguments)
            assert "::" in listed, "some test is selected"
        case [".venv/bin/python", "-m", module]:
            assert (ROOT / f"{module.replace('.', '/')}.py").is_file()
        case ["./scripts/bench", "compare", *arguments]:
            succeeds(ROOT, sys.executable, "-m", "bench.compare", *arguments, "--help")
        case ["./scripts/bench", *arguments]:
            succeeds(ROOT, sys.executable, "-m", "bench.load", *arguments, "--help")
        case ["./scripts/setup", *extras]:
            assert {f"{extra}/requirements.lock" for extra in extras if extra != "test"} <= {
                str(file.relative_to(ROOT)) for file in ROOT.glob("*/requirements.lock")
            }
            succeeds(ROOT, "bash", "-n", "scripts/setup")
        case [script]:
            assert os.access(ROOT / script, os.X_OK)
            succeeds(ROOT, "bash", "-n", script)
        case _:
            pytest.fail(f"no cheap run is known for: {line}")


def test_the_new_files_keep_the_rules_of_the_project(copy: Path) -> None:
    modules = [name for name in NEW_FILES if name.endswith(".py")]
    changed = [name for diff in _DIFF.findall(TEXT) for name, _, _ in hunks(diff)]
    succeeds(copy, sys.executable, "-m", "ruff", "check", *modules, *changed)
    succeeds(copy, sys.executable, "-m", "ruff", "format", "--check", *modules, *changed)
    succeeds(copy, sys.executable, "-m", "mypy", "-p", "wr.api.operators")


def test_what_holds_for_each_script_and_each_folder_holds_for_the_new_ones(copy: Path) -> None:
    succeeds(copy, sys.executable, "-m", "pytest", "tests/store/test_scripts.py", "tests/test_layers.py")


def test_the_new_endpoint_answers_from_the_new_script(server: ServerProcess) -> None:
    with server.site() as site:
        queue_id = site.make_queue(status="paused")
        path = f"/queues/{queue_id}/front"
        assert site.admin("GET", path).json() == {"waited_ms": -1}
        site.join(queue_id)
        assert 0 <= site.admin("GET", path).json()["waited_ms"] < 60_000
        assert site.admin("GET", "/queues/nowhere/front").json()["error"]["code"] == "NOT_FOUND"
        assert site.http.get(f"/api/v1/admin{path}").status_code == 403, "it asks for the admin key"
        described = site.http.get("/api/v1/openapi.json").json()["paths"]
        assert "/admin/queues/{queue_id}/front" in described
