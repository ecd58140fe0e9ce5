"""A bounded memory of what is worth not working out twice."""

from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class BoundedCache(Generic[Key, Value]):
    """Remembers between `most` / 2 and `most` things, those used lately among them.

    Two generations instead of an order of use: a thing that is found in the old one moves to the young one,
    and when that is full it becomes the old. Finding costs one or two look-ups and nothing to keep in order.
    """

    __slots__ = ("_generation", "_old", "_young")

    def __init__(self, most: int) -> None:
        self._generation = most // 2
        self._young: dict[Key, Value] = {}
        self._old: dict[Key, Value] = {}

    def get(self, key: Key) -> Value | None:
        """Recall what was remembered under `key`; None when it was not, or is forgotten."""
        value = self._young.get(key)
        if value is None:
            value = self._old.get(key)
            if value is not None:
                self.put(key, value)
        return value

    def put(self, key: Key, value: Value) -> None:
        """Remember `value` under `key`."""
        if len(self._young) >= self._generation:
            self._old, self._young = self._young, {}
        self._young[key] = value

    def __contains__(self, key: Key) -> bool:
        """Whether something is remembered under `key`. Unlike `get`, to look does not keep it."""
        return key in self._young or key in self._old

    def clear(self) -> None:
        """Forget everything."""
        self._young, self._old = {}, {}

    def __len__(self) -> int:
        return len(self._young) + len(self._old.keys() - self._young.keys())
