"""Request and response bodies for webhooks and dead letters."""

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
        description="URL that receives the events: http or https, without user and password",
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
    """A new webhook."""

    url: Url
    events: Patterns
    queue_id: QueueChoice = ""


class ChangeWebhookRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Changes to a webhook. Other fields do not change, and waiting events are still delivered."""

    url: Url | UnsetType = UNSET
    events: Patterns | UnsetType = UNSET
    queue_id: QueueChoice | UnsetType = UNSET
    rotate_secret: Annotated[
        bool, Meta(description="Sign with a new secret from now on. Only this response shows it")
    ] = False


class WebhookResponse(msgspec.Struct, kw_only=True):
    """A webhook, without its secret."""

    id: Uuid
    url: Url
    events: Patterns
    queue_id: Annotated[str, Meta(description="Empty if it receives events of all queues")]
    created_at: Time


class NewWebhookResponse(msgspec.Struct, kw_only=True):
    """A new webhook, with the secret that signs its deliveries. Only this response shows the secret."""

    id: Uuid
    url: Url
    events: Patterns
    queue_id: Annotated[str, Meta(description="Empty if it receives events of all queues")]
    created_at: Time
    secret: str


class ChangedWebhookResponse(msgspec.Struct, kw_only=True):
    """The changed webhook. A new secret is included, and only this response shows it."""

    id: Uuid
    url: Url
    events: Patterns
    queue_id: Annotated[str, Meta(description="Empty if it receives events of all queues")]
    created_at: Time
    secret: str | UnsetType = UNSET


class WebhookListResponse(msgspec.Struct, kw_only=True):
    """All webhooks, oldest first."""

    webhooks: list[WebhookResponse]


class DeleteWebhookResponse(msgspec.Struct, kw_only=True):
    """The webhook is deleted. Its undelivered events are dropped."""

    id: str
    status: Literal["deleted"] = "deleted"


class DeadLetterQuery(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Which dead letters to list."""

    webhook_id: Annotated[
        str, Meta(max_length=64, description="List only dead letters of this webhook. Default: all")
    ] = ""


class DeadLetterResponse(msgspec.Struct, kw_only=True):
    """A dead letter: a delivery that the server gave up."""

    id: Annotated[str, Meta(examples=["1704067200000-0.7b0bd5a6-3c5b-4f0e-8a53-6a3c4d1e2f90"])]
    webhook_id: Uuid
    event_id: Uuid
    event_type: str
    queue_id: str
    attempts: Count
    error: Annotated[
        str,
        Meta(description="Error of the last attempt", examples=["status 500", "Connection refused"]),
    ]
    died_at: Time
    body: Annotated[str, Meta(description="The undelivered body, exactly as it was signed")]


class DeadLetterListResponse(msgspec.Struct, kw_only=True):
    """Dead letters, newest first, at most 1,000. The server keeps at most 1,000 for each webhook."""

    dead_letters: list[DeadLetterResponse]


class DeadLetterGoneResponse(msgspec.Struct, kw_only=True):
    """The dead letter is being retried, or is discarded."""

    id: str
    event_id: Uuid
    status: Literal["retrying", "discarded"]
