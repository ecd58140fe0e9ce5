"""What an entry of the audit trail may say."""

from urllib.parse import quote

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wr.model.audit import LONGEST_OPERATOR, Change, changes_between, read_operator, settings_of
from wr.model.queue_settings import QueueConfig
from wr.model.refusals import InvalidRequest

QUEUE = QueueConfig(id="q", name="Q", target_url="https://x.example", admission_rate=10.0)


@pytest.mark.parametrize(
    ("header", "operator"),
    [
        ("", ""),
        ("   ", ""),
        ("ada", "ada"),
        ("  Ada Lovelace ", "Ada Lovelace"),
        ("ada@host.example", "ada@host.example"),
        ("%D0%90%D0%B4%D0%B0", "Ада"),
        ("100% sure", "100% sure"),
        ("x" * LONGEST_OPERATOR, "x" * LONGEST_OPERATOR),
    ],
)
def test_a_name_is_read_with_its_percent_encoding_undone(header: str, operator: str) -> None:
    assert read_operator(header) == operator


@pytest.mark.parametrize(
    "header",
    [
        "a%0Ab",
        "a%00",
        "%1B[2J",
        "a\tb",
        "%C2%85",
        "%E2%80%AE",
        "%FF",
        "Ада",
        "ÿ",
        "x" * (LONGEST_OPERATOR + 1),
    ],
)
def test_what_cannot_be_written_down_safely_is_refused(header: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_operator(header)
    assert refused.value.details == {"field": "X-Operator"}


@given(st.text(max_size=LONGEST_OPERATOR).filter(str.isprintable))
def test_every_printable_name_comes_through_as_it_was_encoded(name: str) -> None:
    assert read_operator(quote(name)) == name.strip()


def test_only_settings_that_differ_are_changes() -> None:
    after = msgspec.structs.replace(QUEUE, admission_rate=20.0, status="paused", version=7, updated_ms=9)
    assert changes_between(QUEUE, after) == {
        "admission_rate": Change(10.0, 20.0),
        "status": Change("active", "paused"),
    }
    assert changes_between(QUEUE, QUEUE) == {}


def test_a_text_that_is_long_is_cut() -> None:
    long = msgspec.structs.replace(QUEUE, target_url="https://x.example/" + "y" * 2000)
    kept = changes_between(QUEUE, long)["target_url"].after
    assert isinstance(kept, str)
    assert (len(kept), kept[:20], kept[-1]) == (200, "https://x.example/yy", "…")
    assert settings_of(long)["target_url"] == kept


def test_the_settings_of_a_queue_are_what_an_operator_can_set() -> None:
    fields = {field.name for field in msgspec.structs.fields(QueueConfig)}
    assert set(settings_of(QUEUE)) == fields - {"id", "created_ms", "updated_ms", "version"}
