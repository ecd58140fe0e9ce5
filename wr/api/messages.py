"""What goes over the wire, as the contract spells it: validation and JSON Schema from one definition."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from wr.block_service import LONGEST_BLOCK_S, BlockScope
from wr.concerts import UserStatus
from wr.model.branding import (
    AccentColor,
    BackgroundColor,
    LogoUrl,
    Message,
    PageTemplate,
    SupportUrl,
)
from wr.model.fairness import (
    DEFAULT_PLACES_PER_ADDRESS,
    EntryRule,
    MaxPlacesPerAddress,
    OpenPriority,
    PriorityShare,
)
from wr.model.gate import (
    OpenAddresses,
    OpenAgents,
    OpenPaths,
    OutageGrace,
    OutagePolicy,
    OutageRate,
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

Uuid = Annotated[str, Meta(extra_json_schema={"format": "uuid"})]
Time = Annotated[str, Meta(extra_json_schema={"format": "date-time"}, examples=["2024-01-01T12:30:00Z"])]
Timestamp = Annotated[int, Meta(ge=0, le=2**53, description="The client's clock, milliseconds since 1970")]
Long = Annotated[int, Meta(ge=1, le=2**63 - 1, description="A positive 64-bit integer")]
Count = Annotated[int, Meta(ge=0)]
Recovering = Annotated[
    bool,
    Meta(
        description="Sent, as true, while no visitor is let in because the store has lost places, which are "
        "put back in their old order"
    ),
]
HeldStatus = Annotated[
    Literal["paused", "maintenance"],
    Meta(description="Why nobody is being let in just now; left out while people are"),
]
_KEPT = Meta(description="Left out where the client asked with `X-WR-Token: cookie` to keep it in a cookie")
Seconds = Annotated[int, Meta(ge=0, description="Seconds")]


class HealthResponse(msgspec.Struct, kw_only=True):
    """Whether the service can do its work just now."""

    status: Literal["healthy", "unhealthy"]
    version: str
    uptime_seconds: int
    components: dict[str, str]
    recovering_queues: (
        Annotated[int, Meta(ge=1, description="Queues whose places come back after the store has lost them")]
        | UnsetType
    ) = UNSET


class EnqueueRequest(msgspec.Struct, kw_only=True):
    """A wish to join; all of it may be left out."""

    priority: Annotated[int, Meta(ge=0, le=3)] = 0
    metadata: dict[str, str | int | float | bool] = {}
    pass_: Annotated[
        str,
        Meta(max_length=4096, description="A pass of the site, where it does not come as `X-WR-Pass`"),
    ] = msgspec.field(default="", name="pass")


class EnqueueResponse(msgspec.Struct, kw_only=True):
    """A place in line; for a person who has been let in already also the way in."""

    position_id: Uuid
    queue_id: str
    position: int
    queue_length: int
    estimated_wait_seconds: int
    priority: Annotated[
        int, Meta(description="The priority that the place has: lower than asked for where that took a proof")
    ]
    status: Literal["waiting", "admitted", "expired"]
    token: Annotated[str, _KEPT] | UnsetType
    heartbeat_interval_seconds: int
    heartbeat_timeout_seconds: int
    expires_at: Time
    session_token: str | UnsetType = UNSET
    redirect_url: str | UnsetType = UNSET
    session_expires_at: Time | UnsetType = UNSET
    queue_status: HeldStatus | UnsetType = UNSET
    recovering: Recovering | UnsetType = UNSET


class WaitingStatus(msgspec.Struct, kw_only=True):
    """Where somebody in line stands."""

    position_id: Uuid
    queue_id: str
    status: Literal["waiting"] = "waiting"
    position: int
    queue_length: int
    estimated_wait_seconds: int
    admitted: bool = False
    token: Annotated[str, _KEPT] | UnsetType
    expires_at: Time
    queue_status: HeldStatus | UnsetType = UNSET
    recovering: Recovering | UnsetType = UNSET


class AdmittedStatus(msgspec.Struct, kw_only=True):
    """The way in for somebody who has been let in."""

    position_id: Uuid
    queue_id: str
    status: Literal["admitted"] = "admitted"
    position: int = 0
    queue_length: int
    estimated_wait_seconds: int = 0
    admitted: bool = True
    session_token: str
    redirect_url: str
    session_expires_at: Time


class HeartbeatRequest(msgspec.Struct, kw_only=True):
    """A sign of life; all of it may be left out."""

    timestamp: Timestamp | UnsetType = UNSET
    client_id: Annotated[str, Meta(max_length=256)] | UnsetType = UNSET


class WaitingHeartbeat(msgspec.Struct, kw_only=True):
    """The place is kept."""

    position_id: Uuid
    status: Literal["waiting"] = "waiting"
    position: int
    queue_length: int
    estimated_wait_seconds: int
    token: Annotated[str, _KEPT] | UnsetType
    next_heartbeat_seconds: int
    heartbeat_timeout_seconds: int
    queue_status: HeldStatus | UnsetType = UNSET
    recovering: Recovering | UnsetType = UNSET


class AdmittedHeartbeat(msgspec.Struct, kw_only=True):
    """No more heartbeats are needed: this is the way in."""

    position_id: Uuid
    status: Literal["admitted"] = "admitted"
    session_token: str
    redirect_url: str


class CancelResponse(msgspec.Struct, kw_only=True):
    """The place is given up."""

    position_id: Uuid
    status: Literal["cancelled"] = "cancelled"
    cancelled_at: Time


class EndSessionResponse(msgspec.Struct, kw_only=True):
    """The session is ended by its holder."""

    session_id: str
    status: Literal["ended"] = "ended"
    ended_at: Time


class SessionResponse(msgspec.Struct, kw_only=True):
    """An active session."""

    session_id: str
    queue_id: str
    position_id: Uuid
    status: Literal["active"] = "active"
    started_at: Time
    expires_at: Time
    last_activity: Time
    page_views: Count
    remaining_seconds: Seconds


class ActivityRequest(msgspec.Struct, kw_only=True):
    """What a visitor did; the action `page_view` counts as one."""

    action: Annotated[str, Meta(min_length=1, max_length=64, examples=["page_view"])] = "activity"
    page: Annotated[str, Meta(max_length=2048, examples=["/checkout"])] | UnsetType = UNSET
    timestamp: Timestamp | UnsetType = UNSET


class ActivityResponse(msgspec.Struct, kw_only=True):
    """The activity is recorded."""

    session_id: str
    status: Literal["active"] = "active"
    page_views: Count
    expires_at: Time


class PositionUpdateEventData(msgspec.Struct, kw_only=True):
    """Where somebody in line stands."""

    position: int
    queue_length: int
    estimated_wait_seconds: int
    heartbeat_timeout_seconds: (
        Annotated[int, Meta(description="In the first update of a stream, and whenever it has changed since")]
        | UnsetType
    ) = UNSET
    queue_status: HeldStatus | UnsetType = UNSET
    recovering: Recovering | UnsetType = UNSET


class PositionUpdateEvent(msgspec.Struct, kw_only=True):
    """Somebody in line has moved."""

    type: Literal["position_update"] = "position_update"
    data: PositionUpdateEventData


class AdmittedEventData(msgspec.Struct, kw_only=True):
    """The way in."""

    session_token: str
    redirect_url: str


class AdmittedEvent(msgspec.Struct, kw_only=True):
    """Somebody has been let in; nothing more will come."""

    type: Literal["admitted"] = "admitted"
    data: AdmittedEventData


class ExpiredEventData(msgspec.Struct, kw_only=True):
    """Why a place is over."""

    reason: Annotated[str, Meta(examples=["heartbeat_timeout"])]


class ExpiredEvent(msgspec.Struct, kw_only=True):
    """A place is over; nothing more will come."""

    type: Literal["expired"] = "expired"
    data: ExpiredEventData


class ClientHeartbeat(msgspec.Struct, kw_only=True, tag_field="type", tag="heartbeat"):
    """What a client may say on a WebSocket: that it is there."""

    data: HeartbeatRequest | UnsetType = UNSET


class ConcertUser(msgspec.Struct, kw_only=True, rename="camel"):
    """A user and a concert of the second API."""

    user_id: Long
    concert_id: Long


class JoinResponse(msgspec.Struct, kw_only=True, rename="camel"):
    """What a user became by joining."""

    user_id: int
    concert_id: int
    status: UserStatus
    rank: int


class RankResponse(msgspec.Struct, kw_only=True):
    """Where a user stands: rank from 1 in line, 0 inside, -1 otherwise."""

    status: UserStatus
    rank: int


class ConcertEvent(msgspec.Struct, kw_only=True, rename="camel"):
    """What the second API's stream tells."""

    user_id: int
    concert_id: int
    status: UserStatus
    rank: int
    active_ttl_seconds: int = 0
    timestamp: str = ""


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
    heartbeat_timeout_seconds: HeartbeatTimeout = 60
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


