"""Messages about a queue's history: figures over time, for charts."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from wr.api.field_types import Count, Time

Rate = Annotated[float, Meta(ge=0, description="People per second, over this step")]


class HistoryQuery(msgspec.Struct, kw_only=True):
    """Which history is asked for."""

    span: Annotated[
        Literal["15m", "24h"], Meta(description="15m: steps of 10 seconds; 24h: steps of 5 minutes")
    ] = "15m"


class HistoryPoint(msgspec.Struct, kw_only=True):
    """One step of a queue's history."""

    at: Annotated[Time, Meta(description="When the step began")]
    waiting: Annotated[Count, Meta(description="People in line when the step began")]
    active: Annotated[Count, Meta(description="Sessions that were on when the step began")]
    joined_per_second: Rate
    admitted_per_second: Rate
    expired_per_second: Annotated[Rate, Meta(description="Places lost by silence, per second")]
    cancelled_per_second: Annotated[Rate, Meta(description="Places given up or flushed, per second")]
    average_wait_seconds: Annotated[
        float | None,
        Meta(description="Mean of the exact waits of those let in during this step; null when nobody was"),
    ]


class HistoryResponse(msgspec.Struct, kw_only=True):
    """A queue's history, oldest step first, up to the last step that is over.

    Steps that began or ended without a server are missing, and so are those that are less than half known. A
    step that is told once is told the same ever after.
    """

    queue_id: str
    span: Literal["15m", "24h"]
    step_seconds: Annotated[int, Meta(description="How long each step lasts", examples=[10])]
    points: list[HistoryPoint]
