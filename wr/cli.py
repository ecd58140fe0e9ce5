"""The command line: `wr`."""

import sys
from typing import Any

import click

from wr import __version__
from wr.command_options import GroupedCommand, setting_options
from wr.settings import BadSetting, Settings, load_settings


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="wr")
def main() -> None:
    """A virtual waiting room: holds a crowd in front of a site and lets people in at a rate it can bear."""


@main.command(cls=GroupedCommand)
@setting_options
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
