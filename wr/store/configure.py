"""Writing a queue's settings: `configure.lua`."""

import msgspec

from wr.model.queue_settings import QueueConfig
from wr.store.key_names import KeyNames
from wr.store.script import Argument, Script, ScriptCall, load_script

_KEPT_BY_SCRIPT = frozenset({"created_ms", "updated_ms", "version"})


class Written(msgspec.Struct, frozen=True):
    """Settings were written: when, by the store's clock in milliseconds since 1970, and as which version."""

    at_ms: int
    version: int


class ConfigureScript:
    """Calls of `configure.lua`."""

    script: Script[tuple[int, int, int]] = load_script("configure")

    def __init__(self, keys: KeyNames) -> None:
        self._keys = keys

    def call(self, config: QueueConfig, now_ms: int) -> ScriptCall:
        """Spell KEYS and ARGV: replace the settings of `config.version`; 0 creates the queue."""
        arguments = [now_ms, config.version, *spell_settings(config, without=_KEPT_BY_SCRIPT)]
        return self._keys.queue(config.id, "config"), arguments

    def reply(self, raw: tuple[int, int, int]) -> Written | None:
        """Read the reply; None if the settings were not written, because the store has another version."""
        written, at_ms, version = raw
        return Written(at_ms, version) if written else None


def setting_text(value: object) -> str:
    """Spell the value of a setting as a queue's hash keeps it."""
    return repr(value) if isinstance(value, float) else str(value)


def spell_settings(config: QueueConfig, *, without: frozenset[str]) -> list[Argument]:
    """Spell settings as field, value, field, value, as a queue's hash keeps them."""
    arguments: list[Argument] = []
    for field, value in msgspec.to_builtins(config).items():
        if field not in without:
            arguments += (field, setting_text(value))
    return arguments
