"""Draws QR codes of URLs, caches them, and limits how many are drawn a second."""

from collections.abc import Callable
from importlib import import_module
from io import BytesIO

import trio

from wr.model.bounded_cache import BoundedCache
from wr.model.gate_rules import Budget
from wr.model.refusals import RateLimited

_MOST_KEPT = 256
"""Cached pictures, 8 KB each. The most recently used ones are kept."""
_MOST_A_SECOND = 10.0
"""New pictures a second. One takes 5 ms, so together they use at most a twentieth of a processor core."""


class QrCodes:
    """Draws and caches QR codes.

    Without a configured public URL, the host in the QR code comes from the client's `Host` header. The limit
    stops a client that sends a new host each time, so that each request draws a picture.
    """

    def __init__(self, clock_s: Callable[[], float]) -> None:
        self._clock_s = clock_s
        self._kept: BoundedCache[str, bytes] = BoundedCache(_MOST_KEPT)
        self._budget = Budget(_MOST_A_SECOND, clock_s())
        self._drawing = trio.Lock()

    async def picture(self, address: str) -> bytes:
        """Return a URL as a QR code: an SVG in black on white, for print and screens.

        Takes 5 ms the first time.

        Raises:
            RateLimited: too many were drawn just now. Cached pictures are still returned.
        """
        found = self._kept.get(address)
        if found is not None:
            return found
        # One at a time, so that simultaneous requests for the same picture draw it once.
        async with self._drawing:
            found = self._kept.get(address)
            if found is None:
                if not self._budget.spend(_MOST_A_SECOND, self._clock_s()):
                    raise RateLimited("Too many QR codes were drawn just now")
                found = await trio.to_thread.run_sync(_draw, address)
                self._kept.put(address, found)
        return found


def _draw(address: str) -> bytes:
    # Imported late, because many servers never draw a QR code.
    segno = import_module("segno")
    drawn = BytesIO()
    segno.make(address, error="m", micro=False).save(
        drawn, kind="svg", border=4, scale=8, dark="#000", light="#fff", xmldecl=False
    )
    return drawn.getvalue()
