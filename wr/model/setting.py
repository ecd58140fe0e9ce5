"""What a queue's setting is besides its type: how it is shown, and what a new queue gets.

A setting stands once, as a field of `QueueSettings`. The messages of the API, the options of the command
line, the fields of the console and the table in the README are made from what is described here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from typing import get_args

import msgspec
from msgspec import NODEFAULT, Meta

SettingValue = str | int | float


class Group(StrEnum):
    """The headings that settings are shown under, in that order."""

    PACE = "Rate and capacity"
    TIMES = "Times"
    PEOPLE = "People"
    ENTRY = "Entry and fairness"
    GATE = "The gate"
    PAGE = "The waiting page"


class Control(StrEnum):
    """What an operator types or picks a setting with, in the console."""

    TEXT = "text"
    WORDS = "words"
    """Words with spaces between them."""
    LINES = "lines"
    """Text of several lines."""
    URL = "url"
    COLOUR = "colour"
    INTEGER = "integer"
    DECIMAL = "decimal"
    SECONDS = "seconds"
    CHOICE = "choice"
    BUTTONS = "buttons"
    """Buttons elsewhere on the page: the form of the settings has no field for it."""


# Compared by identity: a type that carries it has to be hashable, and a dictionary is not.
@dataclass(frozen=True, eq=False)
class Setting:
    """What the definition of a setting says besides type, limits, description and default."""

    group: Group
    label: str
    """Name in the console."""
    control: Control | None = None
    """Unless given, the one that suits the type."""
    unit: str = ""
    """Unit of a number, as shown behind it; `seconds` also makes the control one for seconds."""
    hint: str = ""
    """What the console shows below the field."""
    instead: str = ""
    """What the console advises an operator who types 0 where the least value is above 0."""
    choices: Mapping[str, str] = field(default_factory=dict)
    """What each value of an enumeration means, in a few words; unless given, the values themselves."""
    is_later: bool = False
    """Whether the console and the README show it after the other settings of its group."""
    is_public: bool = False
    """Whether visitors may see it too; otherwise operators alone do."""
    is_in_lists: bool = True
    """Whether a list of queues has it; a long text makes lists slow."""
    is_in_every_answer: bool = False
    """Whether servers of every version tell it. Any other may be missing in an answer, which stands for its
    default. A new setting is never in every answer."""
    concert_default: int | None = None
    """Default in a queue of the second API, where it is another."""
    default_in_words: str = ""
    """Default of a new queue, where it is not a constant."""


class SettingDescription(msgspec.Struct, frozen=True):
    """A setting as its definition has it: name, type, limits, default, and how it is shown."""

    name: str
    form: type
    """The type as it is written, which messages take: `Annotated[int, Meta(ge=1), Setting(…)]`."""
    kind: type
    """The type alone: `str`, `int`, `float` or an enumeration."""
    limits: Meta
    """Limits and description; without any for an enumeration."""
    default: SettingValue | None
    """None where each queue needs a value of its own."""
    facts: Setting

    @property
    def has_one_default(self) -> bool:
        """Whether every new queue that is not given a value gets the same one."""
        return (
            self.default is not None
            and self.facts.concert_default is None
            and not self.facts.default_in_words
        )

    @property
    def control(self) -> Control:
        """What the setting is typed or picked with."""
        if self.facts.control is not None:
            return self.facts.control
        if self.facts.unit == "seconds":
            return Control.SECONDS
        if issubclass(self.kind, StrEnum):
            return Control.CHOICE
        return {int: Control.INTEGER, float: Control.DECIMAL}.get(self.kind, Control.TEXT)

    @property
    def choices(self) -> Mapping[str, str]:
        """What each value of an enumeration means; empty for any other type."""
        if not issubclass(self.kind, StrEnum):
            return {}
        return self.facts.choices or {member.value: member.value.replace("_", " ") for member in self.kind}

    @property
    def help(self) -> str:
        """One sentence or two, without the last full stop: its description, or the first sentence about its
        enumeration."""
        if self.limits.description:
            return self.limits.description
        return " ".join((self.kind.__doc__ or "").partition(".")[0].split())


@cache
def settings_in(kind: type[msgspec.Struct]) -> tuple[SettingDescription, ...]:
    """List the settings that a class defines, in the order of its fields: those with a `Setting`."""
    return tuple(
        _description(each, facts)
        for each in msgspec.structs.fields(kind)
        for facts in get_args(each.type)[1:]
        if isinstance(facts, Setting)
    )


def by_group(settings: tuple[SettingDescription, ...]) -> dict[Group, list[SettingDescription]]:
    """Arrange settings as they are shown to people; groups without any are left out."""
    arranged: dict[Group, list[SettingDescription]] = {}
    for group in Group:
        members = [each for each in settings if each.facts.group is group]
        if members:
            arranged[group] = sorted(members, key=lambda each: each.facts.is_later)
    return arranged


def _description(info: msgspec.structs.FieldInfo, facts: Setting) -> SettingDescription:
    kind, *more = get_args(info.type)
    limits = next((each for each in more if isinstance(each, Meta)), Meta())
    return SettingDescription(
        name=info.name,
        form=info.type,
        kind=kind,
        limits=limits,
        default=None if info.default is NODEFAULT else info.default,
        facts=facts,
    )
