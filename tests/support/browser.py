"""Shared parts of browser tests: finds the browser, watches pages for errors, checks accessibility, takes
pictures."""

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request, WebError

OUTPUT = Path(__file__).parents[1] / "output"
HOW_TO_GET_CHROMIUM = "Chromium is not installed: apt-get install chromium-headless-shell"

# The browser makes no requests of its own, and resolves no host name except this machine's.
BROWSER_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
]

AXE_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
_RUN_AXE = """
async (tags) => {
  const found = await axe.run(document, { runOnly: { type: "tag", values: tags } });
  return found.violations.map(({ id, impact, help, nodes }) => ({
    id, impact, help, nodes: nodes.map(({ target, failureSummary }) => ({ target, failureSummary })),
  }));
}
"""


def find_chromium() -> str | None:
    """Find the browser on this machine; None if there is none."""
    # The one without windows takes less than half the processor time.
    for name in ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"):
        path = shutil.which(name)
        if path is not None:
            return path
    return None


@dataclass
class Watch:
    """Records what a context's pages must not do: errors, violations of their policy, requests to other
    hosts."""

    origins: set[str]
    """Origin to which requests are allowed: `http://127.0.0.1:8080`."""
    complaints: list[str] = field(default_factory=list)
    _expected: list[str] = field(default_factory=list)

    def follow(self, context: BrowserContext) -> None:
        """Watch all present and future pages of the context."""
        context.on("console", self._on_console)
        context.on("weberror", self._on_error)
        context.on("request", self._on_request)
        context.on("page", self._on_page)

    def allow(self, url: str) -> None:
        """Also allow requests to the origin of that URL, the target of admitted visitors."""
        self.origins.add(_origin(url))

    def expect(self, text: str) -> None:
        """Announce that the test provokes a complaint with this text; without it, the test fails."""
        self._expected.append(text)

    def verdict(self) -> list[str]:
        """List unexpected complaints, and expected ones that did not come."""
        unexpected = [
            complaint
            for complaint in self.complaints
            if not any(text in complaint for text in self._expected)
        ]
        absent = [
            f"expected and never came: {text}"
            for text in self._expected
            if not any(text in complaint for complaint in self.complaints)
        ]
        return unexpected + absent

    def _on_console(self, message: ConsoleMessage) -> None:
        # Violations of the Content-Security-Policy and answers of 400 and above are also reported as errors.
        if message.type == "error":
            place = message.location.get("url", "")
            self.complaints.append(f"console: {message.text} ({place})")

    def _on_error(self, error: WebError) -> None:
        self.complaints.append(f"uncaught: {error.error}")

    def _on_request(self, request: Request) -> None:
        self._check_origin(request.url)

    def _on_page(self, page: Page) -> None:
        page.on("websocket", lambda socket: self._check_origin(socket.url))

    def _check_origin(self, url: str) -> None:
        is_remote = urlsplit(url).scheme in ("http", "https", "ws", "wss")
        if is_remote and _origin(url) not in self.origins:
            self.complaints.append(f"request to elsewhere: {url}")


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


@cache
def _axe_source() -> str:
    return (files("axe_playwright_python") / "axe.min.js").read_text("utf-8")


def axe_violations(page: Page) -> dict[str, str]:
    """Check the current page against WCAG 2.2 AA and good practice; returns the violations by rule id."""
    # Evaluated through the debugger, to which the page's policy does not apply.
    page.evaluate(_axe_source() + "; undefined")
    found: list[dict[str, Any]] = page.evaluate(_RUN_AXE, AXE_TAGS)
    return {
        violation["id"]: "\n".join(
            [f"{violation['id']} ({violation['impact']}): {violation['help']}"]
            + [f"  {node['target']}: {node['failureSummary']}" for node in violation["nodes"]]
        )
        for violation in found
    }


def axe(page: Page, known: Mapping[str, str] | None = None) -> None:
    """Assert that the current page violates no rule except the known ones, each with its reason.

    A known violation that no longer occurs fails too, so that the list stays up to date.
    """
    found = axe_violations(page)
    known = known or {}
    unknown = [text for rule, text in found.items() if rule not in known]
    assert not unknown, "\n" + "\n".join(unknown)
    assert set(known) <= set(found), f"broken no longer: {sorted(set(known) - set(found))}"


def wait_until(page: Page, condition: Callable[[], object], what: str, seconds: float = 20.0) -> None:
    """Let the browser run until the condition is true. Its events arrive only meanwhile.

    Playwright's own `wait_for_function` makes the page evaluate text, which a strict policy forbids.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"after {seconds} s still not so: {what}"
        page.wait_for_timeout(10)


def screenshot(page: Page, name: str) -> Path:
    """Save a picture of the whole page in `tests/output/` for review."""
    path = OUTPUT / f"{name}.png"
    page.screenshot(path=path, full_page=True)
    return path
