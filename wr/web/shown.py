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


class WaitingPage(msgspec.Struct, frozen=True):
    """A page, and the Content-Security-Policy it needs: itself, its queue's logo and colors, nothing else."""

    content: bytes
    policy: str
