"""The test bed: every engine that is installed, a server on each, and clients."""

import os
import secrets
from collections.abc import Iterator

import pytest

from tests.support.clock import HandClock
from tests.support.clusters import StoreCluster, running_cluster
from tests.support.engines import ENGINES, Engine, MissingEngine, running_engine
from tests.support.server import running_server
from tests.support.site import Site

# Waiting for a real minute to pass would make the suite slow; status calls that wait for something are many.
TEST_SETTINGS = {
    "admission_interval": "0.02",
    "limit_status": "100000/60",
    "limit_admin": "0",
    "limit_guess": "0",
    "live_interval": "0.1",
}


@pytest.fixture(scope="session", params=ENGINES)
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Each store server in turn. One that is missing skips here and fails where CI is set."""
    try:
        with running_engine(request.param, tmp_path_factory.mktemp(request.param)) as running:
            yield running
    except MissingEngine as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreCluster]:
    """Three primaries with a replica each. A test that kills one revives it."""
    with running_cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.fixture(scope="session")
def prefix(engine: Engine) -> Iterator[str]:
    """A key prefix that is this run's own; its keys are removed afterwards."""
    own = f"wr-test-{secrets.token_hex(4)}"
    yield own
    with engine.client() as client:
        for key in client.scan_iter(match=f"{own}:*", count=1000):
            client.delete(key)


@pytest.fixture(scope="session")
def site(engine: Engine, prefix: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server on the engine, its time moved by hand."""
    clock = HandClock()
    data_dir = tmp_path_factory.mktemp("site")
    settings = {"store_url": engine.url, "store_prefix": prefix, "data_dir": str(data_dir), **TEST_SETTINGS}
    settings["fast_lane"] = engine.fast_lane
    with running_server(clock, **settings) as ready:
        running = Site(ready.url, ready.admin_key, clock, engine, prefix)
        yield running
        running.http.close()
