"""The desk of the waiting pages: renders them when they are first asked for, and keeps what it rendered."""

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING
from urllib.parse import quote

import msgspec
import structlog
import trio

from wr.model.bounded_cache import BoundedCache
from wr.model.queue import QueueConfig
from wr.model.refusals import InvalidRequest
from wr.web.assets import Asset, AssetStore, make_asset
from wr.web.page_content import Shown, WaitingPage

if TYPE_CHECKING:
    from wr.web.languages import Language
    from wr.web.waiting_pages import WaitingPages

log = structlog.get_logger("wr.waiting_pages")

HTML = "text/html; charset=utf-8"
_NOTHING = Shown()
_PASS_BLANK = "the-pass-of-this-address"  # noqa: S105 - what stands for one until it is filled in
_CHECK_PATIENCE_S = 8.0
_MOST_KEPT = 256
"""Pages kept: one for each queue, language and state that somebody asks for, 5 KB each."""


class WaitingPageCache:
    """Gives waiting pages. What renders them is loaded when somebody first looks at one."""

    def __init__(self, assets: AssetStore, check_command: Sequence[str]) -> None:
        self._assets = assets
        self._check_command = check_command
        self._pages: WaitingPages | None = None
        self._loading = trio.Lock()
        self._kept: BoundedCache[tuple[str, int, int, str, str, Shown], tuple[Asset, str]] = BoundedCache(
            _MOST_KEPT
        )

    async def language(self, wish: str, accepted: str) -> "Language":
        """Choose a visitor's language: the wish, a code, or else by an `Accept-Language` header."""
        return (await self._loaded()).languages.choose(wish, accepted)

    async def scripted(
        self, config: QueueConfig, language: "Language", state: str, shown: Shown = _NOTHING
    ) -> tuple[Asset, str]:
        """Give the page that runs scripts, and its policy. Rendered once for each version of the queue."""
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
        """Give the page that runs scripts to a visitor that brings a pass in its address, and its policy.

        A browser without scripts is sent on with the pass. The page is rendered once, and the pass filled in.
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
        """Render a page; where the queue's own template fails, the usual one."""
        pages = await self._loaded()
        try:
            return pages.render(config, language, state, shown, is_plain=is_plain)
        except InvalidRequest as error:
            # It was tried in every state when it was set. Visitors are told where they stand all the same.
            log.error("a queue's own template failed", queue_id=config.id, error=error.message)  # noqa: TRY400
            return pages.render(
                msgspec.structs.replace(config, page_template=""),
                language,
                state,
                shown,
                is_plain=is_plain,
            )

    async def check_template(self, config: QueueConfig) -> None:
        """Try a queue's own template in every language and state, in a process of its own.

        A sandbox keeps a template from looking around, not from counting to a billion: there it may take some
        seconds and some memory, here nobody waits for it.

        Raises:
            InvalidRequest: it cannot be read, fails, lacks what the page needs, or takes too much.
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
        """Load what renders pages, the first time in a worker thread: that takes a third of a second."""
        if self._pages is None:
            async with self._loading:
                if self._pages is None:
                    module = await trio.to_thread.run_sync(import_module, "wr.web.waiting_pages")
                    self._pages = module.WaitingPages(self._assets)
        return self._pages
