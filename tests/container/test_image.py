"""The container image without a container engine: its steps replayed, its entry point run as it would be."""

import os
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.image import NEEDS, ROOT, Image, Step, context_files, stages
from tests.support.processes import eventually

MIB = 1 << 20


def what_is_missing() -> str:
    if os.geteuid() != 0:
        return "only root can mount"
    missing = [tool for tool in NEEDS if shutil.which(tool) is None]
    return f"not installed: {', '.join(missing)}" if missing else ""


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """The image: all stages replayed, without the binary of DragonflyDB, so that Valkey is its store."""
    missing = what_is_missing()
    if missing and os.environ.get("CI"):
        pytest.fail(missing)
    if missing:
        pytest.skip(missing)
    folder = tmp_path_factory.mktemp("image")
    for above in (folder, *folder.parents[:2]):
        above.chmod(0o755)
    _dragonfly, build, final = stages(ROOT / "Dockerfile")
    builder = Image(folder / "build")
    builder.replay(build, ROOT, {})
    made = Image(folder / "final")
    made.replay(final, ROOT, {"build": builder})
    yield made
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def fresh(image: Image) -> Image:
    """The image with an empty volume."""
    data = image.path("/data")
    shutil.rmtree(data)
    data.mkdir(mode=0o700)
    os.chown(data, 10001, 10001)
    return image


def test_only_what_needs_the_store_s_own_image_is_not_replayed(image: Image) -> None:
    assert image.skipped == [
        Step("COPY", "--from=dragonfly /usr/local/bin/dragonfly /usr/local/bin/dragonfly"),
        Step("RUN", "dragonfly --version"),
    ]


def test_it_serves_as_a_user_without_rights_and_keeps_its_data_in_the_volume(
    fresh: Image, tmp_path: Path
) -> None:
    with fresh.running(tmp_path / "output") as container:
        container.wait_for("serves at http://0.0.0.0:8080")
        assert container.check_health() == 0
        running = container.processes()
        assert {name for name, _, _ in running.values()} >= {"wr", "valkey-server"}
        assert {user for _, _, user in running.values()} == {"10001"}
        made = container.execute("wr", "queue", "create", "kept", "--target-url", "https://example.com/")
        assert made.returncode == 0, made.stderr
        assert container.stop() == 0
    with fresh.running(tmp_path / "output") as container:
        container.wait_for("serves at")
        assert "kept" in container.execute("wr", "queue", "list").stdout
    assert {file.name for file in fresh.path("/data").iterdir()} >= {"admin-key", "appendonlydir"}


def test_where_the_environment_asks_for_traces_it_starts_and_has_what_sends_them(
    fresh: Image, tmp_path: Path
) -> None:
    # As platforms put it into everything that they run: nobody listens there.
    asked = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}
    with fresh.running(tmp_path / "output", **asked) as container:
        container.wait_for("serves at")
        assert container.check_health() == 0
        inside = container.processes()
    assert inside
    eventually(lambda: not any(map(is_running, inside)), "nothing of it outlives the test")


def test_its_health_check_tells_when_the_store_hangs_and_when_nobody_serves(
    fresh: Image, tmp_path: Path
) -> None:
    with fresh.running(tmp_path / "output") as container:
        container.wait_for("serves at")
        (store,) = [pid for pid, (name, *_) in container.processes().items() if name == "valkey-server"]
        os.kill(store, signal.SIGSTOP)
        assert container.check_health() == 1
        os.kill(store, signal.SIGCONT)
        eventually(lambda: container.check_health() == 0, "it is healthy again")
    with fresh.running(tmp_path / "output", "serve", "--bind", "0.0.0.0:8081") as container:
        container.wait_for("serves at")
        assert container.check_health() == 1


def test_as_the_first_process_it_stops_in_order_and_leaves_no_zombies(fresh: Image, tmp_path: Path) -> None:
    with fresh.running(tmp_path / "output") as container:
        container.wait_for("serves at")
        (store,) = [pid for pid, (name, *_) in container.processes().items() if name == "valkey-server"]
        os.kill(store, signal.SIGKILL)
        container.wait_for("the embedded store serves again")
        assert store not in container.processes()
        assert "Z" not in {state for _, state, _ in container.processes().values()}
        assert container.stop() == 0
    assert fresh.path("/data/store.log").read_text().rstrip().endswith("bye bye...")


def test_a_volume_of_somebody_else_ends_it_with_a_line_that_says_what_to_do(
    fresh: Image, tmp_path: Path
) -> None:
    os.chown(fresh.path("/data"), 0, 0)
    with fresh.running(tmp_path / "output") as container:
        assert container.outer.wait(60) == 1
        said = container.output.read_text()
    assert re.fullmatch(
        r"wr: the data folder /data cannot be used by user 10001: .*`chown 10001 /data`.*\n", said
    )


def test_it_carries_no_tools_to_build_with_and_is_small(image: Image) -> None:
    packages = next(image.path("/opt/wr/lib").glob("python3*/site-packages"))
    assert not {"pip", "setuptools", "hatchling"} & {folder.name for folder in packages.iterdir()}
    assert not image.path("/src").exists()
    size = sum(file.lstat().st_size for file in image.path("/opt/wr").rglob("*") if not file.is_dir())
    assert size < 130 * MIB
    assert (packages / "wr/web/vendor/swagger-ui-bundle.js").is_file()


def test_the_context_of_the_build_holds_no_data_no_secrets_and_no_leftovers() -> None:
    (ROOT / "wr/__pycache__").mkdir(exist_ok=True)
    files = context_files(ROOT)
    assert {"wr/cli/main.py", "wr/store/scripts/admit.lua", "pyproject.toml", "scripts/vendor"} <= set(files)
    tops = {file.partition("/")[0] for file in files}
    assert tops == {"wr", "scripts", "pyproject.toml", "README.md", "LICENSE"}
    assert not [file for file in files if "__pycache__" in file or file.startswith("wr/web/vendor/")]


def is_running(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
