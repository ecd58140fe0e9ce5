"""The audit trail: which operator changed what, when, and from which address. Entries have a bounded size."""

from collections.abc import Mapping
from enum import StrEnum
from urllib.parse import unquote_to_bytes

import msgspec

from wr.model.queue_settings import QueueConfig
from wr.model.refusals import InvalidRequest
from wr.model.whole_numbers import plain

LONGEST_OPERATOR = 100
LONGEST_TEXT = 200
"""Characters of a text that are kept: enough for a whole name, but not for a whole URL or template."""
_KEPT_BY_STORE = {"created_ms", "updated_ms", "version"}

Value = str | int | float
Fact = Value | list[str]


class Action(StrEnum):
    """An operator's action that changes something."""

    QUEUE_CREATED = "queue.created"
    QUEUE_UPDATED = "queue.updated"
    QUEUE_DELETED = "queue.deleted"
    QUEUE_FLUSHED = "queue.flushed"
    SESSION_TERMINATED = "session.terminated"
    VISITOR_BLOCKED = "visitor.blocked"
    BLOCK_ENDED = "block.ended"
    PASSES_ISSUED = "passes.issued"
    PASS_REVOKED = "pass.revoked"  # noqa: S105 - the name of an action
    KEYS_ROTATED = "keys.rotated"
    WEBHOOK_ADDED = "webhook.added"
    WEBHOOK_CHANGED = "webhook.changed"
    WEBHOOK_DELETED = "webhook.deleted"
    DELIVERY_RETRIED = "delivery.retried"
    DELIVERY_DISCARDED = "delivery.discarded"


class Actor(msgspec.Struct, frozen=True):
    """The caller of an admin operation. The name is claimed, not proved: all operators use the same key."""

    operator: str
    """Empty if the caller gave no name."""
    address: str
    """The client's address; empty for the server itself."""


class Change(msgspec.Struct, frozen=True):
    """The old and the new value of one setting."""

    before: Value = msgspec.field(name="from")
    after: Value = msgspec.field(name="to")


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One change, as kept in the store."""

    at_ms: int
    operator: str
    address: str
    action: Action
    queue_id: str | None = None
    changes: dict[str, Change] = {}
    facts: dict[str, Fact] = {}


def read_operator(header: str) -> str:
    """Read the value of `X-Operator`: a name, with characters outside ASCII percent-encoded.

    Raises:
        InvalidRequest: it is longer than 100 characters, not UTF-8, or has unprintable characters.
    """
    text = header.strip(" ")
    if not text:
        return ""
    try:
        operator = unquote_to_bytes(text.encode("ascii")).decode().strip(" ")
    except UnicodeError as error:
        raise InvalidRequest("X-Operator must be percent-encoded UTF-8", field="X-Operator") from error
    if len(operator) > LONGEST_OPERATOR or not operator.isprintable():
        raise InvalidRequest(
            f"X-Operator must be at most {LONGEST_OPERATOR} printable characters", field="X-Operator"
        )
    return operator


def settings_of(config: QueueConfig) -> dict[str, Value]:
    """Return the settings of a queue that an operator can change, by name, with bounded texts."""
    values: dict[str, Value] = msgspec.to_builtins(config)
    return {name: bounded(value) for name, value in values.items() if name not in _KEPT_BY_STORE | {"id"}}


def changes_between(before: QueueConfig, after: QueueConfig) -> dict[str, Change]:
    """Return the settings that differ."""
    old: Mapping[str, Value] = msgspec.to_builtins(before)
    new: Mapping[str, Value] = msgspec.to_builtins(after)
    return {
        name: Change(bounded(old[name]), bounded(new[name]))
        for name in old
        if name not in _KEPT_BY_STORE and old[name] != new[name]
    }


def bounded(value: Value) -> Value:
    """Cut a text to 200 characters, the last of which is then `…`. Turn whole floats into integers."""
    if isinstance(value, float):
        return plain(value)
    if isinstance(value, str) and len(value) > LONGEST_TEXT:
        return value[: LONGEST_TEXT - 1] + "…"
    return value
