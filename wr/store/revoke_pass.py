"""Revoking passes: `revoke_pass.lua`."""

import msgspec

from wr.store.key_names import KeyNames
from wr.store.script import Script, ScriptCall, load_script


class Revoked(msgspec.Struct, frozen=True):
    """A pass that was revoked."""

    uses: int
    """How many places it has given."""
    position_id: bytes
    """The last of these places; empty if there is none."""


class RevokePassScript:
    """Calls of `revoke_pass.lua`."""

    script: Script[tuple[int, int, bytes]] = load_script("revoke_pass")

    def __init__(self, keys: KeyNames) -> None:
        self._keys = keys

    def call(self, queue_id: str, digest: bytes, until_ms: int, now_ms: int) -> ScriptCall:
        """Spell KEYS and ARGV; `until_ms` is when the pass would have expired."""
        keys = self._keys.queue(queue_id, "config", "passes", "pass_ends", "revoked")
        return keys, [digest, until_ms, now_ms]

    def reply(self, raw: tuple[int, int, bytes]) -> Revoked | None:
        """Read the reply; None if there is no such queue."""
        exists, uses, position_id = raw
        return Revoked(uses, position_id) if exists else None
