"""Taking passes back: `revoke_pass.lua`."""

from typing import Any

import msgspec

from wr.store.key_names import KeyNames
from wr.store.script import load_script


class Revoked(msgspec.Struct, frozen=True):
    """A pass that was taken back."""

    uses: int
    """Places that it has given."""
    position_id: bytes
    """The last of these; empty when there is none."""


class RevokePassScript:
    """Calls of `revoke_pass.lua`."""

    script = load_script("revoke_pass")

    def __init__(self, keys: KeyNames) -> None:
        self._keys = keys

    def call(self, queue_id: str, digest: bytes, until_ms: int, now_ms: int) -> tuple[list[str], list[Any]]:
        """Spell KEYS and ARGV; `until_ms` is when the pass would have ended by itself."""
        keys = self._keys.queue(queue_id, "config", "passes", "pass_ends", "revoked")
        return keys, [digest, until_ms, now_ms]

    def reply(self, raw: list[Any]) -> Revoked | None:
        """Read the reply; None when there is no such queue."""
        exists, uses, position_id = raw
        return Revoked(uses, position_id) if exists else None
