"""Data of waiting pages: the input of the renderer, and its result."""

import msgspec


class PlaceShown(msgspec.Struct, frozen=True):
    """A place, formatted for a page without scripts."""

    position: str
    ahead: str
    wait: str
    progress: int
    """Percent."""
    updated: str


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """What a page without scripts shows in addition to its state. On other pages scripts show it."""

    place: PlaceShown | None = None
    until: str = ""
    """When a blocked visitor may join again, in the visitor's language."""
    brought_pass: str = ""
    """The pass in the page's URL. The page's forms pass it on until the visitor has a place."""
    may_go_on_without: bool = False
    """Whether the page has a link to continue without the pass."""


class WaitingPage(msgspec.Struct, frozen=True):
    """A rendered page, and its Content-Security-Policy, which allows only the page's files and logo."""

    content: bytes
    policy: str
