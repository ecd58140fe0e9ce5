"""Request and response bodies for managing queues (contract: Admin Endpoints)."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from wr.api.field_types import Count, Seconds, Time
from wr.api.setting_fields import change_fields, creation_fields, with_answer_fields
from wr.model.queue_settings import QueueSettings, QueueStatus

CreateQueueRequest = msgspec.defstruct(
    "CreateQueueRequest",
    creation_fields(),
    module=__name__,
    namespace={"__doc__": "A new queue. Settings that are left out get their defaults."},
    kw_only=True,
    forbid_unknown_fields=True,
)

UpdateQueueRequest = msgspec.defstruct(
    "UpdateQueueRequest",
    change_fields(),
    module=__name__,
    namespace={"__doc__": "Changes to a queue. Settings that are left out do not change."},
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
)


@with_answer_fields
class QueueResponse(QueueSettings, frozen=True, kw_only=True):
    """The settings of a queue."""

    created_at: Time
    updated_at: Time


class StatsResponse(msgspec.Struct, kw_only=True):
    """The figures of a queue. Today is the UTC day of the store's clock."""

    queue_id: str
    status: QueueStatus
    current_waiting: Annotated[Count, Meta(description="Visitors in line now: an exact count")]
    current_active: Annotated[Count, Meta(description="Sessions that have not ended: an exact count")]
    total_enqueued_today: Annotated[Count, Meta(description="New places today")]
    total_admitted_today: Annotated[Count, Meta(description="Visitors admitted today")]
    total_expired_today: Annotated[Count, Meta(description="Places lost today without heartbeats")]
    total_cancelled_today: Annotated[Count, Meta(description="Places cancelled or flushed today")]
    avg_wait_time_seconds: Annotated[
        int,
        Meta(
            description="Mean of the exact waits of all visitors admitted today, to the nearest second. 0 if "
            "there were none"
        ),
    ]
    peak_queue_size: Annotated[Count, Meta(description="Greatest length of the line today")]
    admission_rate_actual: Annotated[
        float,
        Meta(description="Visitors admitted per second in the last minute, or since the queue's creation"),
    ]


class QueueListResponse(msgspec.Struct, kw_only=True):
    """All queues, sorted by id."""

    now: Annotated[Time, Meta(description="The server's time")]
    queues: list["QueueSummary"]


class QueueSummary(msgspec.Struct, kw_only=True):
    """The settings, figures and forecast of a queue."""

    queue: QueueResponse
    stats: StatsResponse
    estimated_wait_seconds: Annotated[
        Seconds,
        Meta(description="Estimated seconds until the last visitor in line is admitted. 0 without a line"),
    ]
    clears_in_seconds: Annotated[
        int | None,
        Meta(description="The same with the current settings. Null if visitors wait and none is admitted"),
    ]


class DeleteQueueResponse(msgspec.Struct, kw_only=True):
    """The queue is deleted, with all its places and sessions."""

    id: str
    status: Literal["deleted"] = "deleted"


class FlushResponse(msgspec.Struct, kw_only=True):
    """The line is empty. Sessions continue."""

    queue_id: str
    flushed: Annotated[Count, Meta(description="Places that were removed")]
