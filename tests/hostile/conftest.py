"""Servers with default settings, as strangers meet them: each store engine in turn, and with it each lane."""

from collections.abc import Iterator

import pytest

from tests.contract.helpers import fresh_minute
from tests.support.clock import HandClock
from tests.support.engines import Engine
from tests.support.passes import SITE_SECRET
from tests.support.server import running_server
from tests.support.site import Site

ORIGIN_KEY = "the-origin-key-of-the-site"


@pytest.fixture(scope="session")
def open_site(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server whose limits are those of the contract and whose time is moved by hand; the site has keys."""
    folder = tmp_path_factory.mktemp("hostile")
    secret = folder / "pass-secret"
    secret.write_text(SITE_SECRET)
    clock = HandClock()
    settings = {
        "store_url": engine.url,
        "store_prefix": f"wr-hostile-{engine.name}",
        "data_dir": str(folder),
        "fast_lane": engine.fast_lane,
        "admission_interval": "0.02",
        "limit_admin": "0",
        "origin_key": ORIGIN_KEY,
        "pass_key": str(secret),
    }
    with running_server(clock, **settings) as ready:
        running = Site(ready.url, ready.admin_key, clock, engine, settings["store_prefix"])
        yield running
        running.http.close()


@pytest.fixture
def strict(open_site: Site) -> Site:
    """The same, at the beginning of a minute: nothing of earlier tests is counted."""
    fresh_minute(open_site.clock)
    return open_site
