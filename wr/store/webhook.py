"""Keeping a webhook, unless another server has changed it or there are too many: `webhook.lua`."""

from enum import IntEnum

from wr.model.webhooks import MOST_WEBHOOKS
from wr.store.key_names import KeyNames
from wr.store.script import Script, ScriptCall, load_script


class SaveOutcome(IntEnum):
    """Whether a webhook was written."""

    YES = 0
    CHANGED_MEANWHILE = 1
    TOO_MANY = 2


class WebhookScript:
    """Calls of `webhook.lua`."""

    script: Script[int] = load_script("webhook")

    def __init__(self, keys: KeyNames) -> None:
        self._webhooks = keys.shared("webhooks")

    def call(self, webhook_id: str, text: bytes, before: bytes) -> ScriptCall:
        """Spell KEYS and ARGV; `before` is the text to replace, or empty if the webhook must be new."""
        return [self._webhooks], [webhook_id, text, before, MOST_WEBHOOKS]

    def reply(self, raw: int) -> SaveOutcome:
        """Read the reply."""
        return SaveOutcome(raw)
