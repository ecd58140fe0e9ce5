"""Counting requests that reach no other script: `limit.lua`."""

from collections.abc import Sequence

import msgspec

from wr.model.limits import Limit, Usage
from wr.store.key_names import KeyNames
from wr.store.script import Script, ScriptCall, load_script


class Counted(msgspec.Struct, frozen=True):
    """Which counter a request belongs to: one of a queue, or one of all queues (`GLOBAL_TAG`)."""

    tag: str
    scope: str
    subject: bytes


class LimitScript:
    """Calls of `limit.lua` for one counter."""

    script: Script[list[int]] = load_script("limit", may_repeat=True)

    def __init__(self, keys: KeyNames, limits: dict[str, Limit]) -> None:
        self._keys = keys
        self._limits = limits

    def limit_of(self, scope: str) -> Limit:
        """The limit of a scope."""
        return self._limits[scope]

    def call(self, counter: str, now_ms: int, subjects: Sequence[bytes]) -> ScriptCall:
        """Spell KEYS and ARGV; `counter` is `scope@tag`, as `lane_of` makes it."""
        scope, _, tag = counter.partition("@")
        return self._keys.queue(tag, f"limit_{scope}"), [
            now_ms,
            self._limits[scope].window_s * 1000,
            *subjects,
        ]

    def replies(self, counter: str, raw: list[int]) -> list[Usage]:
        """Read the reply: one usage per subject, in order."""
        limit = self._limits[counter.partition("@")[0]]
        return [Usage(limit, used, raw[0]) for used in raw[2:]]


def lane_of(counted: Counted) -> str:
    """Name the counter of one request, so that requests of one counter share a batch."""
    return f"{counted.scope}@{counted.tag}"
