"""Options of commands, generated from settings and from API messages, and the options that name a server."""

import functools
import getpass
import os
import socket
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec
from msgspec.inspect import EnumType, Field, FloatType, IntType, Metadata, StrType

from wr.cli.message_fields import meaning, message_fields
from wr.client.admin_client import DEFAULT_URL, AdminClient, AdminFailure, find_admin_key
from wr.model.audit import LONGEST_OPERATOR
from wr.server.settings import SettingDescription, Settings, describe_settings

Function = TypeVar("Function", bound=Callable[..., None])


class CommandFailure(click.ClickException):
    """Ends a command: prints one line on standard error, exit code 1."""

    def show(self, file: Any = None) -> None:
        """Print the line."""
        click.echo(f"wr: {self.message}", file=file, err=True)


class UsageFailure(CommandFailure):
    """The command line or a setting is wrong: exit code 2."""

    exit_code = 2


class GroupedOption(click.Option):
    """An option under a heading. Its help names a variable and a default that click itself does not read."""

    def __init__(
        self, *declarations: Any, heading: str, variable: str = "", otherwise: str = "", **attributes: Any
    ) -> None:
        super().__init__(*declarations, **attributes)
        self.heading = heading
        self.variable = variable
        self._otherwise = otherwise

    def get_help_extra(self, ctx: click.Context) -> Any:
        """Return what the help shows in brackets: the variable and the default."""
        extra = super().get_help_extra(ctx)
        if self.variable:
            extra["envvars"] = (self.variable,)
        if self._otherwise:
            extra["default"] = self._otherwise
        return extra


class GroupedCommand(click.Command):
    """A command whose help groups its options under headings. Options without a heading come last."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, one section per heading."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None and isinstance(parameter, click.Option):
                sections.setdefault(getattr(parameter, "heading", "Options"), []).append(record)
        for heading, records in sections.items():
            with formatter.section(heading):
                formatter.write_dl(records)


class OrderedGroup(click.Group):
    """A group whose help lists its commands in the order in which the code adds them."""

    command_class = GroupedCommand
    group_class = type

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the commands in the order in which they were added."""
        del ctx
        return list(self.commands)


def setting_options(command: Function) -> Function:
    """Add one option for each setting to a command. The command gets the text, or None if it is not given."""
    for setting in reversed(describe_settings()):
        command = _setting_option(setting)(command)
    return command


def _setting_option(setting: SettingDescription) -> Callable[[Function], Function]:
    facts: dict[str, Any] = {
        "cls": GroupedOption,
        "heading": setting.group,
        "variable": setting.variable,
        "otherwise": setting.default,
        "help": f"{setting.help}.",
        "default": None,
    }
    if setting.is_switch:
        no = setting.flag.replace("--", "--no-", 1)
        return click.option(f"{setting.flag}/{no}", setting.name, callback=_as_text, **facts)
    return click.option(setting.flag, setting.name, metavar=setting.form, **facts)


def _as_text(_context: click.Context, _option: click.Parameter, switch: bool | None) -> str | None:
    """Spell a switch as in the environment, so that one reader reads both."""
    return None if switch is None else ("yes" if switch else "no")


def message_options(
    kind: type[msgspec.Struct], *, heading: str, without: Collection[str] = ()
) -> Callable[[Function], Function]:
    """Add one option for each field of a message type to a command.

    Raises:
        TypeError: a field has a type for which there is no kind of option.
    """

    def give(command: Function) -> Function:
        for field in reversed(message_fields(kind)):
            if field.encode_name not in without:
                command = _field_option(field, heading)(command)
        return command

    return give


def _field_option(field: Field, heading: str) -> Callable[[Function], Function]:
    return click.option(
        f"--{field.encode_name.replace('_', '-')}",
        field.encode_name,
        cls=GroupedOption,
        heading=heading,
        type=_option_type(field),
        metavar=_metavar(field),
        required=field.required,
        help=f"{meaning(field)}.",
        # The help only shows the default: a field that is not given is not sent, and the server fills it in.
        otherwise="" if field.default is msgspec.NODEFAULT else f"{field.default}",
    )


