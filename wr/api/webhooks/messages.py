"""What goes over the wire about webhooks."""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from wr.api.field_types import Count, Time, Uuid
from wr.model.ids import QUEUE_ID_PATTERN
from wr.model.webhooks import LONGEST_URL

Url = Annotated[
    str,
    Meta(
        max_length=LONGEST_URL,
        description="Where events are posted to: http or https, without name and password",
        examples=["https://example.com/waiting-room-events"],
    ),
]
Patterns = Annotated[
    list[Annotated[str, Meta(max_length=64)]],
    Meta(
        min_length=1,
        max_length=16,
        description="Types of events, `*` for all, or patterns such as `position.*`",
        examples=[["position.admitted", "session.*"]],
    ),
]


QueueChoice = Annotated[
    str,
    Meta(pattern=f"^$|{QUEUE_ID_PATTERN}", description="Events of this queue only; all queues if empty"),
]


class AddWebhookRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A URL that wants to be told."""

    url: Url
    events: Patterns
    queue_id: QueueChoice = ""


class ChangeWebhookRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is to change of a webhook; the rest stays, and what waits to be delivered does so, too."""

    url: Url | UnsetType = UNSET
    events: Patterns | UnsetType = UNSET
    queue_id: QueueChoice | UnsetType = UNSET
    rotate_secret: Annotated[
        bool, Meta(description="Sign with a new secret from now on; the answer tells it, once")
    ] = False


class WebhookResponse(msgspec.Struct, kw_only=True):
    """A webhook, without its secret."""

    id: Uuid
    url: Url
    events: Patterns
    queue_id: Annotated[str, Meta(description="Empty where it is told of all queues")]
    created_at: Time


class NewWebhookResponse(msgspec.Struct, kw_only=True):
    """A new webhook, and the secret that its deliveries are signed with: it is told only now."""

    id: Uuid
    url: Url
    events: Patterns
    queue_id: Annotated[str, Meta(description="Empty where it is told of all queues")]
    created_at: Time
    secret: str


class ChangedWebhookResponse(msgspec.Struct, kw_only=True):
    """A webhook as it is now; with its secret if that is a new one: it is told only now."""

    id: Uuid
    url: Url
    events: Patterns
    queue_id: Annotated[str, Meta(description="Empty where it is told of all queues")]
    created_at: Time
    secret: str | UnsetType = UNSET


class WebhookListResponse(msgspec.Struct, kw_only=True):
    """Every webhook, oldest first."""

    webhooks: list[WebhookResponse]


class DeleteWebhookResponse(msgspec.Struct, kw_only=True):
    """The webhook is gone; what was not delivered to it is dropped."""

    id: str
    status: Literal["deleted"] = "deleted"


class DeadLetterQuery(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Which dead letters to list."""

    webhook_id: Annotated[
        str, Meta(max_length=64, description="Of this webhook only; of all if it is left out")
    ] = ""


class DeadLetterResponse(msgspec.Struct, kw_only=True):
    """A delivery that was given up."""

    id: Annotated[str, Meta(examples=["1704067200000-0.7b0bd5a6-3c5b-4f0e-8a53-6a3c4d1e2f90"])]
    webhook_id: Uuid
    event_id: Uuid
    event_type: str
    queue_id: str
    attempts: Count
    error: Annotated[
        str,
        Meta(description="What went wrong the last time", examples=["status 500", "Connection refused"]),
    ]
    died_at: Time
    body: Annotated[str, Meta(description="What was to be delivered, as it was signed")]


class DeadLetterListResponse(msgspec.Struct, kw_only=True):
    """Deliveries that were given up, newest first, 1,000 at most; as many are kept of each webhook."""

    dead_letters: list[DeadLetterResponse]


class DeadLetterGoneResponse(msgspec.Struct, kw_only=True):
    """The delivery is no dead letter any more."""

    id: str
    event_id: Uuid
    status: Literal["retrying", "discarded"]
