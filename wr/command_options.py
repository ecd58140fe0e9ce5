"""Options of commands, made from what they stand for: settings, fields of messages, the way to a server."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from wr.settings import SettingDescription, describe_settings

Function = TypeVar("Function", bound=Callable[..., None])


class GroupedOption(click.Option):
    """An option that stands under a heading of its own."""

    def __init__(self, *declarations: Any, heading: str, **attributes: Any) -> None:
        super().__init__(*declarations, **attributes)
        self.heading = heading


class GroupedCommand(click.Command):
    """A command whose help shows its options under their headings, those without one last."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, heading by heading."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None and isinstance(parameter, click.Option):
                sections.setdefault(getattr(parameter, "heading", "Options"), []).append(record)
        for heading, records in sections.items():
            with formatter.section(heading):
                formatter.write_dl(records)


def setting_options(command: Function) -> Function:
    """Give a command one option for each setting; it gets what was written, None where nothing was."""
    for setting in reversed(describe_settings()):
        command = _setting_option(setting)(command)
    return command


def _setting_option(setting: SettingDescription) -> Callable[[Function], Function]:
    default = f"; default: {setting.default}" if setting.default else ""
    facts: dict[str, Any] = {
        "cls": GroupedOption,
        "heading": setting.group,
        "help": f"{setting.help}.  [env var: {setting.variable}{default}]",
        "default": None,
    }
    if setting.is_switch:
        no = setting.flag.replace("--", "--no-", 1)
        return click.option(f"{setting.flag}/{no}", setting.name, callback=_as_text, **facts)
    return click.option(setting.flag, setting.name, metavar=setting.form, **facts)


def _as_text(_context: click.Context, _option: click.Parameter, switch: bool | None) -> str | None:
    """Spell a switch as the environment would, so that both are read by the same reader."""
    return None if switch is None else ("yes" if switch else "no")
