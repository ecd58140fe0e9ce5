"""Query and response of a queue's history: figures over time, for charts."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from wr.api.field_types import Count, Time

Rate = Annotated[float, Meta(ge=0, description="Visitors per second during this step")]


class HistoryQuery(msgspec.Struct, kw_only=True):
    """Which history to show."""

    span: Annotated[
        Literal["15m", "24h"], Meta(description="15m: steps of 10 seconds; 24h: steps of 5 minutes")
    ] = "15m"


class HistoryPoint(msgspec.Struct, kw_only=True):
    """One step of a queue's history."""

    at: Annotated[Time, Meta(description="When the step began")]
    waiting: Annotated[Count, Meta(description="Visitors in line when the step began")]
    active: Annotated[Count, Meta(description="Active sessions when the step began")]
    joined_per_second: Rate
    admitted_per_second: Rate
    expired_per_second: Annotated[Rate, Meta(description="Places lost without heartbeats, per second")]
    cancelled_per_second: Annotated[Rate, Meta(description="Places cancelled or flushed, per second")]
    average_wait_seconds: Annotated[
        float | None,
        Meta(
            description="Mean of the exact waits of visitors admitted in this step. Null if there were none"
        ),
    ]


class HistoryResponse(msgspec.Struct, kw_only=True):
    """A queue's history, oldest step first, up to the last complete step.

    A step is missing if no server ran at its beginning or end, or if less than half of it is known. The
    values of a step never change once it is listed.
    """

    queue_id: str
    span: Literal["15m", "24h"]
    step_seconds: Annotated[int, Meta(description="How long each step lasts", examples=[10])]
    points: list[HistoryPoint]
