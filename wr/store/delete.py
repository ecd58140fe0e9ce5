"""Deleting a queue and all that belongs to it: `delete.lua`."""

from wr.store.key_names import KeyNames
from wr.store.script import Script, ScriptCall, load_script


class DeleteScript:
    """Calls of `delete.lua`."""

    script: Script[int] = load_script("delete")

    def __init__(self, keys: KeyNames) -> None:
        self._keys = keys

    def call(self, queue_id: str) -> ScriptCall:
        """Spell KEYS and ARGV for one queue."""
        return self._keys.all_of(queue_id), []

    def reply(self, raw: int) -> bool:
        """Read the reply: whether there was such a queue."""
        return bool(raw)
