"""Keeps the public facts about each queue as bytes, because many visitors ask for the same."""

from hashlib import blake2b

import msgspec

from wr.api.setting_fields import public_values
from wr.api.visitors.messages import PublicQueueResponse
from wr.model.bounded_cache import BoundedCache
from wr.room.queue_cache import QueueView

_MOST_KEPT = 1024
_encode = msgspec.json.Encoder().encode


class QueueFactsCache:
    """Spells the facts about each queue once for each view of it, which lasts one admission interval."""

    def __init__(self) -> None:
        self._kept: BoundedCache[str, tuple[QueueView, bytes, str]] = BoundedCache(_MOST_KEPT)

    def of(self, view: QueueView) -> tuple[bytes, str]:
        """Return the facts as JSON, and their entity tag."""
        kept = self._kept.get(view.config.id)
        if kept is None or kept[0] is not view:
            body = _encode(facts_about(view))
            kept = view, body, f'"{blake2b(body, digest_size=12).hexdigest()}"'
            self._kept.put(view.config.id, kept)
        return kept[1], kept[2]


def facts_about(view: QueueView) -> msgspec.Struct:
    """Return the message with the public facts about a queue."""
    message: msgspec.Struct = PublicQueueResponse(
        **public_values(view.config),
        queue_length=view.waiting,
        estimated_wait_seconds=view.estimated_wait_s(view.waiting + 1),
    )
    return message
