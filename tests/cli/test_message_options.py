"""Options made of the fields of a message: the two can never disagree."""

from enum import StrEnum
from typing import Annotated

import click
import msgspec
import pytest
from msgspec import UNSET, Meta, UnsetType

from wr.api.operators.queue_messages import CreateQueueRequest, UpdateQueueRequest
from wr.cli.main import main
from wr.cli.message_fields import meanings, message_fields
from wr.cli.options import message_options


class Size(StrEnum):
    """How large it is.

    And more about that.
    """

    SMALL = "small"
    LARGE = "large"


class Wish(msgspec.Struct, kw_only=True):
    key: Annotated[str, Meta(description="What it is called")]
    half_life_s: Annotated[float, Meta(gt=0, le=9, description="How long it lasts")] = 1.5
    copies: Annotated[int, Meta(ge=1, le=3, description="How many")] | UnsetType = UNSET
    size: Size = Size.SMALL


def parse(*arguments: str) -> dict[str, object]:
    """The options of a `Wish` as a command is given them."""
    seen: list[dict[str, object]] = []

    @click.command()
    @message_options(Wish, heading="Wish")
    def command(**given: object) -> None:
        seen.append(given)

    command.main(list(arguments), standalone_mode=False)
    return seen[0]


def test_an_option_has_the_type_of_its_field() -> None:
    given = parse("--key", "k", "--half-life-s", "2.5", "--copies", "3", "--size", "large")
    assert given == {"key": "k", "half_life_s": 2.5, "copies": 3, "size": "large"}


def test_what_is_not_given_is_left_to_the_server() -> None:
    assert parse("--key", "k") == {"key": "k", "half_life_s": None, "copies": None, "size": None}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--copies", "1"],
        ["--key", "k", "--copies", "0"],
        ["--key", "k", "--copies", "4"],
        ["--key", "k", "--copies", "1.5"],
        ["--key", "k", "--half-life-s", "0"],
        ["--key", "k", "--half-life-s", "9.1"],
        ["--key", "k", "--size", "medium"],
    ],
)
def test_what_the_field_forbids_the_option_refuses(arguments: list[str]) -> None:
    with pytest.raises(click.UsageError):
        parse(*arguments)


def test_an_option_says_what_the_field_says() -> None:
    assert meanings(Wish) == {
        "key": "What it is called",
        "half_life_s": "How long it lasts",
        "copies": "How many",
        "size": "How large it is",
    }


def test_a_field_that_no_option_can_stand_for_is_an_error_of_the_program() -> None:
    class Nested(msgspec.Struct):
        parts: list[int]

    with pytest.raises(TypeError, match="parts"):
        message_options(Nested, heading="")(lambda: None)
    with pytest.raises(TypeError, match="not a message type"):
        message_fields(int)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("command", "message"), [("create", CreateQueueRequest), ("update", UpdateQueueRequest)]
)
def test_every_field_of_the_message_can_be_given_on_the_command_line(
    command: str, message: type[msgspec.Struct]
) -> None:
    queue = main.commands["queue"]
    assert isinstance(queue, click.Group)
    options = {parameter.name for parameter in queue.commands[command].params}
    fields = set(message.__struct_fields__) - {"id"}
    # An update that may cost places asks first, unless it is told not to.
    asks = {"yes"} if command == "update" else set()
    assert fields | {"queue_id", "url", "admin_key", "data_dir", "as_json"} | asks == options
