"""Randomness drawn in larger pieces: to ask the system for each identifier took longer than to use it."""

from collections.abc import Callable

_DRAWN_AT_ONCE = 4096


class RandomPool:
    """Hands out random bytes, each once; `draw` is where they come from."""

    __slots__ = ("_at", "_draw", "_pool")

    def __init__(self, draw: Callable[[int], bytes]) -> None:
        self._draw = draw
        self._pool = b""
        self._at = 0

    def __call__(self, count: int) -> bytes:
        """Hand out `count` bytes that were never handed out before."""
        at = self._at
        self._at = at + count
        if self._at > len(self._pool):
            self._pool, at, self._at = self._draw(max(count, _DRAWN_AT_ONCE)), 0, count
        return self._pool[at : at + count]
