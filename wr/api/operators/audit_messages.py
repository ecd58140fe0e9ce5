"""Messages about the audit trail: who changed what, and when."""

from typing import Annotated

import msgspec
from msgspec import Meta

from wr.api.field_types import Time
from wr.model.audit import Action


class AuditQuery(msgspec.Struct, kw_only=True):
    """Which changes are asked for."""

    queue_id: Annotated[str, Meta(max_length=64, description="Changes of this queue only")] = ""
    limit: Annotated[int, Meta(ge=1, le=200, description="How many changes to tell")] = 50
    before: Annotated[
        str,
        Meta(
            pattern="^([0-9]{1,15}-[0-9]{1,15})?$",
            description="Changes before the one of this id: the `next` of an earlier answer",
        ),
    ] = ""


class AuditChange(msgspec.Struct, kw_only=True):
    """What a setting was, and what it became; a text of more than 200 characters is cut."""

    before: str | int | float = msgspec.field(name="from")
    after: str | int | float = msgspec.field(name="to")


class AuditEntryResponse(msgspec.Struct, kw_only=True):
    """One change that an operator made."""

    id: Annotated[str, Meta(examples=["1704067200000-0"])]
    at: Time
    operator: Annotated[
        str, Meta(description="The name in X-Operator, claimed and not proved; empty when none was given")
    ]
    address: Annotated[str, Meta(description="The client's address; empty for the server itself")]
    action: Action
    queue_id: Annotated[str | None, Meta(description="The queue, which may be gone; null for signing keys")]
    changes: Annotated[dict[str, AuditChange], Meta(description="Settings that were changed, by name")]
    facts: Annotated[
        dict[str, str | int | float | list[str]],
        Meta(description="What else there is to know: all settings of a new queue, how many were sent away"),
    ]


class AuditResponse(msgspec.Struct, kw_only=True):
    """Changes, newest first; the newest 10,000 are kept."""

    entries: list[AuditEntryResponse]
    next: Annotated[
        str | None, Meta(description="Ask with before=next for the changes before these; null at the end")
    ]
