"""Renders the waiting page in every language and state, also with operators' templates.

It is imported at the first request for a page, because it takes 20 MiB.
"""

import base64
from hashlib import sha256
from importlib.resources import files
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec
from jinja2 import DictLoader, Environment, StrictUndefined, Template, TemplateError, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from wr.model.bounded_cache import BoundedCache
from wr.model.queue_settings import QueueConfig
from wr.model.refusals import InvalidRequest
from wr.web.assets import AssetStore
from wr.web.colors import brand_style
from wr.web.languages import Language, Languages
from wr.web.page_content import PlaceShown, Shown, WaitingPage

STATES = (
    *("joining", "waiting", "paused", "held", "recovering", "admitted", "full"),
    *("expired", "lost", "finished", "closed", "left"),
    *("maintenance", "limited", "unavailable", "unknown"),
    *("identity_taken", "too_many_places", "blocked", "pass_required"),
    *("pass_invalid", "pass_expired", "pass_not_yet", "pass_other_queue", "pass_used_up", "pass_revoked"),
)
"""The states of the page. Each has a headline and an explanation."""
MAY_JOIN_AGAIN = frozenset({"expired", "lost", "finished", "closed", "left"})
MAY_RETRY = frozenset({"identity_taken"})
"""Temporary states in which a page without scripts shows a link to try again. In others it reloads itself."""
_MOST_TEMPLATES = 32
"""Operators' templates that stay compiled in memory."""
_MOST_CHARACTERS = 256 * 1024
_NOTHING = Shown()
_EVERYTHING = Shown(
    place=PlaceShown("1,523", "1,522", "5", 50, "12:00:00"),
    until="1 Jan 2030, 12:00:00",
    brought_pass="a.b.c",  # noqa: S106 - an example
    may_go_on_without=True,
)
_NO_PLACE = PlaceShown("", "", "", 0, "")
_PARTS = ("waiting", "head", "room", "switch")


class WaitingPages:
    """Renders waiting pages, 1 ms each."""

    def __init__(self, assets: AssetStore) -> None:
        self.languages = Languages()
        self._style = assets.address("waiting.css")
        self._script = assets.address("waiting.js")
        folder = files("wr.web") / "templates"
        sources = {name: (folder / f"{name}.html").read_text() for name in _PARTS}
        options: dict[str, Any] = {"autoescape": True, "undefined": StrictUndefined}
        self._own = Environment(loader=DictLoader(sources), **options)  # noqa: S701 - autoescape is in there
        # The sandbox gives an operator's template access to its values only, not to Python objects.
        self._templates: BoundedCache[str, Template] = BoundedCache(_MOST_TEMPLATES)
        self._sandbox = ImmutableSandboxedEnvironment(**options)

    def render(
        self,
        config: QueueConfig,
        language: Language,
        state: str,
        shown: Shown = _NOTHING,
        *,
        is_plain: bool = False,
    ) -> WaitingPage:
        """Render the page of a queue.

        With `is_plain` the page works without scripts: it shows the place, and the `Refresh` header of the
        response reloads it.

        Raises:
            InvalidRequest: the queue's own template fails.
        """
        brand = brand_style(config.accent_color, config.background_color)
        given: dict[str, Any] = {
            "queue": _queue_facts(config),
            "language": language,
            "languages": self.languages.all(),
            "text": language.text,
            "state": {
                "name": state,
                "headline": language.text(f"{state}.headline"),
                "explanation": language.text(f"{state}.explanation", time=shown.until),
                "can_join": state in MAY_JOIN_AGAIN,
                "can_retry": state in MAY_RETRY,
                "can_go_on": shown.may_go_on_without,
            },
            "place": shown.place or _NO_PLACE,
            "has_place": shown.place is not None,
            "brought_pass": shown.brought_pass,
            "is_plain": is_plain,
            "address": f"/wait/{quote(config.id)}",
            "keeps": language.keeps(config.heartbeat_timeout_seconds),
            "style": self._style,
            "script": self._script,
            "brand": Markup(brand),  # noqa: S704 - colors were checked to be #rrggbb
            "facts": _facts(config, language, state),
        }
        for part in ("head", "room", "switch"):
            given[part] = Markup(self._own.get_template(part).render(given))  # noqa: S704 - escaped in there
        return WaitingPage(self._whole(config, given), _policy(config, brand))

    def check_template(self, config: QueueConfig) -> None:
        """Render a queue's own template in every language and state: with scripts, without, and with a place.

        Raises:
            InvalidRequest: the template has an error, or its page is too long. `details` names the field.
        """
        for language in self.languages.all():
            for state in STATES:
                self.render(config, language, state)
                self.render(config, language, state, is_plain=True)
                self.render(config, language, state, _EVERYTHING, is_plain=True)

    def _whole(self, config: QueueConfig, given: dict[str, Any]) -> bytes:
        if not config.page_template:
            return self._own.get_template("waiting").render(given).encode()
        try:
            text = self._template_of(config.page_template).render(given)
            content = text.encode()
        except TemplateError as error:
            line = f" (line {error.lineno})" if isinstance(error, TemplateSyntaxError) else ""
            raise _bad_template(f"{error.message or type(error).__name__}{line}") from error
        except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
            raise _bad_template(f"{type(error).__name__}: {error}") from error
        if len(text) > _MOST_CHARACTERS:
            raise _bad_template(f"the page is longer than {_MOST_CHARACTERS} characters")
        for part in ("head", "room"):
            if str(given[part]) not in text:
                raise _bad_template(f"it must contain {{{{ {part} }}}}, without which the page does not work")
        return content

    def _template_of(self, source: str) -> Template:
        template = self._templates.get(source)
        if template is None:
            template = self._sandbox.from_string(source)
            self._templates.put(source, template)
        return template


def _bad_template(why: str) -> InvalidRequest:
    return InvalidRequest(f"page_template: {why}", field="page_template")


def _queue_facts(config: QueueConfig) -> dict[str, str]:
    return {
        "id": config.id,
        "name": config.name,
        "message": config.message,
        "logo_url": config.logo_url,
        "support_url": config.support_url,
    }


def _facts(config: QueueConfig, language: Language, state: str) -> Markup:
    """Return the facts for the page's script, as JSON that cannot end its HTML element."""
    facts = {
        "queue": config.id,
        "name": config.name,
        "language": language.tag,
        "state": state,
        "entry": config.entry,
        "texts": language.texts,
    }
    text = msgspec.json.encode(facts).decode()
    return Markup(text.replace("<", "\\u003c"))  # noqa: S704 - the only character that could end it is gone


def _policy(config: QueueConfig, brand: str) -> str:
    """Return the Content-Security-Policy of the page."""
    styles = "'self'"
    if config.page_template:
        styles += " 'unsafe-inline'"
    elif brand:
        styles += f" 'sha256-{base64.b64encode(sha256(brand.encode()).digest()).decode()}'"
    pictures = "'self' data:"
    if config.logo_url:
        logo = urlsplit(config.logo_url)
        pictures += f" {logo.scheme}://{logo.netloc.rpartition('@')[2]}"
    return (
        f"default-src 'none'; script-src 'self'; style-src {styles}; img-src {pictures}; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
