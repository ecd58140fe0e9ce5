"""The languages of the waiting page: texts, numbers, plurals, times, and which one a visitor wants."""

from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from importlib.resources import files

import msgspec
from babel import Locale
from babel.dates import format_datetime, format_time
from babel.numbers import format_decimal

CODES = ("en", "ko", "es", "fr", "de", "ja", "pt", "zh", "ar")
"""In the order of the switch; the first is for visitors who ask for none of them."""
_MOST_WISHES = 20
_TAGS = {"zh": "zh-Hans"}

Text = str | dict[str, str]


class Language(msgspec.Struct, frozen=True, dict=True):
    """One language; every text may hold `{names}` of what is filled in, and `{n}` for a number."""

    code: str
    """As `?lang=` and the texts' file name it."""
    name: str
    """As the language calls itself."""
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
        """Give a text; `n`, a number, chooses among plural forms.

        Raises:
            KeyError: there is no such text, or it needs a value that is not given.
        """
        found = self.texts[key]
        if isinstance(found, dict):
            form = str(self._locale.plural_form(int(values["n"])))
            found = found.get(form, found["other"])
        spelled = {
            name: value if isinstance(value, str) else self.number(value) for name, value in values.items()
        }
        return found.format_map(spelled)

    def number(self, value: int) -> str:
        """Write a number as the language does."""
        return format_decimal(value, locale=self._locale)

    def time(self, at: datetime) -> str:
        """Write a time of day with its zone, since a visitor's own is not known."""
        return f"{format_time(at, 'medium', locale=self._locale)} UTC"

    def moment(self, at: datetime) -> str:
        """Write a date and a time of day with its zone, since a visitor's own is not known."""
        return f"{format_datetime(at, 'medium', locale=self._locale)} UTC"

    def wait(self, seconds: int) -> str:
        """Say an estimated wait in words, as exactly as an estimate can be."""
        if seconds < 60:
            return self.text("wait.less")
        if seconds < 90 * 60:
            return self.text("wait.minutes", n=_rounded(seconds, 60))
        if seconds < 24 * 3600:
            return self.text("wait.hours", n=_rounded(seconds, 3600))
        return self.text("wait.long")

    def keeps(self, seconds: int) -> str:
        """Say for how long a place is kept without a sign of life."""
        if seconds < 120:
            return self.text("keeps.seconds", n=seconds)
        return self.text("keeps", n=seconds // 60)


class Languages:
    """All languages, read at once: 1 ms each."""

    def __init__(self) -> None:
        self._languages: Mapping[str, Language] = {code: _read(code) for code in CODES}

    def all(self) -> list[Language]:
        """List them in the order of the switch."""
        return list(self._languages.values())

    def choose(self, wish: str, accepted: str) -> Language:
        """Choose by an explicit wish, a code; else by an `Accept-Language` header; else the first."""
        chosen = self._languages.get(wish)
        if chosen is not None:
            return chosen
        for tag in accepted_tags(accepted):
            chosen = self._languages.get(tag.partition("-")[0])
            if chosen is not None:
                return chosen
        return self._languages[CODES[0]]


def accepted_tags(header: str) -> list[str]:
    """Read an `Accept-Language` header (RFC 9110, section 12.5.4): tags in lower case, the dearest first.

    What cannot be read in it is overlooked.
    """
    wishes: list[tuple[float, str]] = []
    for part in header.split(",")[:_MOST_WISHES]:
        tag, _, parameter = part.partition(";")
        name, _, value = parameter.strip().partition("=")
        try:
            quality = float(value) if name == "q" else 1.0
        except ValueError:
            continue
        if tag.strip() and 0 < quality <= 1:
            wishes.append((quality, tag.strip().lower()))
    return [tag for _, tag in sorted(wishes, key=lambda wish: -wish[0])]


def _rounded(seconds: int, unit_s: int) -> int:
    return (seconds + unit_s // 2) // unit_s


def _read(code: str) -> Language:
    file = files("wr.web") / "texts" / f"{code}.json"
    texts = msgspec.json.decode(file.read_bytes(), type=dict[str, Text])
    name, direction = texts.pop("name"), texts.pop("direction")
    if not isinstance(name, str) or not isinstance(direction, str):
        raise TypeError(f"the texts {code} do not say their name and direction")
    return Language(code, name, direction, texts)
