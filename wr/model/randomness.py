"""Draws random bytes from the system in large pieces: one system call per identifier would take too long."""

from collections.abc import Callable

_DRAWN_AT_ONCE = 4096


class RandomPool:
    """Returns random bytes, each only once. `draw` is their source."""

    __slots__ = ("_at", "_draw", "_pool")

    def __init__(self, draw: Callable[[int], bytes]) -> None:
        self._draw = draw
        self._pool = b""
        self._at = 0

    def __call__(self, count: int) -> bytes:
        """Return `count` bytes that were never returned before."""
        at = self._at
        self._at = at + count
        if self._at > len(self._pool):
            self._pool, at, self._at = self._draw(max(count, _DRAWN_AT_ONCE)), 0, count
        return self._pool[at : at + count]
