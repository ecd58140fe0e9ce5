"""What an operator sets about a queue, and which settings make sense together."""

from enum import StrEnum
from typing import Annotated
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from wr.model.branding import (
    AccentColor,
    BackgroundColor,
    LogoUrl,
    Message,
    PageTemplate,
    SupportUrl,
    check_addresses,
)
from wr.model.gate_rules import (
    OpenAddresses,
    OpenAgents,
    OpenPaths,
    OutageGrace,
    OutagePolicy,
    OutageRate,
    check_gate,
)
from wr.model.ids import QUEUE_ID_PATTERN, is_queue_id
from wr.model.priorities import (
    DEFAULT_PLACES_PER_ADDRESS,
    EntryRule,
    MaxPlacesPerAddress,
    OpenPriority,
    PriorityShare,
)
from wr.model.refusals import InvalidRequest
from wr.model.session_binding import SessionBinding

WEEK_S = 7 * 24 * 3600

QueueId = Annotated[
    str,
    Meta(
        pattern=QUEUE_ID_PATTERN,
        description="Queue identifier: letters, digits, dot, underscore and hyphen",
        examples=["concert-tickets"],
    ),
]
Name = Annotated[str, Meta(min_length=1, max_length=200, description="What people see", examples=["Concert"])]
TargetUrl = Annotated[
    str,
    Meta(
        max_length=2048,
        description="Where an admitted visitor goes: an http or https URL",
        examples=["https://example.com/checkout"],
    ),
]
MaxActiveUsers = Annotated[
    int, Meta(ge=1, le=1_000_000_000, description="Sessions that may be active at once")
]
MaxQueueSize = Annotated[
    int, Meta(ge=0, le=1_000_000_000, description="People who may wait at once; 0 means unlimited")
]
AdmissionRate = Annotated[
    float, Meta(gt=0, le=1_000_000, description="People let in per second; may be a fraction above 0")
]
SessionTimeout = Annotated[
    int, Meta(ge=1, le=WEEK_S, description="Seconds that a session lasts from its admission")
]
HeartbeatInterval = Annotated[int, Meta(ge=1, le=3600, description="Seconds between two heartbeats")]
HeartbeatTimeout = Annotated[
    int, Meta(ge=2, le=WEEK_S, description="Seconds of silence after which a place in line is lost")
]


class QueueStatus(StrEnum):
    """What a queue is doing just now."""

    ACTIVE = "active"
    """People join and are let in."""
    PAUSED = "paused"
    """People join and keep their places; nobody is let in."""
    MAINTENANCE = "maintenance"
    """Nobody new may join and nobody is let in; places are kept."""


class UniqueBy(StrEnum):
    """Which visitors may hold one place only. A place that was taken with a proof (a pass, a call by the site
    itself, the cookie or token of a browser) is given back to that proof alone, whatever the rule."""

    CLIENT = "client"
    """Same `metadata.user_id`, client address and user agent: the place is given back to such a caller, with
    no proof, unless it was taken with one. For places that are not worth stealing: a stranger that knows a
    user id, sits behind the same address and names the same browser takes the place. Without a user id every
    join is new."""
    USER_ID = "user_id"
    """Same `metadata.user_id`, wherever from. The id counts only with a pass, or in a call by the site
    itself; a visitor that merely claims it gets a place of its own, and none while the id holds one."""
    IP = "ip"
    """One place for each client address. It is given back to its token alone."""
    NONE = "none"
    """Every join is a new place, unless it brings a position token, or a pass that has one."""


class QueueConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of one queue, as kept in the store."""

    id: QueueId
    name: Name
    target_url: TargetUrl
    max_active_users: MaxActiveUsers = 1000
    max_queue_size: MaxQueueSize = 50_000
    admission_rate: AdmissionRate = 10.0
    session_timeout_seconds: SessionTimeout = 3600
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
    created_ms: int = 0
    updated_ms: int = 0
    version: int = 0
    """Grows by one with every change; a writer names the version it read."""


def check_queue(config: QueueConfig) -> None:
    """Refuse settings that make no sense together.

    Raises:
        InvalidRequest: the id ends in a line break, the target is not an http(s) URL with a host, an address
            is none, or the heartbeat timeout is not above its interval; `details` names the field.
    """
    # To the pattern of the message a line break at the end is not there.
    if not is_queue_id(config.id):
        raise InvalidRequest("id must be 1 to 64 letters, digits, dots, underscores or hyphens", field="id")
    try:
        target = urlsplit(config.target_url)
        sound = target.scheme in ("http", "https") and bool(target.hostname) and target.port != 0
        # What no name server could be asked for, nobody could be sent to.
        (target.hostname or "").encode("idna")
    except ValueError:
        sound = False
    if not sound or any(character <= " " or character == "\x7f" for character in config.target_url):
        raise InvalidRequest("target_url must be an http or https URL", field="target_url")
    check_addresses(config.logo_url, config.support_url)
    check_gate(config.open_paths, config.open_addresses)
    if config.heartbeat_timeout_seconds <= config.heartbeat_interval_seconds:
        raise InvalidRequest(
            "heartbeat_timeout_seconds must be above heartbeat_interval_seconds",
            field="heartbeat_timeout_seconds",
        )
