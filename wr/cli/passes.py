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
    """Issue passes for a queue, and take them back."""


@pass_group.command("issue")
@queue_option
@click.option(
    "--priority",
    type=click.IntRange(0, 3),
    metavar="NUMBER",
    default=0,
    show_default=True,
    help="Priority of the places that the passes give, 0 to 3.",
)
@click.option(
    "--for",
    "subject",
    metavar="NAME",
    default="",
    help="Name of the visitor, who holds one place. Of several each gets a number behind it; without a name "
    "each gets one of its own.",
)
@click.option(
    "--expires",
    type=Duration(),
    metavar="DURATION",
    default="1d",
    show_default=True,
    help="How long the passes are valid, such as 90s, 30m, 2h or 7d.",
)
@click.option(
    "--count",
    type=click.IntRange(1, _MOST_PASSES),
    metavar="NUMBER",
    default=1,
    show_default=True,
    help="How many passes to issue.",
)
@click.option(
    "--uses",
    type=click.IntRange(0, 1_000_000),
    metavar="NUMBER",
    default=1,
    show_default=True,
    help="How many places each pass gives, one after the other; 0 means any number.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    help="What is written: links, one a line; csv, with a header; json. A terminal gets a table otherwise.",
)
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write to this new file, which only you can read.",
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
    """Issue passes: each gives its visitor a place.

    A pass is a secret: it gives a place to any visitor that brings it, and it is shown only now. A visitor
    brings it by opening its link, or a site sends it as X-WR-Pass.
    """
    wanted = PassOrder(queue_id=queue_id, subject=subject, expires_in_s=expires, count=count, rest=wish)
    as_json = click.get_current_context().params["as_json"]
    try:
        with written("json" if as_json else form, output) as take:
            issue_all(api, wanted, take, tell=_tell, sleep=time.sleep, clock=time.monotonic)
    except OSError as error:
        raise CommandFailure(f"the passes cannot be written: {error.strerror}") from error


@pass_group.command("revoke")
@click.argument("given", metavar="PASS", help="The pass, or its id; - reads it from standard input.")
@click.option(
    "--queue", "queue_id", metavar="QUEUE", default="", help="Id of the queue; a whole pass names its own."
)
@reason_option
@block_for_option
@block_scope_option
@admin_command
def revoke_pass(api: AdminClient, given: str, queue_id: str, **wish: Any) -> Struct:
    """Take a pass back, and end the place that it gave.

    Other users of this machine can see command lines: give a whole pass on standard input (-), or its id.
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
