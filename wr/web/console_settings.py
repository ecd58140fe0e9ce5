"""Describes the settings of a queue for the console. Its page contains them, so its scripts need no list."""

import msgspec

from wr.model.queue_settings import SETTINGS
from wr.model.setting import Control, SettingDescription, SettingValue, by_group
from wr.model.whole_numbers import plain


class ConsoleField(msgspec.Struct, frozen=True, omit_defaults=True):
    """The description of one setting. It is `Field` in `admin-fields.js`."""

    name: str
    label: str
    kind: Control
    unit: str = ""
    hint: str = ""
    least: float | None = None
    instead: str = ""
    choices: tuple[tuple[str, str], ...] = ()
    usual: SettingValue | None = None


class ConsoleGroup(msgspec.Struct, frozen=True):
    """Settings under one heading."""

    title: str
    fields: list[ConsoleField]


def console_groups() -> list[ConsoleGroup]:
    """Return the settings with a field in the console, by heading and in the order of the page."""
    settings = tuple(setting for setting in SETTINGS if setting.control is not Control.BUTTONS)
    return [
        ConsoleGroup(group.value, [_field(setting) for setting in members])
        for group, members in by_group(settings).items()
    ]


def console_settings() -> bytes:
    """Return the settings as JSON that cannot end its HTML element."""
    return msgspec.json.encode(console_groups()).replace(b"<", b"\\u003c")


def _field(setting: SettingDescription) -> ConsoleField:
    facts, least = setting.facts, setting.limits.ge
    return ConsoleField(
        name=setting.name,
        label=facts.label,
        kind=setting.control,
        unit=facts.unit,
        hint=facts.hint,
        least=None if least is None else plain(least),
        instead=facts.instead,
        choices=tuple(setting.choices.items()),
        usual=setting.default,
    )
