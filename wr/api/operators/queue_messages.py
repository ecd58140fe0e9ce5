"""Messages with which operators create, change, list and measure queues (contract: Admin Endpoints)."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from wr.api.field_types import Count, Seconds, Time
from wr.api.setting_fields import change_fields, creation_fields, with_answer_fields
from wr.model.queue import QueueSettings, QueueStatus

CreateQueueRequest = msgspec.defstruct(
    "CreateQueueRequest",
    creation_fields(),
    module=__name__,
    namespace={"__doc__": "A new queue; what is left out gets its default."},
    kw_only=True,
    forbid_unknown_fields=True,
)

UpdateQueueRequest = msgspec.defstruct(
    "UpdateQueueRequest",
    change_fields(),
    module=__name__,
    namespace={"__doc__": "Changes to a queue; what is left out stays."},
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
)


@with_answer_fields
class QueueResponse(QueueSettings, frozen=True, kw_only=True):
    """A queue's settings."""

    created_at: Time
    updated_at: Time


class StatsResponse(msgspec.Struct, kw_only=True):
    """A queue's figures; «today» is the UTC day of the store's clock."""

    queue_id: str
    status: QueueStatus
    current_waiting: Annotated[Count, Meta(description="People in line now, counted in the line itself")]
    current_active: Annotated[Count, Meta(description="Sessions whose time is not over, counted now")]
    total_enqueued_today: Annotated[Count, Meta(description="New places given today")]
    total_admitted_today: Annotated[Count, Meta(description="People let in today")]
    total_expired_today: Annotated[Count, Meta(description="Places lost today by silence")]
    total_cancelled_today: Annotated[Count, Meta(description="Places given up or flushed today")]
    avg_wait_time_seconds: Annotated[
        int,
        Meta(
            description="Mean of the exact waits of everyone let in today, to the nearest second; 0 while "
            "nobody was"
        ),
    ]
    peak_queue_size: Annotated[Count, Meta(description="Longest the line has been today")]
    admission_rate_actual: Annotated[
        float,
        Meta(description="People let in per second over the last minute, or since the queue's creation"),
    ]


class QueueListResponse(msgspec.Struct, kw_only=True):
    """Every queue, by id."""

    now: Annotated[Time, Meta(description="The server's time")]
    queues: list["QueueSummary"]


class QueueSummary(msgspec.Struct, kw_only=True):
    """A queue's settings, figures and prospects."""

    queue: QueueResponse
    stats: StatsResponse
    estimated_wait_seconds: Annotated[
        Seconds, Meta(description="Estimated seconds until the last in line is let in; 0 without a line")
    ]
    clears_in_seconds: Annotated[
        int | None,
        Meta(description="The same as the queue is set now: null while people wait and nobody is let in"),
    ]


class DeleteQueueResponse(msgspec.Struct, kw_only=True):
    """The queue and everyone in it are gone."""

    id: str
    status: Literal["deleted"] = "deleted"


class FlushResponse(msgspec.Struct, kw_only=True):
    """The line is empty; sessions go on."""

    queue_id: str
    flushed: Annotated[Count, Meta(description="People sent away")]
