"""Query and response of the audit trail: which operator changed what, and when."""

from typing import Annotated

import msgspec
from msgspec import Meta

from wr.api.field_types import Time
from wr.model.audit import Action


class AuditQuery(msgspec.Struct, kw_only=True):
    """Which changes to list."""

    queue_id: Annotated[str, Meta(max_length=64, description="List only changes of this queue")] = ""
    limit: Annotated[int, Meta(ge=1, le=200, description="How many changes to list")] = 50
    before: Annotated[
        str,
        Meta(
            pattern="^([0-9]{1,15}-[0-9]{1,15})?$",
            description="List changes before the one with this id: the `next` of an earlier response",
        ),
    ] = ""


class AuditChange(msgspec.Struct, kw_only=True):
    """The old and the new value of a setting. A text of more than 200 characters is cut."""

    before: str | int | float = msgspec.field(name="from")
    after: str | int | float = msgspec.field(name="to")


class AuditEntryResponse(msgspec.Struct, kw_only=True):
    """One change that an operator made."""

    id: Annotated[str, Meta(examples=["1704067200000-0"])]
    at: Time
    operator: Annotated[
        str, Meta(description="The name in X-Operator, which is not verified. Empty if none was given")
    ]
    address: Annotated[str, Meta(description="The client's address. Empty for the server itself")]
    action: Action
    queue_id: Annotated[
        str | None, Meta(description="The queue, which may be deleted by now. Null for signing keys")
    ]
    changes: Annotated[dict[str, AuditChange], Meta(description="Changed settings, by name")]
    facts: Annotated[
        dict[str, str | int | float | list[str]],
        Meta(description="Further facts: all settings of a new queue, or how many visitors were flushed"),
    ]


class AuditResponse(msgspec.Struct, kw_only=True):
    """Changes, newest first. The newest 10,000 are kept."""

    entries: list[AuditEntryResponse]
    next: Annotated[
        str | None, Meta(description="Use it as `before` to list earlier changes. Null at the end")
    ]
