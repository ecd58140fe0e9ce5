"""The examples for proxies that are not run here name the paths that the server really has."""

import re
from pathlib import Path

import pytest
import yaml

from wr.api.router import Router

EXAMPLES = Path(__file__).parents[2] / "scripts" / "examples"
NEEDED = [
    "/wait/demo",
    "/assets/waiting.js",
    "/ws/queues/demo",
    "/api/v1/queues/demo/enqueue",
    "/wr.js",
    "/wr.d.ts",
]


@pytest.mark.parametrize("name", ["nginx.conf", "Caddyfile", "traefik.yaml", "envoy.yaml"])
def test_an_example_asks_the_gate_and_lets_the_waiting_page_past_it(name: str) -> None:
    text = (EXAMPLES / name).read_text("utf-8")
    assert "/api/v1/gate/demo" in text
    assert Router().find("GET", "/api/v1/gate/demo")[0].name == "gate"
    for path in NEEDED:
        first = re.escape(re.match(r"/(?:api/v1/|ws/)?[\w.]+/?", path)[0].lstrip("/"))  # type: ignore[index]
        assert re.search(first.replace(r"\.", r"\\*\."), text), path
    assert "admin" not in re.sub(r"#.*", "", text)


@pytest.mark.parametrize("name", ["traefik.yaml", "envoy.yaml"])
def test_an_example_is_sound_yaml(name: str) -> None:
    assert yaml.safe_load((EXAMPLES / name).read_text("utf-8"))
