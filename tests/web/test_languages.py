"""Languages: every text in each, and which one a visitor gets."""

import re
from datetime import UTC, datetime

import pytest
from babel import Locale

from wr.web.languages import CODES, Languages, accepted_tags

LANGUAGES = Languages()
ENGLISH = LANGUAGES.choose("en", "")


@pytest.mark.parametrize("code", CODES)
def test_a_language_has_every_text_with_the_same_blanks(code: str) -> None:
    language = LANGUAGES.choose(code, "")
    assert language.code == code
    assert set(language.texts) == set(ENGLISH.texts)
    for key, english in ENGLISH.texts.items():
        text = language.texts[key]
        assert isinstance(text, dict) == isinstance(english, dict), key
        # In some languages «one minute» and «two minutes» need no number.
        if not isinstance(text, dict) and not isinstance(english, dict):
            assert re.findall(r"\{\w+\}", text) == re.findall(r"\{\w+\}", english), key
        elif isinstance(text, dict):
            assert "{n}" in text["other"], key


@pytest.mark.parametrize("code", CODES)
def test_a_language_has_every_plural_form_it_needs(code: str) -> None:
    language = LANGUAGES.choose(code, "")
    needed = set(Locale.parse(language.tag, sep="-").plural_form.tags) | {"other"}
    for key, text in language.texts.items():
        if isinstance(text, dict):
            assert set(text) == needed, key


@pytest.mark.parametrize("code", CODES[1:])
def test_no_text_was_left_in_english(code: str) -> None:
    language = LANGUAGES.choose(code, "")
    same = {key for key, text in language.texts.items() if text == ENGLISH.texts[key]}
    assert same == set()


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", []),
        ("de", ["de"]),
        ("fr-CH, fr;q=0.9, en;q=0.8, *;q=0.5", ["fr-ch", "fr", "en", "*"]),
        ("en;q=0.2, ja;q=0.9", ["ja", "en"]),
        ("de;q=0, en", ["en"]),
        ("de;q=x, en;level=1, ;q=1, ,fr", ["en", "fr"]),
        ("de;q=nan, en;q=inf, fr;q=-1, ja;q=2", []),
        (",".join(["xx"] * 50), ["xx"] * 20),
    ],
)
def test_wishes_are_read_with_the_dearest_first(header: str, expected: list[str]) -> None:
    assert accepted_tags(header) == expected


@pytest.mark.parametrize(
    ("wish", "accepted", "code"),
    [
        ("", "", "en"),
        ("", "tlh", "en"),
        ("", "pt-BR,en;q=0.1", "pt"),
        ("", "zh-TW", "zh"),
        ("ko", "de", "ko"),
        ("tlh", "de", "de"),
        ("../../etc/passwd", "", "en"),
    ],
)
def test_a_visitor_gets_the_language_asked_for_as_far_as_there_is_one(
    wish: str, accepted: str, code: str
) -> None:
    assert LANGUAGES.choose(wish, accepted).code == code


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "less than a minute"),
        (59, "less than a minute"),
        (60, "about 1 minute"),
        (89, "about 1 minute"),
        (90, "about 2 minutes"),
        (300, "about 5 minutes"),
        (5399, "about 90 minutes"),
        (5400, "about 2 hours"),
        (82_800, "about 23 hours"),
        (86_400, "more than a day"),
    ],
)
def test_a_wait_is_said_in_words(seconds: int, words: str) -> None:
    assert ENGLISH.wait(seconds) == words


def test_numbers_plurals_and_times_are_those_of_the_language() -> None:
    german, arabic = LANGUAGES.choose("de", ""), LANGUAGES.choose("ar", "")
    assert german.number(1523) == "1.523"
    assert german.wait(120) == "etwa 2 Minuten"
    assert [arabic.wait(60 * n) for n in (1, 2, 3, 11)] == [
        "نحو دقيقة واحدة",
        "نحو دقيقتين",
        "نحو 3 دقائق",
        "نحو 11 دقيقة",
    ]
    assert german.time(datetime(2026, 1, 2, 15, 4, 5, tzinfo=UTC)) == "15:04:05 UTC"
    assert ENGLISH.keeps(60).endswith("60 seconds.")
    assert ENGLISH.keeps(120).endswith("2 minutes.")
