"""Identifiers."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wr.model.ids import (
    id_text,
    is_queue_id,
    new_position_id,
    parse_position_id,
    parse_session_id,
    session_id_text,
)


@given(st.binary(min_size=16, max_size=16))
def test_a_position_and_its_session_name_each_other(noise: bytes) -> None:
    position = new_position_id(lambda count: noise[:count])
    assert UUID(bytes=position).version == 4
    assert parse_position_id(id_text(position)) == position
    session = session_id_text(position)
    assert UUID(session).version == 8
    assert parse_session_id(session) == position
    assert parse_position_id(session) is None
    assert parse_session_id(id_text(position)) is None


@pytest.mark.parametrize(
    "text", ["", "a1b2c3d4-e5f6-7890", "x" * 36, "{550e8400-e29b-41d4-a716-446655440000}"]
)
def test_what_is_no_id_is_none(text: str) -> None:
    assert parse_position_id(text) is None
    assert parse_session_id(text) is None


@pytest.mark.parametrize("text", ["concert-1", "a", "A.b_c-9", "x" * 64])
def test_a_queue_id_is_letters_digits_dot_underscore_and_hyphen(text: str) -> None:
    assert is_queue_id(text)


@pytest.mark.parametrize("text", ["", "x" * 65, "a b", "a/b", "é", "a\n", "{a}", "*"])
def test_anything_else_is_no_queue_id(text: str) -> None:
    assert not is_queue_id(text)
