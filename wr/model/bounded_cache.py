"""A cache of bounded size for results that are expensive to compute."""

from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class BoundedCache(Generic[Key, Value]):
    """Keeps between `most` / 2 and `most` entries, including the recently used ones.

    Uses two generations: an entry that is found in the old one moves to the young one. When the young one is
    full, it becomes the old one. A look-up costs one or two dictionary look-ups, and no order must be kept.
    """

    __slots__ = ("_generation", "_old", "_young")

    def __init__(self, most: int) -> None:
        self._generation = most // 2
        self._young: dict[Key, Value] = {}
        self._old: dict[Key, Value] = {}

    def get(self, key: Key) -> Value | None:
        """Return the value of `key`; None if there is none, or no longer."""
        value = self._young.get(key)
        if value is None:
            value = self._old.get(key)
            if value is not None:
                self.put(key, value)
        return value

    def put(self, key: Key, value: Value) -> None:
        """Store `value` under `key`."""
        if len(self._young) >= self._generation:
            self._old, self._young = self._young, {}
        self._young[key] = value

    def clear(self) -> None:
        """Remove all entries."""
        self._young, self._old = {}, {}

    def __len__(self) -> int:
        return len(self._young) + len(self._old.keys() - self._young.keys())
