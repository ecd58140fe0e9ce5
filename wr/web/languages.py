"""The languages of the waiting page: texts, numbers, plurals and times, and the choice for a visitor."""

from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from importlib.resources import files

import msgspec
from babel import Locale
from babel.dates import format_datetime, format_time
from babel.numbers import format_decimal

CODES = ("en", "ko", "es", "fr", "de", "ja", "pt", "zh", "ar")
"""Language codes in the order of the page's language list. The first is the default."""
_MAX_TAGS = 20
_TAGS = {"zh": "zh-Hans"}

Text = str | dict[str, str]


class Language(msgspec.Struct, frozen=True, dict=True):
    """One language. Texts may contain placeholders: `{name}` for a value, `{n}` for a plural's number."""

    code: str
    """The code in `?lang=` and in the name of the texts' file."""
    name: str
    """The name of the language in the language itself."""
    direction: str
    """`ltr` or `rtl`."""
    texts: dict[str, Text]

    @property
    def tag(self) -> str:
        """The BCP 47 tag, for `lang=`."""
        return _TAGS.get(self.code, self.code)

    @cached_property
    def _locale(self) -> Locale:
        return Locale.parse(self.tag, sep="-")

    def text(self, key: str, **values: str | int) -> str:
        """Return a text with its values filled in. The number `n` chooses the plural form.

        Raises:
            KeyError: the text does not exist, or needs a value that is not given.
        """
        found = self.texts[key]
        if isinstance(found, dict):
            form = str(self._locale.plural_form(int(values["n"])))
            found = found.get(form, found["other"])
        formatted = {
            name: value if isinstance(value, str) else self.number(value) for name, value in values.items()
        }
        return found.format_map(formatted)

    def number(self, value: int) -> str:
        """Format a number for this language."""
        return format_decimal(value, locale=self._locale)

    def time(self, at: datetime) -> str:
        """Format a time of day in UTC, with the zone, because the visitor's zone is not known."""
        return f"{format_time(at, 'medium', locale=self._locale)} UTC"

    def moment(self, at: datetime) -> str:
        """Format a date and time in UTC, with the zone, because the visitor's zone is not known."""
        return f"{format_datetime(at, 'medium', locale=self._locale)} UTC"

    def wait(self, seconds: int) -> str:
        """Return an estimated wait in words, rounded because it is an estimate."""
        if seconds < 60:
            return self.text("wait.less")
        if seconds < 90 * 60:
            return self.text("wait.minutes", n=_rounded(seconds, 60))
        if seconds < 24 * 3600:
            return self.text("wait.hours", n=_rounded(seconds, 3600))
        return self.text("wait.long")

    def keeps(self, seconds: int) -> str:
        """Return the text that says how long a place is kept without a heartbeat."""
        if seconds < 120:
            return self.text("keeps.seconds", n=seconds)
        return self.text("keeps", n=seconds // 60)


class Languages:
    """All languages. Creating the object reads them all, 1 ms each."""

    def __init__(self) -> None:
        self._languages: Mapping[str, Language] = {code: _read(code) for code in CODES}

    def all(self) -> list[Language]:
        """Return the languages in the order of the page's language list."""
        return list(self._languages.values())

    def choose(self, preferred: str, accepted: str) -> Language:
        """Choose the language `preferred` (a code), else by an `Accept-Language` header, else the first."""
        chosen = self._languages.get(preferred)
        if chosen is not None:
            return chosen
        for tag in accepted_tags(accepted):
            chosen = self._languages.get(tag.partition("-")[0])
            if chosen is not None:
                return chosen
        return self._languages[CODES[0]]


def accepted_tags(header: str) -> list[str]:
    """Read an `Accept-Language` header (RFC 9110, section 12.5.4). Returns tags in lower case, best first.

    Parts that cannot be read are ignored.
    """
    weighted: list[tuple[float, str]] = []
    for part in header.split(",")[:_MAX_TAGS]:
        tag, _, parameter = part.partition(";")
        name, _, value = parameter.strip().partition("=")
        try:
            quality = float(value) if name == "q" else 1.0
        except ValueError:
            continue
        if tag.strip() and 0 < quality <= 1:
            weighted.append((quality, tag.strip().lower()))
    return [tag for _, tag in sorted(weighted, key=lambda pair: -pair[0])]


def _rounded(seconds: int, unit_s: int) -> int:
    return (seconds + unit_s // 2) // unit_s


def _read(code: str) -> Language:
    file = files("wr.web") / "texts" / f"{code}.json"
    texts = msgspec.json.decode(file.read_bytes(), type=dict[str, Text])
    name, direction = texts.pop("name"), texts.pop("direction")
    if not isinstance(name, str) or not isinstance(direction, str):
        raise TypeError(f"the texts of {code} lack their name or direction")
    return Language(code, name, direction, texts)
