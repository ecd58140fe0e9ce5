"""The one-file `wr`, where there is nothing else: no Python, no packages, no environment.

`./scripts/build-binary` makes it; without it these tests are skipped, where CI is set they fail.
"""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import plain_http
from tests.support.image import ROOT
from tests.support.processes import eventually, runs

BUILT = ROOT / "dist/wr"
MIB = 1 << 20
PAGES = (
    *("/", "/wait/demo", "/wait/demo?lang=zh", "/wait/demo?lang=ar", "/wait/demo/qr.svg"),
    *("/docs", "/admin", "/metrics", "/health", "/api/v1/openapi.json"),
)


@pytest.fixture(scope="session")
def built() -> Path:
    if not BUILT.exists() and os.environ.get("CI"):
        pytest.fail("dist/wr is not built: ./scripts/build-binary")
    if not BUILT.exists():
        pytest.skip("dist/wr is not built: ./scripts/build-binary")
    return BUILT


@dataclass
class Alone:
    """A folder with the binary and nothing else, but where it unpacks itself."""

    folder: Path

    @property
    def unpacked(self) -> Path:
        return self.folder / "unpacked"

    def command(self, *arguments: str) -> list[str]:
        """Spell a command that is given nothing of this environment, with no programs to be found."""
        clean = ["env", "-i", "PATH=/nowhere", f"TMPDIR={self.unpacked}"]
        return [*clean, str(self.folder / "wr"), *arguments]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    @contextmanager
    def serving(self) -> Iterator["Serving"]:
        """Serve a demo queue on a free port, with the data in `data`, until the block ends."""
        output = self.folder / "output"
        settings = ("--bind", "127.0.0.1:0", "--demo-queue", "--limit-enqueue", "0", "--limit-status", "0")
        with output.open("wb") as file:
            process = subprocess.Popen(
                self.command("serve", *settings),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
            )
        serving = Serving(self, process, output)
        try:
            yield serving
        finally:
            process.kill()
            process.wait()
            eventually(lambda: not serving.store(), "no store is left behind")


@dataclass
class Serving:
    """The binary as it serves: the process that was started, and those below it."""

    alone: Alone
    process: subprocess.Popen[bytes]
    output: Path

    @property
    def url(self) -> str:
        def said() -> str | None:
            found = re.search(r"serves at (http://\S+)", self.output.read_text())
            assert found or self.process.poll() is None, self.output.read_text()
            return found and found[1]

        return eventually(said, "it serves", 60.0)

    def store(self) -> int:
        """The number of its store; 0 while none runs."""
        lock = self.alone.folder / "data/store.lock"
        pid = int((lock.exists() and lock.read_text()) or 0)
        return pid if pid and runs(pid, self.alone.folder) else 0

    def inner(self) -> int:
        """The number of the process that serves, below the one that has unpacked."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return int(children[0])


def test_it_is_built_of_the_versions_that_are_locked_for_the_server() -> None:
    def pins(lock: str) -> set[str]:
        return set(re.findall(r"^([\w.-]+==\S+)", (ROOT / lock).read_text(), re.MULTILINE))

    assert pins("requirements.lock") <= pins("scripts/binary/requirements.lock"), "./scripts/lock"


@pytest.fixture
def alone(built: Path, tmp_path: Path) -> Alone:
    shutil.copy2(built, tmp_path / "wr")
    alone = Alone(tmp_path)
    alone.unpacked.mkdir()
    return alone


def test_it_is_one_file_of_a_size_that_one_can_pass_on(built: Path) -> None:
    assert built.stat().st_size < 60 * MIB
    assert os.access(built, os.X_OK)


@pytest.mark.alone
def test_it_serves_every_page_and_plays_a_sale_against_itself(alone: Alone) -> None:
    with alone.serving() as serving:
        for page in PAGES:
            assert plain_http.get(f"{serving.url}{page}").status_code == 200, page
        sale = ("--queue", "demo", "--visitors", "200", "--join-rate", "100", "--seed", "1")
        played = alone.run("rehearse", *sale, "--url", serving.url)
        assert played.returncode == 0, played.stdout + played.stderr
        assert "No promise was broken" in played.stdout
        assert alone.run("health", "--url", serving.url).returncode == 0


def test_every_command_starts(alone: Alone) -> None:
    assert alone.run("--version").stdout.startswith("wr, version ")
    assert '"openapi"' in alone.run("openapi").stdout
    examined = alone.run("doctor", "--bind", "127.0.0.1:0")
    assert re.search(r"✓ embedded store +valkey \d", examined.stdout), examined.stdout + examined.stderr


def test_a_signal_stops_it_in_order_and_what_was_unpacked_is_gone(alone: Alone) -> None:
    with alone.serving() as serving:
        assert plain_http.get(f"{serving.url}/health").status_code == 200
        assert len(list(alone.unpacked.iterdir())) == 1
        store = serving.store()
        assert store
        serving.process.send_signal(signal.SIGTERM)
        assert serving.process.wait(30) == 0
        assert not runs(store, alone.folder)
    assert list(alone.unpacked.iterdir()) == []


def test_a_signal_to_both_processes_is_one_wish(alone: Alone) -> None:
    """A terminal and systemd signal both, and the outer one hands its own on."""
    with alone.serving() as serving:
        assert serving.url
        os.kill(serving.inner(), signal.SIGINT)
        serving.process.send_signal(signal.SIGTERM)
        assert serving.process.wait(30) == 0
        assert "stopped" in serving.output.read_text().splitlines()[-1]


@pytest.mark.parametrize("killed", ["outer", "inner"])
def test_killed_it_leaves_no_store_behind_and_started_again_it_has_its_data(
    alone: Alone, killed: str
) -> None:
    with alone.serving() as serving:
        joined = plain_http.post(f"{serving.url}/api/v1/queues/demo/enqueue").json()
        store, inner = serving.store(), serving.inner()
        assert store
        # A write is on disk within a second, or when the store has ended in order, as it does here.
        os.kill(serving.process.pid if killed == "outer" else inner, signal.SIGKILL)
        serving.process.wait(30)
        eventually(lambda: not runs(store, alone.folder), "the store has ended")
        eventually(lambda: not runs(inner, alone.folder), "what served has ended")
    eventually(lambda: list(alone.unpacked.iterdir()) == [], "what was unpacked is gone")
    with alone.serving() as serving:
        headers = {"Authorization": f"Bearer {joined['token']}"}
        found = plain_http.get(f"{serving.url}/api/v1/queues/demo/status", headers=headers)
        assert (found.status_code, found.json()["position_id"]) == (200, joined["position_id"])


def test_the_folder_it_runs_from_is_locked_against_whoever_tidies_up(alone: Alone) -> None:
    with alone.serving() as serving:
        assert serving.url
        (folder,) = alone.unpacked.iterdir()
        inode = str(folder.stat().st_ino)
        locks = Path("/proc/locks").read_text().splitlines()
        assert [line for line in locks if "FLOCK" in line and line.split()[5].endswith(f":{inode}")]


def test_a_store_of_this_machine_gets_none_of_the_unpacked_libraries(alone: Alone) -> None:
    with alone.serving() as serving:
        assert serving.url
        environment = Path(f"/proc/{serving.store()}/environ").read_bytes().split(b"\0")
    assert not [each for each in environment if each.startswith(b"LD_LIBRARY_PATH")]
