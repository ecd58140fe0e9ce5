"""Messages about silent visitors: how many places a shorter heartbeat timeout would cost."""

from typing import Annotated

import msgspec
from msgspec import Meta

from wr.api.field_types import Count
from wr.model.queue import WEEK_S


class SilentQuery(msgspec.Struct, kw_only=True):
    """Which silence is asked about."""

    timeout_seconds: Annotated[
        int, Meta(ge=1, le=WEEK_S, description="A heartbeat timeout that the queue may be given")
    ] = 60


class SilentResponse(msgspec.Struct, kw_only=True):
    """What a heartbeat timeout would cost."""

    queue_id: str
    timeout_seconds: int
    waiting: Annotated[Count, Meta(description="People in line")]
    silent: Annotated[
        Count,
        Meta(description="Those of them not heard for so long: if they stay silent, they lose their places"),
    ]
