"""Help texts: a newcomer finds out everything from `wr --help` on."""

import click
import pytest

from tests.cli.conftest import run_wr
from tests.support.commands import COMMANDS, every_command
from wr.cli.main import main
from wr.cli.options import known_variables
from wr.server.setting_fields import Group
from wr.server.settings import describe_settings

PROMISED = {
    "serve",
    "queue create",
    "queue list",
    "queue show",
    "queue update",
    "queue stats",
    "queue delete",
    "queue flush",
    "keys list",
    "keys rotate",
    "openapi",
    "doctor",
}


def test_every_promised_command_is_there() -> None:
    assert set(COMMANDS) >= PROMISED


@pytest.mark.parametrize("name", sorted(every_command()))
def test_every_command_option_and_argument_says_what_it_is(name: str) -> None:
    command = every_command()[name]
    assert command.help, f"wr {name} has no help"
    for parameter in command.params:
        if isinstance(parameter, click.Option | click.Argument):
            assert getattr(parameter, "help", None), f"wr {name}: {parameter.name} has no help"


@pytest.mark.parametrize("name", sorted(every_command()))
def test_every_command_prints_its_help(name: str) -> None:
    result = run_wr(*name.split(), "--help")
    assert result.exit_code == 0
    assert result.stdout.startswith("Usage: ")


def test_the_first_sentence_of_each_command_fits_where_commands_are_listed() -> None:
    """On a terminal of 80 columns click cuts what is longer and ends it with dots."""
    for name, command in every_command().items():
        if isinstance(command, click.Group):
            listed = run_wr(*name.split(), "--help", COLUMNS="80").stdout.partition("Commands:")[2]
            assert "..." not in listed, listed


def test_commands_are_listed_in_the_order_in_which_one_needs_them() -> None:
    listed = run_wr("--help").stdout.partition("Commands:")[2].split()
    assert listed.index("serve") < listed.index("queue") < listed.index("keys") < listed.index("doctor")


@pytest.mark.parametrize("command", ["serve", "doctor"])
def test_the_settings_stand_under_their_headings_with_variable_and_default(command: str) -> None:
    text = " ".join(run_wr(command, "--help", COLUMNS="120").stdout.split())
    for group in Group:
        assert f"{group}:" in text
    for setting in describe_settings():
        assert f"{setting.flag} " in text
        default = f"; default: {setting.default}]" if setting.default else "]"
        assert f"[env var: {setting.variable}{default}" in text


def test_the_variables_of_commands_and_settings_are_known() -> None:
    known = known_variables(main)
    assert {"WR_URL", "WR_ADMIN_KEY", "WR_DATA_DIR"} <= known
    assert {setting.variable for setting in describe_settings()} <= known
