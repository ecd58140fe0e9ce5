"""The command line: `wr`."""

import sys
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import click

from wr import __version__
from wr.settings import BadSetting, Settings, environment_name, load_settings


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="wr")
def main() -> None:
    """A virtual waiting room: holds a crowd in front of a site and lets people in at a rate it can bear."""


def _setting_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command one option for each setting."""
    for setting in reversed(fields(Settings)):
        flag = f"--{setting.name.replace('_', '-')}"
        is_switch = isinstance(setting.default, bool)
        shown = (
            ", ".join(map(str, setting.default)) if isinstance(setting.default, tuple) else setting.default
        )
        help_text = f"{setting.metadata['help']}. [{environment_name(setting.name)}]"
        if is_switch:
            command = click.option(
                flag, setting.name, is_flag=True, flag_value="yes", default=None, help=help_text
            )(command)
        else:
            command = click.option(
                flag, setting.name, metavar="VALUE", help=f"{help_text} [default: {shown or 'none'}]"
            )(command)
    return command


@main.command()
@_setting_options
def serve(**flags: str | None) -> None:
    """Run the server, with an embedded store unless --store-url names another.

    Every option can be given as an environment variable instead, named in brackets; an option wins.
    """
    import trio

    from wr.logs import set_up_logs
    from wr.process import StartUpFailure
    from wr.store.embedded import StoreFailure

    try:
        settings = load_settings(flags)
    except BadSetting as error:
        _fail(str(error), status=2)
    set_up_logs(settings.log_format)
    try:
        trio.run(_serve, settings)
    except* (StartUpFailure, StoreFailure) as group:
        _fail(str(_first(group)))


async def _serve(settings: Settings) -> None:
    import trio

    from wr.process import run, stop_on_signal

    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stop_on_signal, stop)

        async def run_all(task_status: Any) -> None:
            await run(settings, stop=stop, task_status=task_status)
            nursery.cancel_scope.cancel()

        ready = await nursery.start(run_all)
        _greet(ready, settings)


def _greet(ready: Any, settings: Settings) -> None:
    lines = [f"wr {__version__} serves at {ready.url}"]
    lines.append(f"  health     {ready.url}/health")
    lines.append(f"  API        {ready.url}/api/v1/openapi.json")
    if ready.admin_key_is_ours and (ready.admin_key_is_new or settings.show_admin_key):
        lines.append(f"  admin key  {ready.admin_key}   (X-Admin-Key; kept in {settings.data_dir}/admin-key)")
    elif ready.admin_key_is_ours:
        lines.append(f"  admin key  in {settings.data_dir}/admin-key")
    click.echo("\n".join(lines))


def _first(group: BaseExceptionGroup[Any]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _fail(message: str, status: int = 1) -> "Any":
    click.echo(f"wr: {message}", err=True)
    sys.exit(status)
