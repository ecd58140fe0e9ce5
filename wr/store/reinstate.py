"""Writing a queue back into a store that has forgotten it, with its blocks: `reinstate.lua`."""

from collections.abc import Sequence

import msgspec

from wr.model.queue_settings import QueueConfig
from wr.store.block import Block
from wr.store.configure import spell_settings
from wr.store.key_names import KeyNames
from wr.store.script import Argument, Script, ScriptCall, load_script

_PARTS = ("config", "blocks", "block_notes", "passes", "pass_ends", "revoked")
_SENT_APART = frozenset({"created_ms", "version"})


class RevokedPassRecord(msgspec.Struct, frozen=True):
    """A pass that was revoked, and until when that must be remembered."""

    digest: bytes
    until_ms: int


class ReinstateScript:
    """Calls of `reinstate.lua`."""

    script: Script[int] = load_script("reinstate")

    def __init__(self, keys: KeyNames) -> None:
        self._keys = keys

    def call(
        self, config: QueueConfig, blocks: Sequence[Block], revoked: Sequence[RevokedPassRecord]
    ) -> ScriptCall:
        """Spell KEYS and ARGV for one queue."""
        settings = spell_settings(config, without=_SENT_APART)
        blocked_until_ms = max((block.until_ms for block in blocks), default=0)
        counts = (len(settings) // 2, len(blocks))
        arguments: list[Argument] = [config.created_ms, config.version, blocked_until_ms, *counts, *settings]
        for block in blocks:
            arguments += (block.member, block.until_ms, msgspec.json.encode(block.note))
        for record in revoked:
            arguments += (record.digest, record.until_ms)
        return self._keys.queue(config.id, *_PARTS), arguments

    def reply(self, raw: int) -> bool:
        """Read the reply: whether settings were written, because the store had none or older ones."""
        return bool(raw)
