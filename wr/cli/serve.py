"""`wr serve`: runs the server until a signal stops it."""

import sys
from typing import Any

import click

from wr import __version__
from wr.cli.options import (
    CommandFailure,
    GroupedCommand,
    UsageFailure,
    setting_options,
)
from wr.client.admin_client import ADMIN_KEY_FILE
from wr.server.settings import BadSetting, Settings, load_settings
from wr.supervision.exception_groups import first_of


@click.command(cls=GroupedCommand)
@setting_options
def serve(**flags: str | None) -> None:
    """Run the server.

    Without --store-url it starts its own store. You can set every option as an environment variable instead,
    named in brackets. If both are set, the option overrides the variable.
    """
    import trio

    from wr.server.logs import set_up_logs
    from wr.server.startup import StartUpFailure
    from wr.store.engines import StoreFailure

    try:
        settings = load_settings(flags)
    except BadSetting as error:
        raise UsageFailure(str(error)) from error
    set_up_logs(settings.log_format, settings.log_level)
    failure: BaseException | None = None
    try:
        trio.run(_serve, settings)
    except* (StartUpFailure, StoreFailure) as group:
        failure = first_of(group)
    # Raised out here because Python before 3.11.4 (Debian 12) would wrap it in a group in an except* block.
    if failure is not None:
        raise CommandFailure(str(failure)) from failure


async def _serve(settings: Settings) -> None:
    import trio

    from wr.server.lifecycle import collect_rarely, run
    from wr.server.shutdown import stop_on_signal

    collect_rarely()
    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stop_on_signal, stop)

        async def run_all(task_status: Any) -> None:
            await run(settings, stop=stop, task_status=task_status)
            nursery.cancel_scope.cancel()

        ready = await nursery.start(run_all)
        _greet(ready, settings)


def _greet(ready: Any, settings: Settings) -> None:
    click.echo(f"wr {__version__} serves at {ready.url}")
    click.echo(f"  console    {ready.url}/admin")
    click.echo(f"  health     {ready.url}/health")
    click.echo(f"  API        {ready.url}/api/v1/openapi.json")
    if not ready.admin_key_is_ours:
        return
    file = settings.data_dir / ADMIN_KEY_FILE
    # Output that does not go to a terminal is stored, by the journal, a container engine or a log collector.
    if sys.stdout.isatty() and (ready.admin_key_is_new or settings.show_admin_key):
        click.echo(f"  admin key  {ready.admin_key}   (X-Admin-Key; kept in {file})")
    else:
        click.echo(f"  admin key  in {file}")
