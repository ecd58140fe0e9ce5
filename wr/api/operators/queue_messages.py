"""Messages with which operators create, change, list and measure queues (contract: Admin Endpoints)."""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from wr.api.field_types import Count, Seconds, Time
from wr.model.branding import (
    AccentColor,
    BackgroundColor,
    LogoUrl,
    Message,
    PageTemplate,
    SupportUrl,
)
from wr.model.gate_rules import (
    OpenAddresses,
    OpenAgents,
    OpenPaths,
    OutageGrace,
    OutagePolicy,
    OutageRate,
)
from wr.model.priorities import (
    DEFAULT_PLACES_PER_ADDRESS,
    EntryRule,
    MaxPlacesPerAddress,
    OpenPriority,
    PriorityShare,
)
from wr.model.queue import (
    AdmissionRate,
    HeartbeatInterval,
    HeartbeatTimeout,
    MaxActiveUsers,
    MaxQueueSize,
    Name,
    QueueId,
    QueueStatus,
    SessionTimeout,
    TargetUrl,
    UniqueBy,
)
from wr.model.session_binding import SessionBinding


class CreateQueueRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A new queue; what is left out gets its default."""

    id: QueueId
    name: Name | UnsetType = UNSET
    target_url: TargetUrl
    max_active_users: MaxActiveUsers = 1000
    max_queue_size: MaxQueueSize = 50_000
    admission_rate: AdmissionRate = 10.0
    session_timeout_seconds: (
        Annotated[SessionTimeout, Meta(description="Left out: 3600 seconds, or 300 for a concert's queue")]
        | UnsetType
    ) = UNSET
    heartbeat_interval_seconds: HeartbeatInterval = 10
    heartbeat_timeout_seconds: (
        Annotated[HeartbeatTimeout, Meta(description="Left out: 60 seconds, or 1800 for a concert's queue")]
        | UnsetType
    ) = UNSET
    unique_by: UniqueBy = UniqueBy.CLIENT
    status: QueueStatus = QueueStatus.ACTIVE
    message: Message = ""
    logo_url: LogoUrl = ""
    accent_color: AccentColor = ""
    background_color: BackgroundColor = ""
    support_url: SupportUrl = ""
    page_template: PageTemplate = ""
    open_paths: OpenPaths = ""
    open_addresses: OpenAddresses = ""
    open_agents: OpenAgents = ""
    outage_policy: OutagePolicy = OutagePolicy.CLOSED
    outage_grace_seconds: OutageGrace = 30
    outage_rate: OutageRate = 1.0
    entry: EntryRule = EntryRule.OPEN
    open_priority: OpenPriority = 0
    priority_share: PriorityShare = 0.8
    max_places_per_address: MaxPlacesPerAddress = DEFAULT_PLACES_PER_ADDRESS
    session_binding: SessionBinding = SessionBinding.NONE


class UpdateQueueRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Changes to a queue; what is left out stays."""

    name: Name | UnsetType = UNSET
    target_url: TargetUrl | UnsetType = UNSET
    max_active_users: MaxActiveUsers | UnsetType = UNSET
    max_queue_size: MaxQueueSize | UnsetType = UNSET
    admission_rate: AdmissionRate | UnsetType = UNSET
    session_timeout_seconds: SessionTimeout | UnsetType = UNSET
    heartbeat_interval_seconds: HeartbeatInterval | UnsetType = UNSET
    heartbeat_timeout_seconds: HeartbeatTimeout | UnsetType = UNSET
    unique_by: UniqueBy | UnsetType = UNSET
    status: QueueStatus | UnsetType = UNSET
    message: Message | UnsetType = UNSET
    logo_url: LogoUrl | UnsetType = UNSET
    accent_color: AccentColor | UnsetType = UNSET
    background_color: BackgroundColor | UnsetType = UNSET
    support_url: SupportUrl | UnsetType = UNSET
    page_template: PageTemplate | UnsetType = UNSET
    open_paths: OpenPaths | UnsetType = UNSET
    open_addresses: OpenAddresses | UnsetType = UNSET
    open_agents: OpenAgents | UnsetType = UNSET
    outage_policy: OutagePolicy | UnsetType = UNSET
    outage_grace_seconds: OutageGrace | UnsetType = UNSET
    outage_rate: OutageRate | UnsetType = UNSET
    entry: EntryRule | UnsetType = UNSET
    open_priority: OpenPriority | UnsetType = UNSET
    priority_share: PriorityShare | UnsetType = UNSET
    max_places_per_address: MaxPlacesPerAddress | UnsetType = UNSET
    session_binding: SessionBinding | UnsetType = UNSET


class QueueResponse(msgspec.Struct, kw_only=True):
    """A queue's settings."""

    id: QueueId
    name: str
    status: QueueStatus
    target_url: str
    max_active_users: int
    max_queue_size: int
    admission_rate: float
    session_timeout_seconds: int
    heartbeat_interval_seconds: int
    heartbeat_timeout_seconds: int
    unique_by: UniqueBy
    message: str = ""
    logo_url: str = ""
    accent_color: str = ""
    background_color: str = ""
    support_url: str = ""
    page_template: Annotated[str, Meta(description="Left out in lists")] | UnsetType = UNSET
    open_paths: str = ""
    open_addresses: str = ""
    open_agents: str = ""
    outage_policy: OutagePolicy = OutagePolicy.CLOSED
    outage_grace_seconds: int = 30
    outage_rate: float = 1.0
    entry: EntryRule = EntryRule.OPEN
    open_priority: int = 0
    priority_share: float = 0.8
    max_places_per_address: int = DEFAULT_PLACES_PER_ADDRESS
    session_binding: SessionBinding = SessionBinding.NONE
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
