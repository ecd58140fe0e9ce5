"""Builds the fields of messages about queues from the definitions of settings: each is defined once."""

from collections.abc import Iterable
from typing import Annotated, Any, TypeVar, cast

import msgspec
from msgspec import UNSET, Meta, UnsetType

from wr.model.queue_settings import SETTINGS, QueueConfig, QueueId, QueueSettings
from wr.model.setting import SettingDescription
from wr.model.whole_numbers import plain

Field = tuple[str, Any] | tuple[str, Any, Any]
"""Name, type and, if it has one, default of a field, as `msgspec.defstruct` takes them."""
Message = TypeVar("Message", bound=QueueSettings)

_SHOWN_FIRST = ("id", "name", "status")
"""The first fields of a response about a queue."""
_PUBLIC = tuple(setting for setting in SETTINGS if setting.facts.is_public)
_INHERITED = frozenset(QueueSettings.__struct_fields__)


def creation_fields() -> list[Field]:
    """Return the fields of a request to create a queue: the id, and each setting with its default."""
    return [("id", QueueId), *map(_creation_field, SETTINGS)]


def change_fields() -> list[Field]:
    """Return the fields of a request to change a queue: each setting, unset if it does not change."""
    return [(setting.name, setting.form | UnsetType, UNSET) for setting in SETTINGS]


def answer_fields() -> list[Field]:
    """Return the fields of a response to an operator: the id and each setting, without limits."""
    return _in_order([("id", QueueId), *map(_answer_field, SETTINGS)])


def public_fields(*figures: Field) -> list[Field]:
    """Return the fields of a response to a visitor: the id, and each setting that visitors may see.

    `figures` come after the first fields.
    """
    return _in_order([("id", QueueId), *((setting.name, setting.kind) for setting in _PUBLIC)], *figures)


def with_answer_fields(declared: type[Message]) -> type[Message]:
    """Return the class of a response with all settings.

    Its name, its docstring and its further fields, which have no defaults, are those of `declared`.

    `declared` inherits all settings, so type checkers know them. The fields of the returned class have no
    limits, so that a client accepts values that a later server allows.
    """
    own = [field for field in msgspec.structs.fields(declared) if field.name not in _INHERITED]
    made = msgspec.defstruct(
        declared.__name__,
        [*answer_fields(), *((field.name, field.type) for field in own)],
        module=declared.__module__,
        namespace={"__doc__": declared.__doc__},
        kw_only=True,
        frozen=True,
    )
    # It is not really a subclass, because inherited fields would keep their limits and their order.
    return cast("type[Message]", made)


def answer_values(config: QueueConfig, *, in_list: bool = False) -> dict[str, Any]:
    """Return the values of `answer_fields` by name. With `in_list`, those that lists leave out are unset."""
    return _values(config, SETTINGS, in_list=in_list)


def public_values(config: QueueConfig) -> dict[str, Any]:
    """Return the values of `public_fields` by name."""
    return _values(config, _PUBLIC)


def _values(
    config: QueueConfig, settings: Iterable[SettingDescription], *, in_list: bool = False
) -> dict[str, Any]:
    values: dict[str, Any] = {"id": config.id}
    for setting in settings:
        is_left_out = in_list and not setting.facts.is_in_lists
        values[setting.name] = UNSET if is_left_out else plain(getattr(config, setting.name))
    return values


def _creation_field(setting: SettingDescription) -> Field:
    if setting.has_one_default:
        return (setting.name, setting.form, setting.default)
    facts = setting.facts
    if facts.concert_default is not None:
        text = f"Default: {setting.default} {facts.unit}, or {facts.concert_default} for a concert's queue"
        return (setting.name, Annotated[setting.form, Meta(description=text)] | UnsetType, UNSET)
    if facts.default_in_words:
        return (setting.name, setting.form | UnsetType, UNSET)
    return (setting.name, setting.form)


def _answer_field(setting: SettingDescription) -> Field:
    if not setting.facts.is_in_lists:
        return (
            setting.name,
            Annotated[setting.kind, Meta(description="Left out in lists")] | UnsetType,
            UNSET,
        )
    if setting.facts.is_in_every_answer:
        return (setting.name, setting.kind)
    return (setting.name, setting.kind, setting.default)


def _in_order(fields: list[Field], *figures: Field) -> list[Field]:
    by_name = {field[0]: field for field in fields}
    first = [by_name.pop(name) for name in _SHOWN_FIRST]
    return [*first, *figures, *by_name.values()]
