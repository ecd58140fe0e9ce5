"""The README says what the code does: where the two part, the build fails."""

import re

import pytest

from tests.support.commands import COMMANDS
from tests.support.readme import (
    MADE,
    README,
    block,
    filled,
    package_folders,
    queue_settings_table,
    settings_table,
)
from wr.model.queue_settings import SETTINGS
from wr.server.settings import describe_settings

HOW = "write it with `.venv/bin/python -m tests.support.readme`"
TEXT = README.read_text()


def test_the_settings_table_is_the_one_that_the_settings_make() -> None:
    assert block(TEXT, "settings") == settings_table(), HOW


def test_the_table_of_queue_settings_is_the_one_that_their_definitions_make() -> None:
    assert block(TEXT, "queue settings") == queue_settings_table(), HOW
    for setting in SETTINGS:
        assert queue_settings_table().count(f"\n| `{setting.name}` |") == 1


@pytest.mark.parametrize("name", sorted(MADE))
def test_what_the_readme_takes_from_the_code_is_up_to_date(name: str) -> None:
    assert block(TEXT, name) in (None, MADE[name]()), HOW


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_the_readme_names_every_command(command: str) -> None:
    assert re.search(rf"\bwr {command}\b", TEXT)


@pytest.mark.parametrize("folder", [folder.name for folder in package_folders()])
def test_the_layout_table_has_one_line_for_each_folder(folder: str) -> None:
    assert len(re.findall(rf"^\| `wr/{folder}/` \| \S.*\|$", TEXT, re.MULTILINE)) == 1


def test_the_layout_table_has_no_folder_that_is_not_there() -> None:
    listed = re.findall(r"^\| `wr/(\w+)/` \|", TEXT, re.MULTILINE)
    assert set(listed) <= {folder.name for folder in package_folders()}


def test_the_settings_table_names_every_setting_its_variable_and_its_default() -> None:
    rows = settings_table().splitlines()
    for setting in describe_settings():
        (row,) = [row for row in rows if f"| `{setting.flag}` | `{setting.variable}` |" in row]
        assert f"| `{setting.default}` |" in row or not setting.default
        assert row.count("|") - row.count("\\|") == 5


def test_filling_the_readme_replaces_blocks_and_nothing_else() -> None:
    text = "a\n<!-- settings -->\nold\n<!-- /settings -->\nb <!-- layout --> c"
    once = filled(text)
    assert once == f"a\n<!-- settings -->\n{settings_table()}\n<!-- /settings -->\nb <!-- layout --> c"
    assert filled(once) == once
