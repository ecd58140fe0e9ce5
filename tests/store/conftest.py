"""Queues for tests of the scripts: on every engine, and in the second Lua dialect."""

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.clock import NO_GAP_MS
from tests.support.engines import ENGINES, Engine, MissingEngine, running_engine
from tests.support.lua54 import DialectClient
from tests.support.scripted_queue import ScriptedQueue

MakeQueue = Callable[..., ScriptedQueue]


@pytest.fixture(scope="session", params=[*ENGINES, "lua-5.4"])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Each store server in turn, and one whose scripts run in DragonflyDB's dialect."""
    server = "valkey" if request.param == "lua-5.4" else request.param
    try:
        with running_engine(server, tmp_path_factory.mktemp(request.param)) as running:
            yield Engine(request.param, running.url)
    except MissingEngine as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def client(engine: Engine) -> Any:
    """A client of the engine."""
    return DialectClient(engine.client()) if engine.name == "lua-5.4" else engine.client()


@pytest.fixture
def make_queue(client: Any, prefix: str) -> MakeQueue:
    """Makes queues with the settings given."""

    def make(
        limits: dict[str, Any] | None = None,
        most_per_pass: int = 2000,
        least_gap_ms: int = NO_GAP_MS,
        **settings: Any,
    ) -> ScriptedQueue:
        queue = ScriptedQueue(
            client, prefix, limits or {}, most_per_pass=most_per_pass, least_gap_ms=least_gap_ms
        )
        queue.configure(**settings)
        return queue

    return make
