"""What a waiting page shows, and what it is when it is rendered."""

import msgspec


class PlaceShown(msgspec.Struct, frozen=True):
    """A place as a page without scripts shows it."""

    position: str
    ahead: str
    wait: str
    progress: int
    """Percent."""
    updated: str


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """What a waiting page shows beside its state; scripts of a page show all of it themselves."""

    place: PlaceShown | None = None
    until: str = ""
    """When a visitor that is blocked may join again, in the visitor's language."""
    brought_pass: str = ""
    """The pass in the address of the page. The page's own forms keep it, until it gives a place."""
    may_go_on_without: bool = False
    """Whether a link lets the visitor go on without the pass."""


class WaitingPage(msgspec.Struct, frozen=True):
    """A page, and the Content-Security-Policy it needs: itself, its queue's logo and colors, nothing else."""

    content: bytes
    policy: str
