"""Renders waiting pages on request, and caches those that are the same for many visitors."""

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING
from urllib.parse import quote

import msgspec
import structlog
import trio

from wr.model.bounded_cache import BoundedCache
from wr.model.queue_settings import QueueConfig
from wr.model.refusals import InvalidRequest
from wr.web.assets import Asset, AssetStore, make_asset
from wr.web.page_content import Shown, WaitingPage

if TYPE_CHECKING:
    from wr.web.languages import Language
    from wr.web.waiting_pages import WaitingPages

log = structlog.get_logger("wr.waiting_pages")

HTML = "text/html; charset=utf-8"
_NOTHING = Shown()
_PASS_BLANK = "the-pass-of-this-address"  # noqa: S105 - a placeholder, replaced by the visitor's pass
_CHECK_PATIENCE_S = 30.0
"""The check itself has three seconds of processor time; on a busy machine these take long to pass."""
_MOST_KEPT = 256
"""Cached pages: one for each queue, language and state in use, 5 KB each."""


class WaitingPageCache:
    """Returns waiting pages. It loads the template engine at the first request."""

    def __init__(self, assets: AssetStore, check_command: Sequence[str]) -> None:
        self._assets = assets
        self._check_command = check_command
        self._pages: WaitingPages | None = None
        self._loading = trio.Lock()
        self._kept: BoundedCache[tuple[str, int, int, str, str, Shown], tuple[Asset, str]] = BoundedCache(
            _MOST_KEPT
        )

    async def language(self, preferred: str, accepted: str) -> "Language":
        """Choose a language: the code `preferred` if supported, else by the `Accept-Language` header."""
        return (await self._loaded()).languages.choose(preferred, accepted)

    async def scripted(
        self, config: QueueConfig, language: "Language", state: str, shown: Shown = _NOTHING
    ) -> tuple[Asset, str]:
        """Return the page with scripts, and its Content-Security-Policy.

        It is rendered once for each version of the queue.
        """
        key = (config.id, config.version, config.created_ms, language.code, state, shown)
        found = self._kept.get(key)
        if found is None:
            page = await self.render(config, language, state, shown)
            found = make_asset(page.content, HTML), page.policy
            self._kept.put(key, found)
        return found

    async def invited(
        self, config: QueueConfig, language: "Language", state: str, brought_pass: str
    ) -> tuple[bytes, str]:
        """Return the page with scripts for a visitor with a pass in the URL, and its Content-Security-Policy.

        The page contains the pass for browsers without scripts. It is rendered once with a placeholder.
        """
        page, policy = await self.scripted(config, language, state, Shown(brought_pass=_PASS_BLANK))
        filled = quote(brought_pass, safe="", errors="replace").encode()
        return page.content.replace(_PASS_BLANK.encode(), filled, 1), policy

    async def render(
        self,
        config: QueueConfig,
        language: "Language",
        state: str,
        shown: Shown = _NOTHING,
        *,
        is_plain: bool = False,
    ) -> WaitingPage:
        """Render a page. If the queue's own template fails, use the standard template."""
        pages = await self._loaded()
        try:
            return pages.render(config, language, state, shown, is_plain=is_plain)
        except InvalidRequest as error:
            # The template was tested when it was set, but visitors have to see their position in any case.
            log.error("a queue's own template failed", queue_id=config.id, error=error.message)  # noqa: TRY400
            return pages.render(
                msgspec.structs.replace(config, page_template=""),
                language,
                state,
                shown,
                is_plain=is_plain,
            )

    async def check_template(self, config: QueueConfig) -> None:
        """Test a queue's own template in every language and state, in a separate process.

        The template sandbox blocks access to other data, but not endless loops. The separate process limits
        time and memory, and does not block other requests.

        Raises:
            InvalidRequest: the template has errors, lacks required parts, or takes too much time or memory.
        """
        if not config.page_template:
            return
        with trio.move_on_after(_CHECK_PATIENCE_S):
            done = await trio.run_process(
                self._check_command,
                stdin=msgspec.json.encode(config),
                capture_stdout=True,
                capture_stderr=True,
                check=False,
            )
            if done.returncode == 0 and done.stdout == b"":
                return
            if done.returncode == 1 and done.stdout:
                raise InvalidRequest(done.stdout.decode(), field="page_template")
        raise InvalidRequest("page_template: it takes too long, or too much memory", field="page_template")

    async def _loaded(self) -> "WaitingPages":
        """Return the renderer. The first time, a thread loads it, which takes a third of a second."""
        if self._pages is None:
            async with self._loading:
                if self._pages is None:
                    module = await trio.to_thread.run_sync(import_module, "wr.web.waiting_pages")
                    self._pages = module.WaitingPages(self._assets)
        return self._pages
