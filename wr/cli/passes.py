"""`wr pass`: issues and revokes passes."""

import sys
import time
from pathlib import Path
from typing import Any

import click
from msgspec import Struct

from wr.cli.access_options import (
    block_for_option,
    block_scope_option,
    check_block_options,
    queue_option,
    reason_option,
)
from wr.cli.durations import Duration
from wr.cli.options import (
    CommandFailure,
    OrderedGroup,
    UsageFailure,
    admin_command,
)
from wr.cli.pass_lists import FORMATS, written
from wr.client.admin_client import AdminClient
from wr.client.pass_issuing import PassOrder, issue_all

_MOST_PASSES = 1_000_000


@click.group("pass", cls=OrderedGroup)
def pass_group() -> None:
    """Issue and revoke passes for a queue."""


@pass_group.command("issue")
@queue_option
@click.option(
    "--priority",
    type=click.IntRange(0, 3),
    metavar="NUMBER",
    default=0,
    show_default=True,
    help="Priority of the places that the passes give, from 0 (lowest) to 3 (highest).",
)
@click.option(
    "--for",
    "subject",
    metavar="NAME",
    default="",
    help="Name of the visitor, who can hold one place. With --count, each pass gets a number after the name. "
    "Without a name, each pass gets a random one.",
)
@click.option(
    "--expires",
    type=Duration(),
    metavar="DURATION",
    default="1d",
    show_default=True,
    help="Duration for which the passes are valid, such as 90s, 30m, 2h or 7d.",
)
@click.option(
    "--count",
    type=click.IntRange(1, _MOST_PASSES),
    metavar="NUMBER",
    default=1,
    show_default=True,
    help="Number of passes to issue.",
)
@click.option(
    "--uses",
    type=click.IntRange(0, 1_000_000),
    metavar="NUMBER",
    default=1,
    show_default=True,
    help="Number of places that each pass gives, one after the other. 0 means any number.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    help="Format of the output: links (one per line), csv (with a header) or json. Default: a table on a "
    "terminal, else links.",
)
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write to this file, which must not exist yet. Only you can read it.",
)
@admin_command
def issue_passes(
    api: AdminClient,
    queue_id: str,
    subject: str,
    expires: int,
    count: int,
    form: str = "",
    output: Path | None = None,
    **wish: Any,
) -> None:
    """Issue passes, each of which gives its visitor a place.

    A pass is a secret: it gives a place to every visitor who presents it. It is shown only now. The visitor
    opens its link, or the site sends it in the header X-WR-Pass.
    """
    wanted = PassOrder(queue_id=queue_id, subject=subject, expires_in_s=expires, count=count, rest=wish)
    as_json = click.get_current_context().params["as_json"]
    try:
        with written("json" if as_json else form, output) as take:
            issue_all(api, wanted, take, tell=_tell, sleep=time.sleep, clock=time.monotonic)
    except OSError as error:
        raise CommandFailure(f"cannot write the passes: {error.strerror}") from error


@pass_group.command("revoke")
@click.argument("given", metavar="PASS", help="The pass or its id. - reads it from standard input.")
@click.option(
    "--queue",
    "queue_id",
    metavar="QUEUE",
    default="",
    help="Id of the queue. Needed only with the id of a pass: a whole pass names its queue.",
)
@reason_option
@block_for_option
@block_scope_option
@admin_command
def revoke_pass(api: AdminClient, given: str, queue_id: str, **wish: Any) -> Struct:
    """Revoke a pass, and end the place that it gave.

    Other users of this machine can read command lines. Give the id of the pass, or the whole pass on standard
    input (-).
    """
    from wr.model.passes import BadPass, unverified_queue

    check_block_options(wish)
    named = sys.stdin.read().strip() if given == "-" else given
    if not named:
        raise UsageFailure("there is no pass on standard input")
    try:
        own_queue = unverified_queue(named)
    except BadPass as error:
        if not queue_id:
            raise UsageFailure("give --queue: only a whole pass names its queue") from error
        return api.revoke_pass(queue_id, {"pass_id": named, **wish})
    return api.revoke_pass(queue_id or own_queue, {"pass": named, **wish})


def _tell(line: str) -> None:
    click.echo(line, err=True)
