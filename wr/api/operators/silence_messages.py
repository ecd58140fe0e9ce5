"""Query and response for silent visitors: how many places a shorter heartbeat timeout would end."""

from typing import Annotated

import msgspec
from msgspec import Meta

from wr.api.field_types import Count
from wr.model.queue_settings import WEEK_S


class SilentQuery(msgspec.Struct, kw_only=True):
    """The heartbeat timeout to try."""

    timeout_seconds: Annotated[
        int, Meta(ge=1, le=WEEK_S, description="A possible heartbeat timeout for the queue")
    ] = 60


class SilentResponse(msgspec.Struct, kw_only=True):
    """How many places a heartbeat timeout would end."""

    queue_id: str
    timeout_seconds: int
    waiting: Annotated[Count, Meta(description="Visitors in line")]
    silent: Annotated[
        Count,
        Meta(
            description="Visitors in line who sent no heartbeat for that long. They would lose their places"
        ),
    ]
