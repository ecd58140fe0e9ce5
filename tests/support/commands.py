"""Finds all commands of the command line by walking its tree."""

import click

from wr.cli.main import main


def every_command(group: click.Group = main, above: str = "") -> dict[str, click.Command]:
    """Every command and group from `group` down, by its full name, such as `queue create`."""
    found: dict[str, click.Command] = {above: group}
    for name, command in group.commands.items():
        full = f"{above} {name}".strip()
        if isinstance(command, click.Group):
            found |= every_command(command, full)
        else:
            found[full] = command
    return found


COMMANDS = {
    name: command
    for name, command in every_command().items()
    if not isinstance(command, click.Group) and not command.hidden
}
"""The operators' commands: without groups, and without the one that the server runs itself."""
