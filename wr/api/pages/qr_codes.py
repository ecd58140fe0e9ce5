"""Pictures of addresses as QR codes: drawn once, few in a second, and remembered."""

from collections.abc import Callable
from importlib import import_module
from io import BytesIO

import trio

from wr.model.bounded_cache import BoundedCache
from wr.model.gate_rules import Budget
from wr.model.refusals import RateLimited

_MOST_KEPT = 256
"""Pictures kept, 8 KB each. The addresses asked for lately are among them."""
_MOST_A_SECOND = 10.0
"""New pictures drawn in a second: one takes 5 ms, so all of them a twentieth of a processor."""


class QrCodes:
    """Draws QR codes.

    Without a public address, the host in an address is what the client claims it to be: a client that claims
    a new host each time would have a picture drawn, and another forgotten, with each request.
    """

    def __init__(self, clock_s: Callable[[], float]) -> None:
        self._clock_s = clock_s
        self._kept: BoundedCache[str, bytes] = BoundedCache(_MOST_KEPT)
        self._budget = Budget(_MOST_A_SECOND, clock_s())
        self._drawing = trio.Lock()

    async def picture(self, address: str) -> bytes:
        """Draw an address as an SVG of black squares on white, for print and screens; 5 ms the first time.

        Raises:
            RateLimited: too many others were drawn just now; pictures that are kept are given all the same.
        """
        found = self._kept.get(address)
        if found is not None:
            return found
        # One at a time: those who ask for the same one meanwhile find it.
        async with self._drawing:
            found = self._kept.get(address)
            if found is None:
                if not self._budget.spend(_MOST_A_SECOND, self._clock_s()):
                    raise RateLimited("Too many QR codes were drawn just now")
                found = await trio.to_thread.run_sync(_draw, address)
                self._kept.put(address, found)
        return found


def _draw(address: str) -> bytes:
    # Loaded when somebody first asks for a picture: many a server is never asked.
    segno = import_module("segno")
    drawn = BytesIO()
    segno.make(address, error="m", micro=False).save(
        drawn, kind="svg", border=4, scale=8, dark="#000", light="#fff", xmldecl=False
    )
    return drawn.getvalue()
