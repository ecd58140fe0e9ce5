"""The audit trail: who changed what, when, and from where; of bounded size whatever was changed."""

from collections.abc import Mapping
from enum import StrEnum
from urllib.parse import unquote_to_bytes

import msgspec

from wr.model.queue import QueueConfig
from wr.model.refusals import InvalidRequest
from wr.model.whole_numbers import plain

LONGEST_OPERATOR = 100
LONGEST_TEXT = 200
"""Characters that are kept of a text: all of a name, not all of an address or of a page."""
_KEPT_BY_STORE = {"created_ms", "updated_ms", "version"}

Value = str | int | float
Fact = Value | list[str]


class Action(StrEnum):
    """What an operator can do that changes something."""

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
    """Who calls, and from where. The name is claimed, not proved: all operators have the same key."""

    operator: str
    """Empty when no name was given."""
    address: str
    """The client's address; empty for the server itself."""


class Change(msgspec.Struct, frozen=True):
    """What one setting was, and what it became."""

    before: Value = msgspec.field(name="from")
    after: Value = msgspec.field(name="to")


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One change, as it is kept."""

    at_ms: int
    operator: str
    address: str
    action: Action
    queue_id: str | None = None
    changes: dict[str, Change] = {}
    facts: dict[str, Fact] = {}


def read_operator(header: str) -> str:
    """Read the value of `X-Operator`: a name, percent-encoded wherever it is not plain ASCII.

    Raises:
        InvalidRequest: it is longer than 100 characters, not UTF-8, or has characters that are not printed.
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
    """List what an operator sets about a queue, by name, in bounded size."""
    values: dict[str, Value] = msgspec.to_builtins(config)
    return {name: bounded(value) for name, value in values.items() if name not in _KEPT_BY_STORE | {"id"}}


def changes_between(before: QueueConfig, after: QueueConfig) -> dict[str, Change]:
    """List the settings that differ."""
    old: Mapping[str, Value] = msgspec.to_builtins(before)
    new: Mapping[str, Value] = msgspec.to_builtins(after)
    return {
        name: Change(bounded(old[name]), bounded(new[name]))
        for name in old
        if name not in _KEPT_BY_STORE and old[name] != new[name]
    }


def bounded(value: Value) -> Value:
    """Cut a text of more than 200 characters, whose last one is `…` then; spell whole numbers as such."""
    if isinstance(value, float):
        return plain(value)
    if isinstance(value, str) and len(value) > LONGEST_TEXT:
        return value[: LONGEST_TEXT - 1] + "…"
    return value
