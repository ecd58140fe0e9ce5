"""The command line: `wr`. What commands do stands elsewhere and is loaded when it is needed."""

import functools
import itertools
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from msgspec import Struct

from wr import __version__
from wr.admin_client import ADMIN_KEY_FILE, AdminClient
from wr.api.messages import CreateQueueRequest, UpdateQueueRequest
from wr.command_options import (
    CommandFailure,
    GroupedOption,
    OrderedGroup,
    UsageFailure,
    admin_command,
    confirm,
    known_variables,
    message_options,
    setting_options,
    yes_option,
)
from wr.entry_commands import block, pass_group, session
from wr.model.ids import parse_session_id
from wr.rehearse.command import rehearse
from wr.settings import BadSetting, Settings, load_settings
from wr.web.template_check import TEMPLATE_CHECK, check_from_standard_input
from wr.webhook_commands import webhook

if TYPE_CHECKING:
    from wr.doctor.finding import Finding

_queue_id = click.argument("queue_id", metavar="QUEUE", help="Id of the queue.")
_from_outside = functools.partial(
    click.option, cls=GroupedOption, heading="From outside", metavar="URL", default=None
)


@click.group(
    cls=OrderedGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.version_option(__version__, prog_name="wr")
def main() -> None:
    """A virtual waiting room: holds a crowd in front of a site and lets people in at a rate it can bear."""


@main.command(TEMPLATE_CHECK, hidden=True)
def check_template() -> None:
    """Try a queue's template: its settings as JSON on standard input, what is wrong on standard output."""
    sys.exit(check_from_standard_input())


@main.command()
@setting_options
def serve(**flags: str | None) -> None:
    """Run the server.

    Without --store-url it starts a store of its own. Every option can be given as the environment variable
    that is named beside it; where both are given, the option wins.
    """
    import trio

    from wr.logs import set_up_logs
    from wr.starting import StartUpFailure
    from wr.store.engine import StoreFailure

    try:
        settings = load_settings(flags)
    except BadSetting as error:
        raise UsageFailure(str(error)) from error
    set_up_logs(settings.log_format, settings.log_level)
    failure: BaseException | None = None
    try:
        trio.run(_serve, settings)
    except* (StartUpFailure, StoreFailure) as group:
        failure = _first(group)
    # Not raised in there: Python before 3.11.4, such as Debian 12's, would put it into a group of its own.
    if failure is not None:
        raise CommandFailure(str(failure)) from failure


async def _serve(settings: Settings) -> None:
    import trio

    from wr.process import collect_rarely, run
    from wr.stopping import stop_on_signal

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
    # What is no terminal is kept: in the journal, by a container's engine, by whatever collects logs.
    if sys.stdout.isatty() and (ready.admin_key_is_new or settings.show_admin_key):
        click.echo(f"  admin key  {ready.admin_key}   (X-Admin-Key; kept in {file})")
    else:
        click.echo(f"  admin key  in {file}")


def _first(group: BaseExceptionGroup[Any]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


@main.group()
def queue() -> None:
    """Make, watch, change and empty the queues of a running server."""


@queue.command("create")
@_queue_id
@message_options(CreateQueueRequest, heading="Settings of the queue", without=("id",))
@admin_command
def create_queue(api: AdminClient, queue_id: str, **settings: object) -> Struct:
    """Make a queue. People who are let in are sent to its --target-url.

    --unique-by says which visitors may hold one place only. client: the same user id, address and browser,
    for places that are not worth stealing. user_id: the same user id, which counts only with a pass or in a
    call by the site itself. ip: one place for each address. none: every join is a new place.
    """
    return api.create_queue({"id": queue_id, **settings})


@queue.command("list")
@admin_command
def list_queues(api: AdminClient) -> Struct:
    """List the queues: what each is doing and how full it is."""
    return api.queues()


@queue.command("show")
@_queue_id
@admin_command
def show_queue(api: AdminClient, queue_id: str) -> Struct:
    """Show a queue's settings and what they mean."""
    return api.queue(queue_id)


@queue.command("update")
@_queue_id
@message_options(UpdateQueueRequest, heading="Settings to change")
@yes_option
@admin_command
def update_queue(api: AdminClient, queue_id: str, yes: bool, **changes: object) -> Struct:
    """Change settings of a queue; the rest stays.

    A change holds at every server within one admission interval. --status paused keeps the line and lets
    nobody in; maintenance takes nobody new either; active ends both. A shorter heartbeat timeout that may
    cost visitors their places is asked about.
    """
    if not changes:
        raise click.UsageError("Give at least one setting to change.")
    timeout = changes.get("heartbeat_timeout_seconds")
    if isinstance(timeout, int) and not yes:
        _ask_about_timeout(api, queue_id, timeout)
    return api.update_queue(queue_id, changes)


def _ask_about_timeout(api: AdminClient, queue_id: str, timeout_s: int) -> None:
    if timeout_s >= api.queue(queue_id).heartbeat_timeout_seconds:
        return
    found = api.silent(queue_id, timeout_s)
    if found.silent:
        confirm(
            f"{found.silent:,} of {found.waiting:,} in line have not been heard for {timeout_s} seconds, and "
            "lose their places if they stay silent. Change it?"
        )


@queue.command("silent")
@_queue_id
@click.option("--timeout-seconds", type=click.IntRange(1), required=True, help="The timeout that is wished.")
@admin_command
def queue_silent(api: AdminClient, queue_id: str, timeout_seconds: int) -> Struct:
    """Show what a shorter heartbeat timeout would cost.

    That is how many of those in line have not been heard for so long, and lose their places if they stay
    silent.
    """
    return api.silent(queue_id, timeout_seconds)


@queue.command("stats")
@_queue_id
@click.option("--watch", is_flag=True, help="Look again every second, until Ctrl-C.")
@admin_command
def queue_stats(api: AdminClient, queue_id: str, watch: bool) -> Struct | None:
    """Show a queue's figures and how each is measured."""
    if not watch:
        return api.stats(queue_id)
    from wr import command_tables

    with command_tables.stats_display(as_json=click.get_current_context().params["as_json"]) as display:
        command_tables.watch(lambda: api.stats(queue_id), display)
    return None


@queue.command("delete")
@_queue_id
@yes_option
@admin_command
def delete_queue(api: AdminClient, queue_id: str, yes: bool) -> Struct:
    """Delete a queue and everyone in it.

    Those who wait lose their places, and those who have been let in their sessions.
    """
    if not yes:
        now = api.stats(queue_id)
        confirm(f"Delete {queue_id}, with {now.current_waiting:,} waiting and {now.current_active:,} inside?")
    return api.delete_queue(queue_id)


@queue.command("flush")
@_queue_id
@yes_option
@admin_command
def flush_queue(api: AdminClient, queue_id: str, yes: bool) -> Struct:
    """Send away everyone who waits. Those who have been let in stay."""
    if not yes:
        confirm(f"Send away everyone who waits in {queue_id}, {api.stats(queue_id).current_waiting:,} now?")
    return api.flush(queue_id)


@main.group()
def keys() -> None:
    """See and renew the keys that a running server signs tokens with."""


@keys.command("list")
@admin_command
def list_keys(api: AdminClient) -> Struct:
    """List the signing keys, newest first; nothing secret is shown."""
    return api.keys()


@keys.command("rotate")
@admin_command
def rotate_keys(api: AdminClient) -> Struct:
    """Make new signing keys. Tokens signed with earlier ones stay valid until they expire."""
    return api.rotate_keys()


@main.command()
@click.option("--queue", "queue_id", metavar="QUEUE", default="", help="Changes of this queue only.")
@click.option(
    "--limit",
    type=click.IntRange(1, 200),
    metavar="NUMBER",
    default=20,
    show_default=True,
    help="How many changes to show.",
)
@admin_command
def audit(api: AdminClient, queue_id: str, limit: int) -> Struct:
    """Show who changed what, newest first.

    Who is what the caller said, as user@host for these commands: all operators have the same key.
    """
    return api.audit(queue_id=queue_id, limit=limit)


@main.command()
@click.argument("person_id", metavar="ID", help="Id of a position or of a session.")
@admin_command
def find(api: AdminClient, person_id: str) -> Struct:
    """Find somebody by the id of the position or of the session.

    Those whose place or session ended are found for an hour. To look is no sign of the visitor's life.
    """
    if parse_session_id(person_id) is not None:
        return api.find_session(person_id)
    return api.find_position(person_id)


main.add_command(session)
main.add_command(pass_group)
main.add_command(block)
main.add_command(webhook)
main.add_command(rehearse)


@main.command()
@_from_outside("--origin", metavar="URL", help="Site that people wait for: look at it from outside, too.")
@_from_outside("--url", help="Address of the waiting room; unless given, where the site's gate sends people.")
@_from_outside("--queue", "queue_id", metavar="QUEUE", help="Queue to walk through, likewise.")
@_from_outside(
    "--expected-crowd",
    type=click.IntRange(1),
    metavar="NUMBER",
    help="How many people will be connected at once: say whether the limits are enough, of the server at "
    "--url or else of this machine.",
)
@setting_options
def doctor(
    origin: str | None, url: str | None, queue_id: str | None, expected_crowd: int | None, **flags: str | None
) -> None:
    """Check the set-up and say what to mend. Takes what `wr serve` takes; changes nothing.

    With --origin it also visits the deployed site: is the gate in the way, is a visitor who joins let in,
    does the session token verify and open the gate, whose address is believed, are the clocks right. What the
    server there may do it says only to those who may read its metrics, at --url.

    Each line is one check: ✓ is good, ! deserves a look, ✗ has to be mended (exit code 1).
    """
    import secrets
    import time

    from wr.doctor.examination import examine
    from wr.doctor.outside import Deployment, examine_deployment

    is_elsewhere = origin is not None and url is not None
    local_crowd = 0 if is_elsewhere else expected_crowd or 0
    findings: Iterator[Finding | str] = examine(flags, os.environ, known_variables(main), local_crowd)
    if origin is not None:
        try:
            deployment = Deployment.at(
                origin,
                url or "",
                queue_id or "",
                metrics_token=flags.get("metrics_token") or os.environ.get("WR_METRICS_TOKEN", ""),
                expected_crowd=expected_crowd or 0,
            )
        except ValueError as error:
            raise UsageFailure(str(error)) from error
        name = f"wr-doctor-{secrets.token_hex(8)}"
        findings = itertools.chain(
            ["This machine, as `wr serve` would find it:"],
            findings,
            ["The deployment, from outside:"],
            examine_deployment(deployment, name, now_s=time.time, sleep=time.sleep),
        )
    is_well = True
    for finding in findings:
        click.echo(str(finding))
        is_well = is_well and (isinstance(finding, str) or not finding.is_bad)
    sys.exit(0 if is_well else 1)


@main.command()
@click.option(
    "--url",
    metavar="URL",
    help="Address of the server; unless given, the one that `wr serve` would have with this --bind.",
)
@click.option(
    "--bind", envvar="WR_BIND", show_envvar=True, metavar="ADDRESS:PORT", help="What the server listens on."
)
def health(url: str | None, bind: str | None) -> None:
    """Ask a running server whether it can do its work.

    Exit code 0 if it can, 1 if not: for whoever watches over it, as containers are watched over.
    """
    from wr.doctor.health import check_health, own_url

    try:
        finding = (
            check_health(own_url(load_settings({"bind": bind})), is_own=True)
            if url is None
            else check_health(url)
        )
    except ValueError as error:
        raise UsageFailure(str(error)) from error
    click.echo(str(finding))
    sys.exit(1 if finding.is_bad else 0)


@main.command()
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write it here, not to the terminal.",
)
def openapi(output: Path | None) -> None:
    """Print the description of the API: OpenAPI 3.0.3, as JSON."""
    import json

    from wr.api.openapi import openapi_document

    text = json.dumps(openapi_document(), indent=2, ensure_ascii=False)
    if output is None:
        click.echo(text)
        return
    try:
        output.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise CommandFailure(f"{output} cannot be written: {error.strerror}") from error