def _option_type(field: Field) -> click.ParamType[Any]:
    kind = field.type.type if isinstance(field.type, Metadata) else field.type
    if isinstance(kind, IntType):
        return click.IntRange(kind.ge, kind.le)
    if isinstance(kind, FloatType):
        least = kind.ge if kind.gt is None else kind.gt
        return click.FloatRange(least, kind.le, min_open=kind.gt is not None)
    if isinstance(kind, EnumType):
        return click.Choice([member.value for member in kind.cls])
    if isinstance(kind, StrType):
        return click.STRING
    raise TypeError(f"{field.encode_name}: there is no option for a {kind}")


def _metavar(field: Field) -> str | None:
    kind = _option_type(field)
    return None if isinstance(kind, click.Choice) else "TEXT" if kind is click.STRING else "NUMBER"


_SERVER_OPTIONS = (
    click.option(
        "--url",
        cls=GroupedOption,
        heading="Server",
        envvar="WR_URL",
        show_envvar=True,
        default=DEFAULT_URL,
        show_default=True,
        metavar="URL",
        help="Address of the server.",
    ),
    click.option(
        "--admin-key",
        cls=GroupedOption,
        heading="Server",
        envvar="WR_ADMIN_KEY",
        show_envvar=True,
        default="",
        metavar="KEY",
        help="Admin key of the server. Default: the key in its data folder.",
    ),
    click.option(
        "--data-dir",
        cls=GroupedOption,
        heading="Server",
        envvar="WR_DATA_DIR",
        show_envvar=True,
        default=Settings.data_dir,
        show_default=True,
        type=click.Path(path_type=Path),
        metavar="FOLDER",
        help="Data folder of the server, if it runs on this machine.",
    ),
)


yes_option = click.option("--yes", "-y", is_flag=True, help="Do not ask for confirmation.")


def confirm(question: str) -> None:
    """Ask the operator. Ends the command with exit code 1 unless the operator confirms."""
    # On standard error, so that standard output contains only the result.
    click.confirm(question, abort=True, err=True)


def server_options(command: Function) -> Function:
    """Add the options that name a server and its key to a command: url, admin_key, data_dir."""
    for option in reversed(_SERVER_OPTIONS):
        command = option(command)
    return command


def operator_here() -> str:
    """Return `user@host`, the name that commands on this machine claim for the audit trail."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # In a container, the user id often belongs to no account.
        user = f"uid {os.getuid()}"
    return f"{user}@{socket.gethostname()}"[:LONGEST_OPERATOR]


def admin_command(command: Callable[..., msgspec.Struct | None]) -> Callable[..., None]:
    """Turn a function into a command that calls a server.

    The function gets an `AdminClient` as `api`, and only the options that were given. The command prints what
    it returns. A failure of the client ends the command with one line and exit code 1.
    """

    @server_options
    @click.option("--json", "as_json", is_flag=True, help="Print JSON for programs, not tables for people.")
    @functools.wraps(command)
    def run(url: str, admin_key: str, data_dir: Path, as_json: bool, **rest: Any) -> None:
        try:
            api = AdminClient(url, find_admin_key(admin_key, data_dir), operator_here())
        except ValueError as error:
            raise UsageFailure(str(error)) from error
        try:
            answer = command(api=api, **{name: value for name, value in rest.items() if value is not None})
        except AdminFailure as failure:
            raise CommandFailure(str(failure)) from failure
        if answer is not None:
            from wr.cli.tables import show_answer

            show_answer(answer, as_json=as_json)

    return run


def known_variables(command: click.Command) -> frozenset[str]:
    """Collect the environment variables that a command and its subcommands read."""
    known: set[str] = set()
    for parameter in command.params:
        read = parameter.envvar or ()
        known.update((read,) if isinstance(read, str) else read)
        if isinstance(parameter, GroupedOption) and parameter.variable:
            known.add(parameter.variable)
    if isinstance(command, click.Group):
        for below in command.commands.values():
            known |= known_variables(below)
    return frozenset(known)
