"""Creates the settings of a new queue, with other defaults for the second API (`concert-1` and so on)."""

import re
from collections.abc import Mapping

import msgspec

from wr.model.queue_settings import SETTINGS, QueueConfig

_CONCERT_QUEUE = re.compile(r"concert-[1-9]\d*")


def new_queue(queue_id: str, given: Mapping[str, object]) -> QueueConfig:
    """Create the settings of a new queue. A setting that is not given gets the default of this kind.

    Raises:
        msgspec.ValidationError: a setting is missing or has a value that is not allowed.
    """
    settings: dict[str, object] = {"id": queue_id, "name": queue_id}
    if _CONCERT_QUEUE.fullmatch(queue_id):
        settings |= {
            each.name: each.facts.concert_default
            for each in SETTINGS
            if each.facts.concert_default is not None
        }
    return msgspec.convert({**settings, **given}, QueueConfig)
