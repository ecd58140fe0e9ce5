"""The test bed: every engine that is installed, a server on each, and clients."""

import os
import secrets
import signal
from collections.abc import Generator, Iterator

import pytest

from tests.support.clock import HandClock
from tests.support.clusters import StoreCluster, running_cluster
from tests.support.engines import ENGINES, Engine, MissingEngine, running_engine
from tests.support.server import running_server
from tests.support.site import Site
from tests.support.workload import group_of, is_in_quick_run, is_wanted, order_of

# Waiting for a real minute to pass would make the suite slow; status calls that wait for something are many.
TEST_SETTINGS = {
    "admission_interval": "0.02",
    "limit_status": "100000/60",
    "limit_admin": "0",
    "limit_guess": "0",
    "live_interval": "0.1",
}

_OF_A_TERMINAL = (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what `./scripts/test` asks for."""
    parser.addoption(
        "--alone",
        choices=("with", "without", "only"),
        default="with",
        help="tests marked `alone`, which need the machine for themselves: with the others, without, or only",
    )
    parser.addoption(
        "--quick",
        action="store_true",
        help="leave out browsers, proxies, containers and long runs; one engine",
    )


def pytest_configure() -> None:
    """Have every process that a test starts begin with the default signals.

    A shell starts a command in the background of a script with SIGINT ignored, and that is inherited. A
    handler is not, so the tests still ignore the signal while the servers they start do not.
    """
    for number in _OF_A_TERMINAL:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, _overlook)


def _overlook(number: int, _frame: object) -> None:
    """Do what ignoring a signal does, in this process alone."""


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> Generator[None, None, None]:
    """Choose the tests that were asked for, and say which of them belong on one worker."""
    alone = config.getoption("--alone")
    is_quick = config.getoption("--quick")
    chosen, others = list[pytest.Item](), list[pytest.Item]()
    for item in items:
        if not is_wanted(item):
            others.append(item)
            continue
        is_alone = item.get_closest_marker("alone") is not None
        fits = alone == "with" or is_alone is (alone == "only")
        (chosen if fits and (not is_quick or is_in_quick_run(item)) else others).append(item)
        item.add_marker(pytest.mark.xdist_group(group_of(item)))
    items[:] = chosen
    if others:
        config.hook.pytest_deselected(items=others)
    yield
    # After the order of the fixtures is settled: what takes long must not begin last.
    items.sort(key=lambda item: order_of(group_of(item)))


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
