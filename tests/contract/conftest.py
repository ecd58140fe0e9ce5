"""Servers beside the usual one, the document every answer is held against, and tidying up."""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import httpx
import pytest
import redis
import structlog

from tests.conftest import TEST_SETTINGS
from tests.contract.documented import Documented
from tests.contract.helpers import Visit, enter, fresh_minute, open_queue, waiting
from tests.support.clock import HandClock
from tests.support.engines import Engine, running_engine
from tests.support.server import running_server
from tests.support.site import BASE, Site
from wr.server.logs import log_processors
from wr.store.key_names import KeyNames

made_queues: list[tuple[str, str]] = []
"""Prefix and id of every queue made since the module's own were."""


@contextmanager
def running_site(
    engine: Engine, prefix: str, clock: HandClock, folder: pytest.TempPathFactory, **settings: str
) -> Iterator[Site]:
    """Run a server on the engine, every answer of which is held against its own document."""
    everything = {
        "store_url": engine.url,
        "store_prefix": prefix,
        "data_dir": str(folder.mktemp("site")),
        "grace": "0.2",
        "fast_lane": engine.fast_lane,
        **settings,
    }
    with running_server(clock, **everything) as ready:
        running = Site(ready.url, ready.admin_key, clock, engine, prefix)
        hold_to_document(running)
        yield running
        running.http.close()


def hold_to_document(site: Site) -> None:
    """Check every answer from now on, and note which queues are made."""

    def note_queue(response: httpx.Response) -> None:
        if response.status_code == 201 and response.request.url.path == f"{BASE}/admin/queues":
            made_queues.append((site.prefix, response.json()["id"]))

    document = site.http.get(f"{BASE}/openapi.json").json()
    site.http.event_hooks = {"response": [Documented(document), note_queue]}


@pytest.fixture(scope="session", autouse=True)
def plain_logs() -> None:
    """Log as production does: the library's own default shows variables, which takes seconds."""
    # From the defaults: a command that ran in this process may have logged to a stream that is gone.
    structlog.reset_defaults()
    structlog.configure(processors=log_processors("text"))


@pytest.fixture(scope="session")
def site(site: Site) -> Site:
    """The usual server; each of its answers must be one that its OpenAPI document describes."""
    hold_to_document(site)
    return site


@pytest.fixture(scope="session")
def store(engine: Engine) -> Iterator[redis.Redis]:
    """The store itself, to look behind the scene."""
    with engine.client() as client:
        yield client


@pytest.fixture(scope="module")
def replica(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A second server on the store of the usual one."""
    settings = {**TEST_SETTINGS, "admission_interval": "0.05"}
    with running_site(site.engine, site.prefix, site.clock, tmp_path_factory, **settings) as running:
        yield running


@pytest.fixture(scope="module")
def limited_server(
    engine: Engine, store: redis.Redis, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    prefix = f"wr-test-{secrets.token_hex(4)}"
    with running_site(engine, prefix, HandClock(), tmp_path_factory, admission_interval="0.05") as running:
        yield running
    for key in store.scan_iter(match=f"{prefix}:*", count=1000):
        store.delete(key)


@pytest.fixture
def limited(limited_server: Site) -> Site:
    """A server with the limits of the contract, at the beginning of a minute."""
    fresh_minute(limited_server.clock)
    return limited_server


@pytest.fixture(scope="module")
def limited_replica(limited_server: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A second server on the store of the limited one."""
    with running_site(
        limited_server.engine,
        limited_server.prefix,
        limited_server.clock,
        tmp_path_factory,
        admission_interval="0.05",
    ) as running:
        yield running


@dataclass
class Stranded:
    """A server whose store is gone, and what was there before."""

    site: Site
    queue_id: str
    token: str
    visit: Visit


# Not for the session: what it logs about its store would stand in the output that later tests look at.
@pytest.fixture(scope="package")
def stranded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stranded]:
    """A server of its own whose store was killed after somebody joined and somebody was let in."""
    with ExitStack() as stack:
        store_life = ExitStack()
        stack.push(store_life)
        engine = store_life.enter_context(running_engine("valkey", tmp_path_factory.mktemp("stranded")))
        # Rare passes: those that fail would take time from all tests that come after.
        site = stack.enter_context(
            running_site(
                engine, "wr", HandClock(), tmp_path_factory, admission_interval="0.2", limit_admin="0"
            )
        )
        queue_id = site.make_queue(status="paused")
        scene = Stranded(site, queue_id, waiting(site, queue_id), enter(site, open_queue(site)))
        store_life.close()
        yield scene


@pytest.fixture(autouse=True)
def tidy(request: pytest.FixtureRequest) -> Iterator[None]:
    """Begin a new minute, so that nothing of earlier tests is counted; and remove the queues that a test
    made: each admission pass would go on looking after them."""
    store = request.getfixturevalue("store") if "engine" in request.fixturenames else None
    for name in ("site", "limited_server"):
        if name in request.fixturenames:
            fresh_minute(request.getfixturevalue(name).clock)
    older = len(made_queues)
    yield
    if store is not None:
        remove_queues(store, made_queues[older:])
    del made_queues[older:]


def remove_queues(store: redis.Redis, made: Sequence[tuple[str, str]]) -> None:
    with store.pipeline(transaction=False) as pipeline:
        for prefix, queue_id in made:
            keys = KeyNames(prefix)
            pipeline.srem(keys.shared("queues"), queue_id)
            pipeline.unlink(*keys.all_of(queue_id))
        pipeline.execute()