class PublicQueueResponse(msgspec.Struct, kw_only=True):
    """What anybody may know of a queue before joining it."""

    id: QueueId
    name: str
    status: QueueStatus
    queue_length: Annotated[Count, Meta(description="People in line, a moment ago")]
    estimated_wait_seconds: Annotated[Seconds, Meta(description="For somebody who joins now with priority 0")]
    heartbeat_interval_seconds: int
    heartbeat_timeout_seconds: int
    message: str
    logo_url: str
    accent_color: str
    background_color: str
    support_url: str
    entry: EntryRule


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
        float, Meta(description="Mean of the exact waits of everyone let in today; 0 while nobody was")
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


BlockFor = Annotated[
    int,
    Meta(ge=0, le=LONGEST_BLOCK_S, description="Seconds for which the visitor may not join this queue again"),
]
BlockedScope = Annotated[
    BlockScope,
    Meta(
        description="What is blocked: the person (the place, and the identity that holds it), the address "
        "(of IPv6 its /64), or both"
    ),
]


class TerminateRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Why a session is terminated, and for how long its visitor is kept out; may be left out."""

    reason: Annotated[str, Meta(max_length=200, examples=["abuse_detected"])] = "terminated"
    block_for: BlockFor = 0
    block: BlockedScope = BlockScope.BOTH


class TerminateResponse(msgspec.Struct, kw_only=True):
    """The session has ended."""

    session_id: str
    status: Literal["terminated"] = "terminated"
    terminated_at: Time
    reason: str
    blocked_until: Annotated[Time, Meta(description="Left out where nothing is blocked")] | UnsetType = UNSET


class KeyResponse(msgspec.Struct, kw_only=True):
    """A signing key; what is secret of it is never shown."""

    kid: str
    purpose: str
    algorithm: str
    created_at: Time
    active_at: Annotated[Time, Meta(description="From when on it signs new tokens")]


class KeyListResponse(msgspec.Struct, kw_only=True):
    """Signing keys, newest first."""

    keys: list[KeyResponse]


class JwksResponse(msgspec.Struct, kw_only=True):
    """What verifies session tokens (RFC 7517)."""

    keys: list[dict[str, str]]


class ErrorFacts(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What went wrong."""

    code: str
    message: str
    details: dict[str, Any] | UnsetType = UNSET


class ErrorResponse(msgspec.Struct, kw_only=True):
    """The form of every error."""

    error: ErrorFacts
    request_id: str
