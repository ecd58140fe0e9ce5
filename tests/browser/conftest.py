"""A browser, contexts that are watched, a server to visit, and a site to be let into."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.support.browser import BROWSER_ARGUMENTS, HOW_TO_GET_CHROMIUM, Watch, find_chromium
from tests.support.clock import HandClock
from tests.support.engines import Engine
from tests.support.server import running_server
from tests.support.site import Site
from tests.support.target_site import TargetSite, running_target_site

HERE = Path(__file__).parent
_PATIENCE_MS = 20_000
"""Far more than anything takes: other tests may share the machine."""
_USUAL = {
    "locale": "en-GB",
    "viewport": {"width": 1280, "height": 800},
    "reduced_motion": "reduce",
    "java_script_enabled": True,
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is in this folder; where the browser is missing, skip it, with one line for each file."""
    is_missing = find_chromium() is None and not os.environ.get("CI")
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.browser)
            if is_missing:
                item.add_marker(pytest.mark.skip(reason=HOW_TO_GET_CHROMIUM))


# Not for the session: the loop that Playwright keeps in this thread would stand beside Trio's in later tests.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Chromium, without a window. Where it is missing in CI, tests fail here."""
    path = find_chromium()
    if path is None:
        pytest.fail(HOW_TO_GET_CHROMIUM)
    expect.set_options(timeout=_PATIENCE_MS)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, headless=True, args=BROWSER_ARGUMENTS)
        yield running
        running.close()


@pytest.fixture(scope="module")
def visited_settings() -> dict[str, str]:
    """Settings of the server to visit beside the quick ones; a module may have its own."""
    return {}


@pytest.fixture(scope="module")
def visited(visited_settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server with its embedded store and the demo queue, on real time, that admits and tells quickly."""
    data_dir = tmp_path_factory.mktemp("visited")
    quick = {
        "data_dir": str(data_dir),
        "demo_queue": "yes",
        "admission_interval": "0.05",
        "live_interval": "0.1",
        "grace": "0.2",
        **{f"limit_{scope}": "0" for scope in ("enqueue", "status", "heartbeat", "activity", "admin")},
    }
    with running_server(None, **{**quick, **visited_settings}) as ready:
        # Its clock is nobody's: time passes by itself here.
        store = Engine("embedded", f"unix://{data_dir / 'store.sock'}")
        site = Site(ready.url, ready.admin_key, HandClock(), store, "wr")
        with site.http:
            yield site


@pytest.fixture(scope="module")
def target() -> Iterator[TargetSite]:
    """The site that people are let into. A test that goes there says `watch.allow(target.url)`."""
    with running_target_site() as site:
        yield site


@pytest.fixture
def watch(visited: Site) -> Iterator[Watch]:
    """What the test's pages did; anything that they may not do fails the test at its end."""
    watching = Watch({visited.url, visited.url.replace("http", "ws", 1)})
    yield watching
    assert watching.verdict() == []


@contextmanager
def _context(
    browser: Browser, visited: Site, watch: Watch, options: dict[str, Any]
) -> Iterator[BrowserContext]:
    context = browser.new_context(base_url=visited.url, **{**_USUAL, **options})
    context.set_default_timeout(_PATIENCE_MS)
    watch.follow(context)
    yield context
    context.close()


@pytest.fixture
def open_context(browser: Browser, visited: Site, watch: Watch) -> Iterator[Callable[..., BrowserContext]]:
    """Open contexts, each a person of its own: `open_context(locale="de-DE", java_script_enabled=False)`."""
    with ExitStack() as opened:
        yield lambda **options: opened.enter_context(_context(browser, visited, watch, options))


@pytest.fixture
def context(open_context: Callable[..., BrowserContext], request: pytest.FixtureRequest) -> BrowserContext:
    """The test's own context, as `@pytest.mark.context(locale="de-DE")` says; addresses are the server's."""
    marker = request.node.get_closest_marker("context")
    return open_context(**(marker.kwargs if marker else {}))


@pytest.fixture
def page(context: BrowserContext) -> Page:
    """A page in the test's own context."""
    return context.new_page()
